"""Requests that wait on the deployed stack: what wakes them, and what is announced of them."""

from __future__ import annotations

from typing import Any

import pytest

from local import pusher
from local.oci import OCI_INDEX
from tests.e2e.conftest import Consumer, Image, Stack, ask, eventually

NOTATION = "application/vnd.cncf.notary.signature"
PROFILE = "arn:aws:signer:us-east-1:123456789012:/signing-profiles/release"


def accepted(stack: Stack, image: Image, image_tag: str) -> str:
    """Have a request accepted to wait; return its promotionId."""
    status, waiting = stack.post(ask(image.repository, imageTag=image_tag, wait=True))
    assert (status, waiting["outcome"]) == (202, "WAITING")
    return str(waiting["promotionId"])


def ended(stack: Stack, promotion_id: str) -> dict[str, Any]:
    """Wait until a promotion has ended; return its record."""
    return eventually(
        lambda: stack.call("GET", f"/promotions/{promotion_id}")[1],
        lambda record: record.get("outcome") not in (None, "WAITING"),
    )


def test_a_request_waits_for_its_scans_and_is_announced_at_both_ends(
    stack: Stack, image: Image, consumer: Consumer
) -> None:
    """The event of the last scan carries it out. Tries in between are not announced."""
    promotion_id = accepted(stack, image, "gated")
    (waits,) = consumer.heard(image.repository)

    for platform in image.platforms:
        stack.scan(image.repository, platform)

    assert ended(stack, promotion_id)["outcome"] == "PROMOTED"
    assert stack.tags(image.repository)["gated"] == image.digest
    (end,) = consumer.heard(image.repository)
    assert [each["detail-type"] for each in (waits, end)] == ["Promotion Waiting", "Image Promoted"]
    assert {each["detail"]["promotionId"] for each in (waits, end)} == {promotion_id}
    assert waits["detail"]["waitingFor"] == ["scan_pending"]


def refer(stack: Stack, image: Image) -> None:
    subject = pusher.PushedImage(image.digest, OCI_INDEX, _manifest(stack, image))
    pusher.push_referrer(stack.aws.registry, image.repository, subject, artifact_type=NOTATION)


def tag(stack: Stack, image: Image) -> None:
    signature = f"{image.digest.replace(':', '-')}.sig"
    pusher.push_image(stack.aws.registry, image.repository, signature, seed="signature")


def sign(stack: Stack, image: Image) -> None:
    document = {"repositoryName": image.repository, "imageDigest": image.digest, "signingProfileArn": PROFILE}
    stack.local("signatures", document)


@pytest.mark.parametrize(
    ("signs", "image_tag"),
    [(refer, "signed"), (tag, "signed"), (sign, "signed"), (sign, "managed")],
    ids=["referrer", "tag", "managed", "managed by a profile"],
)
def test_a_request_waits_for_its_signature(stack: Stack, image: Image, signs: Any, image_tag: str) -> None:
    """Its event carries the request out, without a run of reconcile."""
    promotion_id = accepted(stack, image, image_tag)

    signs(stack, image)

    assert ended(stack, promotion_id)["outcome"] == "PROMOTED"
    assert stack.tags(image.repository)[image_tag] == image.digest


def _manifest(stack: Stack, image: Image) -> bytes:
    ids = [{"imageDigest": image.digest}]
    answer = stack.client("ecr").batch_get_image(repositoryName=image.repository, imageIds=ids)
    return str(answer["images"][0]["imageManifest"]).encode()
