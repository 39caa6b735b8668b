"""The ECR adapter against answers that ECR gives and the local AWS cannot be made to give; no socket is opened."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.exceptions import ConnectTimeoutError
from botocore.stub import ANY, Stubber

from promoter.aws.ecr.registry import EcrRegistry
from promoter.domain.errors import (
    ChildrenMissing,
    DigestMismatch,
    InvalidRequest,
    LayersMissing,
    LimitExceeded,
    PromoterError,
    RegistryError,
    RepositoryNotFound,
    TagImmutable,
    Throttled,
)
from promoter.domain.model import ImageId, Manifest, Repository, Unreadable
from promoter.domain.ports import Missing
from tests.support.policies import ACCOUNT
from tests.support.registries import manifest

IMAGE, OTHER = manifest('{"a": 1}\n'), manifest('{"b": 1}')
REPOSITORY = Repository(ACCOUNT, "team/web")
TAG = ImageId("staging")


@pytest.fixture
def ecr() -> Any:
    """Return a client whose answers are written by the test, checked against ECR's service model."""
    client = boto3.client("ecr", region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stub:
        yield stub
        stub.assert_no_pending_responses()


def answered(
    body: bytes = IMAGE.body, *, tag: str | None = "staging", digest: str = IMAGE.digest
) -> dict[str, Any]:
    """Return one image of a BatchGetImage answer."""
    return {
        "imageId": {"imageDigest": digest, **({"imageTag": tag} if tag else {})},
        "imageManifest": body.decode(),
        "imageManifestMediaType": IMAGE.media_type,
    }


def batch(*images: dict[str, Any], failures: Any = ()) -> dict[str, Any]:
    return {"images": list(images), "failures": list(failures)}


def test_a_translated_manifest_is_read_again_by_digest(ecr: Any) -> None:
    """Bytes that do not have their digest are never used; ECR does not translate what is asked for by digest."""
    ecr.add_response("batch_get_image", batch(answered(b'{"translated": 1}')))
    ecr.add_response(
        "batch_get_image",
        batch(answered(tag=None)),
        {
            "registryId": ACCOUNT,
            "repositoryName": "team/web",
            "imageIds": [{"imageDigest": IMAGE.digest}],
            "acceptedMediaTypes": ANY,
        },
    )

    assert EcrRegistry(ecr.client).read(REPOSITORY, [TAG]) == {TAG: IMAGE}


def test_bytes_that_are_wrong_by_digest_too_are_a_mismatch(ecr: Any) -> None:
    """Damage in the registry stops the promotion."""
    for _ in range(2):
        ecr.add_response("batch_get_image", batch(answered(b"{}")))

    with pytest.raises(DigestMismatch):
        EcrRegistry(ecr.client).read(REPOSITORY, [TAG])


def test_a_media_type_that_ecr_leaves_out_is_read_off_the_manifest(ecr: Any) -> None:
    """BatchGetImage need not say it, and PutImage has to be told."""
    body = b'{"schemaVersion": 2, "manifests": []}'
    image = answered(body, digest=manifest(body.decode()).digest)
    del image["imageManifestMediaType"]
    ecr.add_response("batch_get_image", batch(image))

    read = EcrRegistry(ecr.client).read(REPOSITORY, [TAG])[TAG]

    assert isinstance(read, Manifest)
    assert read.media_type == "application/vnd.oci.image.index.v1+json"


def test_bytes_that_are_no_manifest_are_a_failure_of_the_registry(ecr: Any) -> None:
    """The caller sent no manifest, and is not told that theirs is wrong."""
    image = answered(b"<html>")
    del image["imageManifestMediaType"]
    ecr.add_response("batch_get_image", batch(image))

    with pytest.raises(RegistryError, match="not a manifest"):
        EcrRegistry(ecr.client).read(REPOSITORY, [TAG])


def test_one_answer_serves_every_id_that_names_its_image(ecr: Any) -> None:
    """Answers come in any order, one an id; an id by digest may get the tag of another."""
    by_digest, pinned, gone = ImageId(None, IMAGE.digest), ImageId("staging", IMAGE.digest), ImageId("gone")
    failure = {"imageId": {"imageTag": "gone"}, "failureCode": "ImageNotFound", "failureReason": "not found"}
    other = answered(OTHER.body, tag="prod", digest=OTHER.digest)
    ecr.add_response("batch_get_image", batch(other, answered(), failures=[failure]))

    read = EcrRegistry(ecr.client).read(REPOSITORY, [by_digest, pinned, ImageId("prod"), gone])

    assert read == {by_digest: IMAGE, pinned: IMAGE, ImageId("prod"): OTHER, gone: Missing.NOT_FOUND}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("ImageNotFound", Missing.NOT_FOUND),
        ("ImageTagDoesNotMatchDigest", Missing.TAG_IS_ELSEWHERE),
        ("InvalidImageDigest", InvalidRequest),
        ("InvalidImageTag", InvalidRequest),
        ("MissingDigestAndTag", InvalidRequest),
        ("ImageReferencedByManifestList", Unreadable("why (ImageReferencedByManifestList)")),
        ("KmsError", Unreadable("why (KmsError)")),
        ("UpstreamAccessDenied", Unreadable("why (UpstreamAccessDenied)")),
        ("UpstreamTooManyRequests", Unreadable("why (UpstreamTooManyRequests)")),
        ("UpstreamUnavailable", Unreadable("why (UpstreamUnavailable)")),
        ("ImageInaccessible", Unreadable("why (ImageInaccessible)")),
    ],
)
def test_every_failure_code_has_its_meaning(ecr: Any, code: str, expected: Any) -> None:
    """BatchGetImage reports what it did not find with status 200: none of it is taken for success."""
    asked = ImageId("staging", IMAGE.digest)
    image_id = {"imageTag": "staging", "imageDigest": IMAGE.digest}
    failure = {"imageId": image_id, "failureCode": code, "failureReason": "why"}
    ecr.add_response("batch_get_image", batch(failures=[failure]))

    if isinstance(expected, Missing | Unreadable):
        assert EcrRegistry(ecr.client).read(REPOSITORY, [asked]) == {asked: expected}
    else:
        with pytest.raises(expected, match=code):
            EcrRegistry(ecr.client).read(REPOSITORY, [asked])


