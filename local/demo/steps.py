"""The steps of the demo. Each prints a headline, acts, and checks what it promised."""

from __future__ import annotations

import json
from collections.abc import Callable

from local.demo.stack import REPOSITORY, DeployedStack, short
from local.pusher import PushedImage
from local.waiting import wait_until

EVENT_WITHIN = 30.0  # seconds from an event to the promotion that it triggers
FROM_STAGING = {"repositoryName": REPOSITORY, "source": {"imageTag": "staging"}}


class DemoFailed(Exception):
    """A step did not do what it promised; the text says what should have happened."""


def run_all(stack: DeployedStack) -> None:
    """Run the steps that follow the deployment. Raises DemoFailed."""
    stack.create_repositories()
    image = push_an_image(stack)
    promote_by_scans(stack, image)
    refuse_a_vulnerable_image(stack, image)
    promote_by_request(stack)
    repeat_the_request(stack)
    refuse_to_skip_staging(stack)
    roll_back(stack)
    compare_the_bytes(stack)


def push_an_image(stack: DeployedStack) -> PushedImage:
    """Push build-42."""
    headline(3, "A build pushes an image for two platforms, with the tag build-42")
    image = stack.push("build-42")
    stack.show_tags()
    return image


def promote_by_scans(stack: DeployedStack, image: PushedImage) -> None:
    """Finish the scans of build-42 without findings; the events promote it to staging."""
    headline(4, "The scans of both platforms find nothing; the scan events trigger the promotion to staging")
    stack.finish_scans(image)
    eventually(lambda: stack.tags().get("staging-42") == image.digest, "the scans should promote build-42")
    stack.show_tags()


def refuse_a_vulnerable_image(stack: DeployedStack, in_staging: PushedImage) -> None:
    """Push build-43 with a critical finding; neither the scan nor a request promotes it."""
    headline(
        5, "build-43 has a critical vulnerability on one platform: neither its scans nor a request promote it"
    )
    image = stack.push("build-43")
    finding = {"id": "CVE-2026-1234", "severity": "CRITICAL", "package": "openssl"}
    stack.finish_scans(image, {"linux/arm64": [finding]})
    answer = stack.call(FROM_STAGING | {"source": {"imageTag": "build-43"}, "imageTags": ["canary"]})
    require(answer.get("code") == "gate_refused", "the gate should refuse build-43")
    require(stack.tags()["staging"] == in_staging.digest, "staging should not move to build-43")
    print(f"   {REPOSITORY}:{'staging':<12} {short(in_staging.digest)}  (unchanged)")


def promote_by_request(stack: DeployedStack) -> None:
    """Promote the image of staging to prod and to a version."""
    headline(6, "A pipeline asks the API to promote the image of staging to prod and to the version tag v1.0.0")
    answer = stack.call(FROM_STAGING | {"imageTags": ["prod", "v1.0.0"]})
    require(answer.get("outcome") == "PROMOTED", "the request should promote the image")


def repeat_the_request(stack: DeployedStack) -> None:
    """Send the request again."""
    headline(7, "The pipeline runs again: prod has this image already, so nothing is written")
    answer = stack.call(FROM_STAGING | {"imageTags": ["prod"]})
    require(answer.get("outcome") == "UNCHANGED", "the repeated request should change nothing")


def refuse_to_skip_staging(stack: DeployedStack) -> None:
    """Ask for prod from a build tag."""
    headline(8, "Somebody asks to promote build-42 to prod without staging: no rule of the policy allows it")
    answer = stack.call(FROM_STAGING | {"source": {"imageTag": "build-42"}, "imageTags": ["prod"]})
    require(answer.get("code") == "not_allowed", "the request that skips staging should be refused")


def roll_back(stack: DeployedStack) -> None:
    """Promote build-44 to prod and undo it."""
    headline(9, "build-44 is promoted to staging by its scans and to prod by a request; then prod is rolled back")
    image = stack.push("build-44")
    stack.finish_scans(image)
    eventually(lambda: stack.tags().get("staging") == image.digest, "the scans should promote build-44")
    promoted = stack.call(FROM_STAGING | {"imageTags": ["prod"]})
    require(stack.tags()["prod"] == image.digest, "prod should be build-44")
    answer = stack.call({}, f"/promotions/{promoted['promotionId']}/rollback")
    require(answer.get("outcome") == "PROMOTED", "the rollback should move prod back")


def compare_the_bytes(stack: DeployedStack) -> None:
    """Compare prod with the image that was pushed in the beginning."""
    headline(10, "The result: prod is build-42 again, byte for byte, with all its platforms")
    stack.show_tags()
    pushed, promoted = stack.manifests("build-42", "prod")
    require(pushed == promoted, "the manifests of build-42 and prod should be the same bytes")
    print("   platforms of prod:")
    for entry in json.loads(promoted)["manifests"]:
        platform = f"{entry['platform']['os']}/{entry['platform']['architecture']}"
        print(f"   {platform:<21} {short(entry['digest'])}")


def headline(number: int, text: str) -> None:
    """Print the number and the headline of a step."""
    print(f"\n{number}. {text}", flush=True)


def require(holds: bool, promise: str) -> None:
    """Raise DemoFailed with the promise unless it holds."""
    if not holds:
        raise DemoFailed(promise)


def eventually(condition: Callable[[], bool], promise: str) -> None:
    """Wait until the condition holds. Raises DemoFailed when it takes too long."""
    require(wait_until(condition, seconds=EVENT_WITHIN), f"{promise} within {EVENT_WITHIN:.0f} s")
