"""BatchGetImage of the local AWS: an answer for each id, exact bytes by digest, ECR's translation by tag."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.aws import LocalAws
from local.oci import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, sha256
from local.pusher import PushedImage, push_image, push_index

UNKNOWN = f"sha256:{'0' * 64}"


@pytest.fixture
def image(local_aws: LocalAws, repository: str) -> PushedImage:
    """Push a Docker image with the tag build-1."""
    return push_image(local_aws.registry, repository, "build-1", seed="one", media_type=DOCKER_MANIFEST)


def test_each_id_is_answered_once(ecr: Any, repository: str, image: PushedImage) -> None:
    """An answer has the tag only if the id has it. Every id that fails has a failure code."""
    asked = [
        {"imageTag": "build-1"},
        {"imageDigest": image.digest},
        {"imageTag": "build-1", "imageDigest": image.digest},
        {"imageTag": "build-1", "imageDigest": UNKNOWN},
        {"imageTag": "none"},
        {"imageDigest": UNKNOWN},
        {"imageTag": "none", "imageDigest": UNKNOWN},
        {"imageDigest": "latest"},
        {"imageTag": "a b"},
        {},
    ]
    answer = ecr.batch_get_image(repositoryName=repository, imageIds=asked)
    assert [found["imageId"] for found in answer["images"]] == [
        {"imageTag": "build-1", "imageDigest": image.digest},
        {"imageDigest": image.digest},
        {"imageTag": "build-1", "imageDigest": image.digest},
    ]
    assert [failure["imageId"] for failure in answer["failures"]] == asked[3:]
    assert [failure["failureCode"] for failure in answer["failures"]] == [
        "ImageTagDoesNotMatchDigest",
        "ImageNotFound",
        "ImageNotFound",
        "ImageNotFound",
        "InvalidImageDigest",
        "InvalidImageTag",
        "MissingDigestAndTag",
    ]


def test_bytes_come_back_as_they_were_pushed(ecr: Any, local_aws: LocalAws, repository: str) -> None:
    """With indentation and newlines, which the digest depends on. PutImage and docker push use the same store."""
    index = push_index(local_aws.registry, repository, "v1", seed="index", attestations=True)
    answer = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": "v1"}])["images"][0]
    assert answer["imageManifest"].encode() == index.manifest
    assert sha256(index.manifest) == answer["imageId"]["imageDigest"]
    assert answer["imageManifestMediaType"] == OCI_INDEX


def test_by_tag_a_type_that_is_not_accepted_is_translated(ecr: Any, repository: str, image: PushedImage) -> None:
    """The answered digest is then not that of the answered bytes; a reader must notice this (roadmap#1075)."""
    answer = ecr.batch_get_image(
        repositoryName=repository, imageIds=[{"imageTag": "build-1"}], acceptedMediaTypes=[OCI_MANIFEST]
    )["images"][0]
    assert answer["imageManifestMediaType"] == json.loads(answer["imageManifest"])["mediaType"] == OCI_MANIFEST
    assert answer["imageId"]["imageDigest"] == image.digest
    assert sha256(answer["imageManifest"].encode()) != image.digest


@pytest.mark.parametrize("accepted", [[OCI_MANIFEST], [DOCKER_MANIFEST], [OCI_INDEX]])
def test_by_digest_nothing_is_translated(
    ecr: Any, repository: str, image: PushedImage, accepted: list[str]
) -> None:
    """Whatever types are accepted: "manifest translation is only available when pulling by tag" (roadmap#1075)."""
    answer = ecr.batch_get_image(
        repositoryName=repository,
        imageIds=[{"imageTag": "build-1", "imageDigest": image.digest}],
        acceptedMediaTypes=accepted,
    )["images"][0]
    assert answer["imageManifest"].encode() == image.manifest


def test_more_than_a_hundred_ids_are_refused(ecr: Any, repository: str) -> None:
    """A limit of the service model, which boto3 does not check."""
    ids = [{"imageTag": f"t{number}"} for number in range(101)]
    assert len(ecr.batch_get_image(repositoryName=repository, imageIds=ids[:100])["failures"]) == 100
    with pytest.raises(ClientError, match=r"InvalidParameterException.*'imageIds'"):
        ecr.batch_get_image(repositoryName=repository, imageIds=ids)
