"""`make demo`: the main job from nothing, told step by step; leaves nothing running."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local import process, pusher
from local.aws import LocalAws
from local.deploy import PROJECT, deploy
from local.pusher import PushedImage

REPOSITORY, UPSTREAM = "team/web", "upstream"
IN_TIME = 30.0  # seconds for an event to arrive


class DemoFailed(Exception):
    """Something did not happen as promised; the text says what."""


@dataclass(frozen=True)
class Stage:
    """The local AWS with the stack on it, and what the story does there."""

    aws: LocalAws
    api_url: str

    def tags(self) -> dict[str, str]:
        """Return the repository's tags and their digests."""
        answer = self.aws.client("ecr").list_images(repositoryName=REPOSITORY, filter={"tagStatus": "TAGGED"})
        return {image["imageTag"]: image["imageDigest"] for image in answer["imageIds"]}

    def show_tags(self) -> None:
        """Print them."""
        for tag, digest in sorted(self.tags().items()):
            print(f"   {REPOSITORY}:{tag:<12} {digest[:23]}…")

    def scanned(self, digest: str, *findings: Any) -> None:
        """Finish the vulnerability scan of one platform, as ECR does by itself in AWS."""
        scan = {"repositoryName": REPOSITORY, "imageDigest": digest, "scanner": "basic", "status": "COMPLETE"}
        body = json.dumps(scan | {"findings": findings, "announce": True}).encode()
        urllib.request.urlopen(f"{self.aws.endpoint_url}/_local/scans", body, timeout=30).close()

    def call(self, body: dict[str, Any], path: str = "/promotions") -> dict[str, Any]:
        """Call the API with curl, signed with SigV4; print what a user would see."""
        print(f"   curl --aws-sigv4 … -d '{json.dumps(body)}' $PROMOTER_API_URL{path}")
        words = ["--aws-sigv4", f"aws:amz:{self.aws.region}:execute-api", "-H", "content-type: application/json"]
        user = f"{self.aws.access_key_id}:{self.aws.secret_access_key}"
        command = ["curl", "-sS", *words, "--user", user, "-d", json.dumps(body), f"{self.api_url}{path}"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        answer: dict[str, Any] = json.loads(done.stdout)
        for image in answer.get("images", []):
            print(f"   {image['outcome']}  {image['imageId']['imageTag']}, before: {image['previousDigest']}")
        if "code" in answer:
            print(f"   {answer['status']} {answer['code']}: {answer['detail']}")
        return answer


def step(number: int, text: str) -> None:
    """Print a headline."""
    print(f"\n{number}. {text}", flush=True)


def require(holds: bool, promise: str) -> None:
    """Stop the story where it is not true. Raises DemoFailed."""
    if not holds:
        raise DemoFailed(promise)


def eventually(condition: Callable[[], bool], promise: str) -> None:
    """Wait until the condition holds. Raises DemoFailed when it takes too long."""
    deadline = time.monotonic() + IN_TIME
    while not condition():
        require(time.monotonic() < deadline, f"{promise}, within {IN_TIME:.0f} s")
        time.sleep(0.1)


def push(aws: LocalAws, tag: str) -> PushedImage:
    """Push an image of two platforms with skopeo, where it is installed, or with our own small client."""
    if not shutil.which("skopeo"):
        print("   skopeo is not installed: pushed with the project's own client over the registry API")
        return pusher.push_index(aws.registry, REPOSITORY, tag, seed=tag)
    pushed = pusher.push_index(aws.registry, UPSTREAM, tag, seed=tag)
    words = ["--quiet", "--all", "--src-tls-verify=false", "--dest-tls-verify=false"]
    credentials = ["--src-creds=AWS:x", "--dest-creds=AWS:x"]
    places = [f"docker://{aws.registry}/{name}:{tag}" for name in (UPSTREAM, REPOSITORY)]
    print(f"   skopeo copy --all … docker://$REGISTRY/{REPOSITORY}:{tag}")
    subprocess.run(["skopeo", "copy", *words, *credentials, *places], check=True)
    return pushed


def story(stage: Stage) -> None:
    """Tell it. Raises DemoFailed where a promise does not hold."""
    ecr = stage.aws.client("ecr")
    for name in (REPOSITORY, UPSTREAM):
        ecr.create_repository(repositoryName=name)
    step(3, "A build pushes an image of two platforms")
    image = push(stage.aws, "build-42")
    stage.show_tags()

    step(4, "The scans of its platforms finish clean: EventBridge wakes the function, which promotes to staging")
    for platform, child in image.children.items():
        print(f"   scan of {platform} finished, nothing found")
        stage.scanned(child.digest)
    eventually(lambda: stage.tags().get("staging-42") == image.digest, "the scans should have put staging-42")
    stage.show_tags()

    step(5, "Another build has a critical vulnerability on one platform: staging stays where it is")
    bad = push(stage.aws, "build-43")
    findings = [{"id": "CVE-2026-1234", "severity": "CRITICAL", "package": "openssl"}]
    for platform, child in bad.children.items():
        stage.scanned(child.digest, *(findings if platform == "linux/arm64" else []))
    answer = stage.call(
        {"repositoryName": REPOSITORY, "source": {"imageTag": "build-43"}, "imageTags": ["canary"]}
    )
    require(answer.get("code") == "gate_refused", "the gate should have refused build-43")
    require(stage.tags()["staging"] == image.digest, "staging should not have moved")

    step(6, "A pipeline promotes what is staging to prod and names a version, over HTTP")
    ask = {"repositoryName": REPOSITORY, "source": {"imageTag": "staging"}}
    answer = stage.call(ask | {"imageTags": ["prod", "v1.0.0"]})
    require(answer.get("outcome") == "PROMOTED", "the call should have promoted")

    step(7, "The pipeline runs again: nothing to do, nothing written")
    answer = stage.call(ask | {"imageTags": ["prod"]})
    require(answer.get("outcome") == "UNCHANGED", "the repeat should be unchanged")

    step(8, "Somebody tries to go from the build to prod past staging: no rule allows it")
    answer = stage.call(ask | {"source": {"imageTag": "build-42"}, "imageTags": ["prod"]})
    require(answer.get("code") == "not_allowed", "the shortcut should be refused")

    step(9, "The next build goes the same way to prod, and is taken back")
    following = push(stage.aws, "build-44")
    for child in following.children.values():
        stage.scanned(child.digest)
    eventually(lambda: stage.tags().get("staging") == following.digest, "the scans should have moved staging")
    answer = stage.call(ask | {"imageTags": ["prod"]})
    require(stage.tags()["prod"] == following.digest, "prod should be build-44")
    answer = stage.call({}, f"/promotions/{answer['promotionId']}/rollback")
    require(answer.get("outcome") == "PROMOTED", "the rollback should have moved prod")

    step(10, "prod is byte for byte the image that was pushed, with all its platforms")
    stage.show_tags()
    names = [{"imageTag": "build-42"}, {"imageTag": "prod"}]
    images = ecr.batch_get_image(repositoryName=REPOSITORY, imageIds=names)["images"]
    before, after = (each["imageManifest"] for each in images)
    require(before == after, "the manifests should be the same bytes")
    for entry in json.loads(after)["manifests"]:
        print(f"   {entry['platform']['os']}/{entry['platform']['architecture']:<8} {entry['digest'][:23]}…")


def main() -> int:
    """Run the demo; return the exit code."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ecr-promoter-") as folder:
        directory = Path(folder)
        try:
            step(1, "A local AWS starts, IAM enforced")
            aws = process.start(directory)
            print(f"   {aws.endpoint_url}")
            step(2, "The real CDK command line deploys the real stack with promotions.yaml (about 20 s)")
            variables = deploy(aws, directory, PROJECT / "promotions.yaml")
            story(Stage(aws, variables["PROMOTER_API_URL"]))
        except DemoFailed as error:
            print(f"\nFAILED: {error}")
            return 1
        finally:
            process.stop(directory)
    seconds = time.monotonic() - started
    print(
        f"\nDone in {seconds:.0f} s: promoted by scans and by calls, refused, taken back; nothing is left running."
    )
    return 0
