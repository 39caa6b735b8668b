"""The operations of the local AWS's ECR that list, describe and delete images."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.aws import LocalAws
from local.oci import OCI_INDEX, OCI_MANIFEST
from local.pusher import push_image, push_index, push_referrer
from tests.adapters.conftest import Control


def test_images_are_listed_in_the_order_of_their_pushes(ecr: Any, local_aws: LocalAws, repository: str) -> None:
    """Push times differ even within a second. Every page continues after the last one."""
    pushed = [push_image(local_aws.registry, repository, f"t{number}", seed=f"{number}") for number in range(5)]
    pages = ecr.get_paginator("describe_images").paginate(
        repositoryName=repository, PaginationConfig={"PageSize": 2}
    )
    details = [detail for page in pages for detail in page["imageDetails"]]
    times = [detail["imagePushedAt"] for detail in details]
    assert [detail["imageDigest"] for detail in details] == [image.digest for image in pushed]
    assert times == sorted(set(times))


def test_a_tag_does_not_change_when_an_image_was_pushed(ecr: Any, local_aws: LocalAws, repository: str) -> None:
    """The push time belongs to the image: after a promotion it still shows which image is older."""
    image = push_image(local_aws.registry, repository, "a", seed="one")
    ids = [{"imageDigest": image.digest}]
    before = ecr.describe_images(repositoryName=repository, imageIds=ids)["imageDetails"][0]
    ecr.put_image(
        repositoryName=repository,
        imageManifest=image.manifest.decode(),
        imageManifestMediaType=OCI_MANIFEST,
        imageTag="b",
    )
    after = ecr.describe_images(repositoryName=repository, imageIds=ids)["imageDetails"][0]
    assert after["imagePushedAt"] == before["imagePushedAt"]
    assert after["imageTags"] == ["a", "b"]


def test_images_are_listed_by_tag_status(ecr: Any, local_aws: LocalAws, repository: str) -> None:
    """ListImages has an id for each tag, and one for each image without a tag. The filter selects."""
    index = push_index(local_aws.registry, repository, "v1", seed="index")
    children = {child.digest for child in index.children.values()}
    untagged = ecr.list_images(repositoryName=repository, filter={"tagStatus": "UNTAGGED"})["imageIds"]
    assert {image_id["imageDigest"] for image_id in untagged} == children
    tagged = ecr.list_images(repositoryName=repository, filter={"tagStatus": "TAGGED"})["imageIds"]
    assert tagged == [{"imageDigest": index.digest, "imageTag": "v1"}]
    assert len(ecr.list_images(repositoryName=repository)["imageIds"]) == 3
    assert ecr.list_images(repositoryName=repository, filter={"imageStatus": "ARCHIVED"})["imageIds"] == []


def test_an_image_that_does_not_exist_cannot_be_described(ecr: Any, repository: str) -> None:
    """DescribeImages raises where BatchGetImage reports a failure."""
    with pytest.raises(ClientError, match=r"ImageNotFoundException.*imageTag:'none'"):
        ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": "none"}])


def test_referrers_are_found_by_their_subject(ecr: Any, local_aws: LocalAws, repository: str) -> None:
    """ListImageReferrers lists the manifests whose subject is the image, with filter and pages."""
    image = push_image(local_aws.registry, repository, "v1", seed="one")
    other = push_image(local_aws.registry, repository, "v2", seed="two")
    pushed = [
        push_referrer(local_aws.registry, repository, image, artifact_type=f"application/x-{number}")
        for number in range(3)
    ]
    asked = {"repositoryName": repository, "subjectId": {"imageDigest": image.digest}}
    first = ecr.list_image_referrers(**asked, maxResults=2)
    second = ecr.list_image_referrers(**asked, maxResults=2, nextToken=first["nextToken"])
    digests = [referrer["digest"] for referrer in first["referrers"] + second["referrers"]]
    assert digests == [referrer.digest for referrer in pushed]
    assert "nextToken" not in second
    one = ecr.list_image_referrers(**asked, filter={"artifactTypes": ["application/x-1"]})["referrers"]
    assert [referrer["artifactType"] for referrer in one] == ["application/x-1"]
    assert ecr.list_image_referrers(**(asked | {"subjectId": {"imageDigest": other.digest}}))["referrers"] == []


def test_an_unsigned_image_has_no_signing_status(ecr: Any, local_aws: LocalAws, repository: str) -> None:
    """The local AWS does not sign images by itself."""
    push_image(local_aws.registry, repository, "v1", seed="one")
    answer = ecr.describe_image_signing_status(repositoryName=repository, imageId={"imageTag": "v1"})
    assert answer["signingStatuses"] == []


PROFILE = "arn:aws:signer:us-east-1:123456789012:/signing-profiles/release"


def test_an_image_has_a_signing_status_for_each_profile(
    ecr: Any, local_aws: LocalAws, control: Control, repository: str
) -> None:
    """The newest status; a failure has its reason. They are deleted with the image."""
    image = push_image(local_aws.registry, repository, "v1", seed="one")
    asked = {"repositoryName": repository, "imageDigest": image.digest}
    for status in ("IN_PROGRESS", "COMPLETE"):
        assert control("POST", "/signatures", asked | {"signingProfileArn": PROFILE, "status": status})[0] == 200
    failed = {
        "signingProfileArn": f"{PROFILE}_2",
        "status": "FAILED",
        "failureCode": "Denied",
        "failureReason": "r",
    }
    control("POST", "/signatures", asked | failed)
    describe = {"repositoryName": repository, "imageId": {"imageDigest": image.digest}}
    answer = ecr.describe_image_signing_status(**describe)
    assert answer["signingStatuses"] == [{"signingProfileArn": PROFILE, "status": "COMPLETE"}, failed]
    ecr.batch_delete_image(repositoryName=repository, imageIds=[{"imageTag": "v1"}])
    push_image(local_aws.registry, repository, "v1", seed="one")
    assert ecr.describe_image_signing_status(**describe)["signingStatuses"] == []


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({"signingProfileArn": f"{PROFILE}/Abc123"}, "$.signingProfileArn"),
        ({"status": "DONE"}, "$.status"),
        ({"profile": PROFILE}, "profile"),
    ],
)
def test_a_mistake_in_a_signature_names_the_member(
    control: Control, repository: str, members: dict[str, str], place: str
) -> None:
    """400 with a message."""
    document = {"repositoryName": repository, "imageDigest": "sha256:0", "signingProfileArn": PROFILE} | members
    status, answer = control("POST", "/signatures", document)
    assert (status, place in answer["message"]) == (400, True)


def test_an_image_is_deleted_with_its_last_tag(ecr: Any, local_aws: LocalAws, repository: str) -> None:
    """BatchDeleteImage by tag deletes the tag only, while the image has another."""
    image = push_image(local_aws.registry, repository, "a", seed="one")
    push_image(local_aws.registry, repository, "b", seed="one")
    for tag, left in (("a", 1), ("b", 0)):
        answer = ecr.batch_delete_image(repositoryName=repository, imageIds=[{"imageTag": tag}])
        assert answer["imageIds"] == [{"imageDigest": image.digest, "imageTag": tag}]
        assert len(ecr.describe_images(repositoryName=repository)["imageDetails"]) == left


def test_an_image_of_an_index_is_not_deleted(ecr: Any, local_aws: LocalAws, repository: str) -> None:
    """The failure is ImageReferencedByManifestList for as long as the index exists."""
    index = push_index(local_aws.registry, repository, "v1", seed="index")
    child = {"imageDigest": index.children["linux/amd64"].digest}
    answer = ecr.batch_delete_image(repositoryName=repository, imageIds=[child, {"imageTag": "v1"}, child])
    assert [failure["failureCode"] for failure in answer["failures"]] == ["ImageReferencedByManifestList"]
    assert [image_id["imageDigest"] for image_id in answer["imageIds"]] == [index.digest, child["imageDigest"]]


def test_a_repository_that_is_created_again_is_empty(ecr: Any, local_aws: LocalAws, repository: str) -> None:
    """Nothing is left of the deleted one. A repository with images is deleted only with `force`."""
    image = push_image(local_aws.registry, repository, "v1", seed="one")
    with pytest.raises(ClientError, match="RepositoryNotEmptyException"):
        ecr.delete_repository(repositoryName=repository)
    ecr.delete_repository(repositoryName=repository, force=True)
    ecr.create_repository(repositoryName=repository)
    assert ecr.describe_images(repositoryName=repository)["imageDetails"] == []
    with pytest.raises(ClientError, match="LayersNotFoundException"):
        ecr.put_image(repositoryName=repository, imageManifest=image.manifest.decode())


@pytest.mark.parametrize("name", ["Web", "team//web", "-web", "w_", "w" * 257])
def test_a_repository_needs_a_valid_name(ecr: Any, name: str) -> None:
    """The service model has its pattern and length."""
    with pytest.raises(ClientError, match=r"InvalidParameterException.*'repositoryName'"):
        ecr.create_repository(repositoryName=name)


def test_exclusion_filters_need_a_setting_that_uses_them(ecr: Any, repository: str) -> None:
    """A setting that uses filters needs one to five of them."""
    one = {"filterType": "WILDCARD", "filter": "dev-*"}
    for setting, filters in (("IMMUTABLE", [one]), ("IMMUTABLE_WITH_EXCLUSION", [one] * 6)):
        with pytest.raises(ClientError, match="InvalidParameterException"):
            ecr.put_image_tag_mutability(
                repositoryName=repository, imageTagMutability=setting, imageTagMutabilityExclusionFilters=filters
            )
    with pytest.raises(ClientError, match="InvalidParameterException"):
        ecr.put_image_tag_mutability(repositoryName=repository, imageTagMutability="MUTABLE_WITH_EXCLUSION")


def test_an_index_is_described_with_its_media_type(ecr: Any, local_aws: LocalAws, repository: str) -> None:
    """DescribeImages answers the media type with which the index was pushed."""
    push_index(local_aws.registry, repository, "v1", seed="index")
    details = ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": "v1"}])["imageDetails"]
    assert details[0]["imageManifestMediaType"] == OCI_INDEX
