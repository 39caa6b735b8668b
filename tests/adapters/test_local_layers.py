"""The layer operations of the local AWS's ECR API, which shares its store with the registry HTTP API."""

from __future__ import annotations

import urllib.request
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local import pusher
from local.aws import LocalAws
from local.oci import sha256

MEBIBYTE = 1024 * 1024


def upload(ecr: Any, repository: str, *parts: bytes) -> str:
    """Upload parts one after the other and return the upload's id."""
    upload_id: str = ecr.initiate_layer_upload(repositoryName=repository)["uploadId"]
    first = 0
    for part in parts:
        answer = ecr.upload_layer_part(
            repositoryName=repository,
            uploadId=upload_id,
            partFirstByte=first,
            partLastByte=first + len(part) - 1,
            layerPartBlob=part,
        )
        first += len(part)
        assert answer["lastByteReceived"] == first - 1
    return upload_id


def test_a_layer_is_copied_through_the_api(ecr: Any, local_aws: LocalAws, repository: str) -> None:
    """A layer that docker pushed is downloaded, and uploaded in parts to another repository."""
    layer = b"layer" * (2 * MEBIBYTE)
    digest = pusher.push_blob(local_aws.registry, repository, layer)
    target = f"{repository}-target"
    ecr.create_repository(repositoryName=target)
    availability = ecr.batch_check_layer_availability(repositoryName=target, layerDigests=[digest, "latest"])
    assert [layer["layerAvailability"] for layer in availability["layers"]] == ["UNAVAILABLE"]
    assert [failure["failureCode"] for failure in availability["failures"]] == ["InvalidLayerDigest"]

    url = ecr.get_download_url_for_layer(repositoryName=repository, layerDigest=digest)["downloadUrl"]
    with urllib.request.urlopen(url) as response:
        assert response.read() == layer
    upload_id = upload(ecr, target, layer[: 6 * MEBIBYTE], layer[6 * MEBIBYTE :])
    done = ecr.complete_layer_upload(repositoryName=target, uploadId=upload_id, layerDigests=[digest])
    assert done["layerDigest"] == digest
    found = ecr.batch_check_layer_availability(repositoryName=target, layerDigests=[digest])["layers"]
    assert found == [{"layerDigest": digest, "layerAvailability": "AVAILABLE", "layerSize": len(layer)}]


def test_the_error_for_a_part_out_of_order_has_the_last_valid_byte(ecr: Any, repository: str) -> None:
    """A client resumes the upload after this byte."""
    upload_id = upload(ecr, repository, b"0123")
    with pytest.raises(ClientError, match="InvalidLayerPartException") as error:
        ecr.upload_layer_part(
            repositoryName=repository, uploadId=upload_id, partFirstByte=9, partLastByte=9, layerPartBlob=b"9"
        )
    assert error.value.response["lastValidByteReceived"] == 3  # type: ignore[typeddict-item]


def test_a_layer_that_exists_is_not_uploaded_again(ecr: Any, local_aws: LocalAws, repository: str) -> None:
    """LayerAlreadyExistsException, which a client that copies layers treats as success."""
    digest = pusher.push_blob(local_aws.registry, repository, b"layer")
    upload_id = upload(ecr, repository, b"layer")
    with pytest.raises(ClientError, match="LayerAlreadyExistsException"):
        ecr.complete_layer_upload(repositoryName=repository, uploadId=upload_id, layerDigests=[digest])


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ([], "EmptyUploadException"),
        ([b"other"], "InvalidLayerException"),
        ([b"lay", b"er"], "LayerPartTooSmallException"),
    ],
)
def test_an_upload_with_wrong_parts_is_refused(ecr: Any, repository: str, parts: list[bytes], code: str) -> None:
    """The digest must be that of the bytes, and every part except the last must have 5 MiB or more."""
    upload_id = upload(ecr, repository, *parts)
    with pytest.raises(ClientError, match=code):
        ecr.complete_layer_upload(repositoryName=repository, uploadId=upload_id, layerDigests=[sha256(b"layer")])


def test_an_unknown_layer_cannot_be_downloaded_nor_an_unknown_upload_completed(ecr: Any, repository: str) -> None:
    """LayersNotFoundException and UploadNotFoundException."""
    digest = sha256(b"nothing")
    with pytest.raises(ClientError, match="LayersNotFoundException"):
        ecr.get_download_url_for_layer(repositoryName=repository, layerDigest=digest)
    with pytest.raises(ClientError, match="UploadNotFoundException"):
        ecr.complete_layer_upload(repositoryName=repository, uploadId="none", layerDigests=[digest])