def test_an_id_without_an_answer_is_a_failure_of_the_registry(ecr: Any) -> None:
    """Silence is not taken for absence."""
    ecr.add_response("batch_get_image", batch())

    with pytest.raises(RegistryError, match="staging"):
        EcrRegistry(ecr.client).read(REPOSITORY, [TAG])


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("InvalidParameterException", InvalidRequest),
        ("RepositoryNotFoundException", RepositoryNotFound),
        ("LimitExceededException", LimitExceeded),
        ("LayersNotFoundException", LayersMissing),
        ("ReferencedImagesNotFoundException", ChildrenMissing),
        ("ImageDigestDoesNotMatchException", DigestMismatch),
        ("ThrottlingException", Throttled),
        ("KmsException", RegistryError),
        ("ServerException", RegistryError),
        ("AccessDeniedException", RegistryError),
        ("SomethingNew", RegistryError),
    ],
)
def test_every_error_of_put_image_has_its_answer(ecr: Any, code: str, expected: type[PromoterError]) -> None:
    """Translated in one table, with ECR's code and message kept for people."""
    ecr.add_client_error("put_image", code, "what ECR says", http_status_code=400)

    with pytest.raises(expected, match=f"what ECR says .{code}."):
        EcrRegistry(ecr.client).put(REPOSITORY, IMAGE, "prod")


@pytest.mark.parametrize("code", ["ImageAlreadyExistsException", "ImageTagAlreadyExistsException"])
@pytest.mark.parametrize(("retries", "moved"), [(0, False), (1, True)])
def test_a_tag_that_is_there_already_is_read_back(ecr: Any, code: str, retries: int, *, moved: bool) -> None:
    """On the same digest all is well; after a retry of the SDK it was this very call that put it."""
    ecr.add_client_error("put_image", code, response_meta={"RetryAttempts": retries})
    ecr.add_response("batch_get_image", batch(answered(tag="prod")))

    assert EcrRegistry(ecr.client).put(REPOSITORY, IMAGE, "prod") is moved


def test_an_immutable_tag_on_another_digest_stays(ecr: Any) -> None:
    """Read back, and found elsewhere."""
    ecr.add_client_error("put_image", "ImageTagAlreadyExistsException")
    ecr.add_response("batch_get_image", batch(answered(OTHER.body, tag="prod", digest=OTHER.digest)))

    with pytest.raises(TagImmutable):
        EcrRegistry(ecr.client).put(REPOSITORY, IMAGE, "prod")


def test_put_image_carries_everything_that_keeps_bytes_safe(ecr: Any) -> None:
    """Digest and media type go along, so that ECR checks what it stores."""
    ecr.add_response(
        "put_image",
        {},
        {
            "registryId": ACCOUNT,
            "repositoryName": "team/web",
            "imageManifest": '{"a": 1}\n',
            "imageManifestMediaType": IMAGE.media_type,
            "imageTag": "prod",
            "imageDigest": IMAGE.digest,
        },
    )

    assert EcrRegistry(ecr.client).put(REPOSITORY, IMAGE, "prod") is True


@pytest.mark.parametrize("call", ["read", "put"])
def test_a_registry_that_does_not_answer_is_a_retryable_failure(
    call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No exception of the SDK reaches the core."""
    client = boto3.client("ecr", region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="x")

    def time_out(*_: Any, **__: Any) -> None:
        raise ConnectTimeoutError(endpoint_url="nowhere")

    monkeypatch.setattr(client, "_make_api_call", time_out)
    registry = EcrRegistry(client)
    with pytest.raises(RegistryError) as caught:
        registry.read(REPOSITORY, [TAG]) if call == "read" else registry.put(REPOSITORY, IMAGE, "prod")
    assert caught.value.retryable
