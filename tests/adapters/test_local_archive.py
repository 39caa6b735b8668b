"""Archived images (ECR user guide, "Archiving an image"), and failures of BatchGetImage set by a test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local import pusher
from local.aws import LocalAws
from local.pusher import PushedImage
from tests.adapters.conftest import Control, Queue, assert_like_sample

Push = Callable[..., PushedImage]


def moved(ecr: Any, repository: str, image: PushedImage, storage_class: str) -> str:
    """Move the image to a storage class; return its status."""
    answer = ecr.update_image_storage_class(
        repositoryName=repository, imageId={"imageDigest": image.digest}, targetStorageClass=storage_class
    )
    status: str = answer["imageStatus"]
    return status


def listed(ecr: Any, repository: str, **filters: str) -> list[str]:
    """Return the tags that ListImages answers."""
    answer = ecr.list_images(repositoryName=repository, **({"filter": filters} if filters else {}))
    return [image["imageTag"] for image in answer["imageIds"]]


def failure(ecr: Any, repository: str, **image_id: str) -> str | None:
    """Return the failure code that BatchGetImage answers for one id; None if there is none."""
    answer = ecr.batch_get_image(repositoryName=repository, imageIds=[image_id])
    return answer["failures"][0]["failureCode"] if answer["failures"] else None


def test_an_archived_image_cannot_be_read(ecr: Any, local_aws: LocalAws, repository: str, push: Push) -> None:
    """Neither by tag nor by digest nor by docker clients. Other images of the same call are answered."""
    image, other = push("v1", seed="one"), push("v2", seed="two")
    assert moved(ecr, repository, image, "ARCHIVE") == "ARCHIVED"
    ids = [{"imageTag": "v1"}, {"imageDigest": image.digest}, {"imageTag": "v2"}]
    answer = ecr.batch_get_image(repositoryName=repository, imageIds=ids)
    assert [failed["failureCode"] for failed in answer["failures"]] == ["ImageInaccessible"] * 2
    assert [read["imageId"]["imageDigest"] for read in answer["images"]] == [other.digest]
    for reference in ("v1", image.digest):
        with pytest.raises(pusher.PushRefused, match="404"):
            pusher.send("GET", f"http://{local_aws.registry}/v2/{repository}/manifests/{reference}")


def test_only_active_images_are_listed_by_default(ecr: Any, repository: str, push: Push) -> None:
    """`filter.imageStatus` lists the others. DescribeImages answers an image by its id whatever its status is."""
    image = push("v1", seed="one")
    push("v2", seed="two")
    moved(ecr, repository, image, "ARCHIVE")
    assert listed(ecr, repository) == listed(ecr, repository, imageStatus="ACTIVE") == ["v2"]
    assert listed(ecr, repository, imageStatus="ARCHIVED") == ["v1"]
    assert listed(ecr, repository, imageStatus="ACTIVATING") == []
    assert listed(ecr, repository, imageStatus="ANY") == ["v1", "v2"]
    shown = ecr.describe_images(repositoryName=repository, filter={"imageStatus": "ARCHIVED"})["imageDetails"]
    named = ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": "v1"}])["imageDetails"]
    assert shown == named
    assert shown[0]["imageStatus"] == "ARCHIVED"
    assert "lastArchivedAt" in shown[0]


def test_an_image_is_unreadable_until_its_restore_is_finished(
    ecr: Any, repository: str, push: Push, control: Control, queue: Queue, rule: Callable[..., str]
) -> None:
    """Until then its status is ACTIVATING. The event, as AWS prints it, is sent at the end."""
    image = push("v1", seed="one")
    rule(queue.arn)
    moved(ecr, repository, image, "ARCHIVE")
    assert_like_sample(queue.bodies(1)[0], "ecr-image-action.archive.json")
    assert moved(ecr, repository, image, "STANDARD") == "ACTIVATING"
    assert failure(ecr, repository, imageTag="v1") == "ImageInaccessible"
    finished = control("POST", "/restores", {"repositoryName": repository, "imageDigest": image.digest})
    assert finished == (200, {"repositoryName": repository, "imageDigest": image.digest, "imageStatus": "ACTIVE"})
    assert failure(ecr, repository, imageTag="v1") is None
    event = queue.bodies(1)[0]
    assert_like_sample(event, "ecr-image-action.restore.json")
    assert event["detail"]["target-storage-class"] == "STANDARD"
    assert listed(ecr, repository) == ["v1"]


def test_a_restored_referrer_sends_the_event_that_aws_prints(
    ecr: Any,
    local_aws: LocalAws,
    repository: str,
    push: Push,
    control: Control,
    queue: Queue,
    rule: Callable[..., str],
) -> None:
    """Its detail-type tells it from an image, and it names the referrer."""
    image = push("v1", seed="one")
    signature = pusher.push_referrer(local_aws.registry, repository, image, artifact_type="text/sbom+json")
    moved(ecr, repository, signature, "ARCHIVE")
    moved(ecr, repository, signature, "STANDARD")
    rule(queue.arn)
    control("POST", "/restores", {"repositoryName": repository, "imageDigest": signature.digest})
    event = queue.bodies(1)[0]
    assert_like_sample(event, "ecr-referrer-action.restore.json")
    assert (event["detail-type"], event["detail"]["image-digest"]) == ("ECR Referrer Action", signature.digest)


def test_a_restore_that_was_not_begun_cannot_be_finished(repository: str, push: Push, control: Control) -> None:
    """An active image has no restore to finish."""
    image = push("v1", seed="one")
    status, answer = control("POST", "/restores", {"repositoryName": repository, "imageDigest": image.digest})
    assert (status, answer["message"]) == (400, f"{image.digest} is ACTIVE, not ACTIVATING")


@pytest.mark.parametrize("tag", ["v1", "v2", None])
@pytest.mark.parametrize("mutability", ["MUTABLE", "IMMUTABLE"])
def test_a_push_of_an_archived_image_restores_it(
    ecr: Any, repository: str, push: Push, tag: str | None, mutability: str
) -> None:
    """At once, with any tag. The same call for an active image is still refused."""
    image = push("v1", seed="one")
    ecr.put_image_tag_mutability(repositoryName=repository, imageTagMutability=mutability)
    moved(ecr, repository, image, "ARCHIVE")
    again = {"repositoryName": repository, "imageManifest": image.manifest.decode()}
    again |= {"imageTag": tag} if tag else {}
    ecr.put_image(**again)
    assert failure(ecr, repository, imageTag=tag or "v1") is None
    assert listed(ecr, repository, imageStatus="ARCHIVED") == []
    with pytest.raises(ClientError, match="AlreadyExists"):
        ecr.put_image(**again)


def test_an_archived_image_can_be_deleted(ecr: Any, repository: str, push: Push) -> None:
    """An archived image cannot be pulled, but its owner can delete it."""
    image = push("v1", seed="one")
    moved(ecr, repository, image, "ARCHIVE")
    answer = ecr.batch_delete_image(repositoryName=repository, imageIds=[{"imageTag": "v1"}])
    assert answer["failures"] == []
    with pytest.raises(ClientError, match="ImageNotFoundException"):
        moved(ecr, repository, image, "STANDARD")


def test_a_storage_class_that_does_not_exist_is_refused(ecr: Any, repository: str, push: Push) -> None:
    """The error names the parameter; nothing is archived."""
    image = push("v1", seed="one")
    with pytest.raises(ClientError, match="targetStorageClass"):
        moved(ecr, repository, image, "GLACIER")
    assert listed(ecr, repository) == ["v1"]


@pytest.mark.parametrize("code", ["KmsError", "UpstreamUnavailable", "ImageInaccessible"])
def test_a_tag_fails_with_the_code_that_a_test_sets(
    ecr: Any, repository: str, push: Push, control: Control, code: str
) -> None:
    """Only this tag fails, until the code is removed. The image's other tag and its digest are answered."""
    image = push("v1", seed="one")
    ecr.put_image(repositoryName=repository, imageManifest=image.manifest.decode(), imageTag="v2")
    fails = {"repositoryName": repository, "imageTag": "v1", "failureCode": code}
    assert control("POST", "/failures", fails) == (200, {"failures": {"v1": code}})
    ids = [{"imageTag": "v1"}, {"imageTag": "v2"}, {"imageDigest": image.digest}]
    for _ in range(2):
        answer = ecr.batch_get_image(repositoryName=repository, imageIds=ids)
        assert [failed["failureCode"] for failed in answer["failures"]] == [code]
        assert len(answer["images"]) == 2
    assert control("POST", "/failures", fails | {"failureCode": None}) == (200, {"failures": {}})
    assert failure(ecr, repository, imageTag="v1") is None


def test_an_unknown_failure_code_is_refused(repository: str, control: Control) -> None:
    """Only codes that BatchGetImage can answer are accepted; the message names the member."""
    fails = {"repositoryName": repository, "imageTag": "v1", "failureCode": "Nonsense"}
    status, answer = control("POST", "/failures", fails)
    assert (status, "failureCode" in answer["message"]) == (400, True)
