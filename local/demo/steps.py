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
    wait_for_the_scans(stack, image)
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


def wait_for_the_scans(stack: DeployedStack, image: PushedImage) -> None:
    """Ask for canary before the scans of build-42; they finish without findings."""
    headline(4, "A pipeline asks for canary at once, and waits: the scans of the build have not finished")
    asked = stack.start("promote", REPOSITORY, "build-42", "--to", "canary", "--wait")
    require("waiting for scan_pending" in asked.first_line(), "the promotion should wait for the scans")
    stack.finish_scans(image)
    asked.end(exits=0)
    require(stack.tags().get("canary") == image.digest, "the scans should have carried the promotion out")


def promote_by_scans(stack: DeployedStack, image: PushedImage) -> None:
    """See that the same scans have promoted build-42 to staging."""
    headline(5, "The events of the scans have also promoted build-42 to staging, as another rule has it")
    eventually(lambda: stack.tags().get("staging-42") == image.digest, "the scans should promote build-42")
    stack.promoter("heads", REPOSITORY)


def refuse_a_vulnerable_image(stack: DeployedStack, in_staging: PushedImage) -> None:
    """Push build-43 with a critical finding; neither the scan nor a request promotes it."""
    headline(
        6, "build-43 has a critical vulnerability on one platform: neither its scans nor a request promote it"
    )
    image = stack.push("build-43")
    finding = {"id": "CVE-2026-1234", "severity": "CRITICAL", "package": "openssl"}
    stack.finish_scans(image, {"linux/arm64": [finding]})
    stack.promoter("promote", REPOSITORY, "build-43", "--to", "canary", "--wait", exits=3)
    require(stack.tags()["staging"] == in_staging.digest, "staging should not move to build-43")


def promote_by_request(stack: DeployedStack) -> None:
    """Promote the image of staging to prod and to a version."""
    headline(7, "A pipeline promotes the image of staging to prod and to the version tag v1.0.0")
    stack.promoter("promote", REPOSITORY, "staging", "--to", "prod", "--to", "v1.0.0")


def repeat_the_request(stack: DeployedStack) -> None:
    """Send the request again."""
    headline(8, "The pipeline runs again: prod has this image already, so nothing is written")
    stack.promoter("promote", REPOSITORY, "staging", "--to", "prod")


def refuse_to_skip_staging(stack: DeployedStack) -> None:
    """Ask for prod from a build tag, over HTTP."""
    headline(9, "Somebody asks the HTTP API for prod without staging: no rule of the policy allows it")
    answer = stack.call(FROM_STAGING | {"source": {"imageTag": "build-42"}, "imageTags": ["prod"]})
    require(answer.get("code") == "not_allowed", "the request that skips staging should be refused")


def roll_back(stack: DeployedStack) -> None:
    """Promote build-44 to prod and undo it."""
    headline(10, "build-44 is promoted to staging by its scans and to prod by a request; then prod is rolled back")
    image = stack.push("build-44")
    stack.finish_scans(image)
    eventually(lambda: stack.tags().get("staging") == image.digest, "the scans should promote build-44")
    stack.promoter("promote", REPOSITORY, "staging", "--to", "prod")
    require(stack.tags()["prod"] == image.digest, "prod should be build-44")
    stack.promoter("rollback", REPOSITORY, "prod")
    stack.promoter("history", REPOSITORY, "prod")


def compare_the_bytes(stack: DeployedStack) -> None:
    """Compare prod with the image that was pushed in the beginning."""
    headline(11, "The result: prod is build-42 again, byte for byte, with all its platforms")
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
