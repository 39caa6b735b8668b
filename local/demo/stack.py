"""What the demo does with the deployed stack: push, finish scans, call the API, and print each of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local import pusher
from local.aws import LocalAws
from local.pusher import PushedImage

REPOSITORY, UPSTREAM = "team/web", "upstream"
LONGEST_COMMAND = 60.0  # seconds


@dataclass(frozen=True)
class Command:
    """A program that runs."""

    process: subprocess.Popen[str]

    def first_line(self) -> str:
        """Print the first line that it prints, and return it."""
        assert self.process.stdout
        return shown(self.process.stdout.readline())

    def end(self, *, exits: int) -> None:
        """Print what else it prints. Raises RuntimeError unless it ends with this exit code."""
        printed, _ = self.process.communicate(timeout=LONGEST_COMMAND)
        for line in printed.splitlines():
            shown(line)
        if self.process.returncode != exits:
            raise RuntimeError(f"ecr-promoter ended with {self.process.returncode}, not with {exits}.")


def shown(line: str) -> str:
    """Print a line, and return it."""
    print(f"   {line}".rstrip(), flush=True)
    return line


@dataclass(frozen=True)
class DeployedStack:
    """The stack on a local AWS, and the address of its API."""

    aws: LocalAws
    api_url: str

    def create_repositories(self) -> None:
        """Create the repository of the demo, and the one that skopeo copies its images from."""
        for name in (REPOSITORY, UPSTREAM):
            self.aws.client("ecr").create_repository(repositoryName=name)

    def push(self, tag: str) -> PushedImage:
        """Push an image of two platforms with skopeo, or with our own client where skopeo is not installed."""
        if not shutil.which("skopeo"):
            print("   skopeo is not installed, so the project's own client pushes over the registry HTTP API")
            return pusher.push_index(self.aws.registry, REPOSITORY, tag, seed=tag)
        pushed = pusher.push_index(self.aws.registry, UPSTREAM, tag, seed=tag)
        options = ["--quiet", "--all", "--src-tls-verify=false", "--dest-tls-verify=false"]
        credentials = ["--src-creds=AWS:x", "--dest-creds=AWS:x"]
        images = [f"docker://{self.aws.registry}/{name}:{tag}" for name in (UPSTREAM, REPOSITORY)]
        print(f"   skopeo copy --all … docker://$REGISTRY/{REPOSITORY}:{tag}")
        subprocess.run(["skopeo", "copy", *options, *credentials, *images], check=True)
        return pushed

    def finish_scans(self, image: PushedImage, findings: dict[str, list[Any]] | None = None) -> None:
        """Finish the vulnerability scan of every platform, as Amazon ECR does by itself in AWS."""
        for platform, child in image.children.items():
            found = (findings or {}).get(platform, [])
            listed = ", ".join(f"{each['severity']} {each['id']}" for each in found) or "no findings"
            print(f"   scan of {platform} finished: {listed}")
            self.aws.control("POST", "scans", scan(child.digest) | {"findings": found})

    def promoter(self, *line: str, exits: int = 0) -> Command:
        """Run ecr-promoter, print the line and what it prints; it has to end with this exit code."""
        command = self.start(*line)
        command.end(exits=exits)
        return command

    def start(self, *line: str) -> Command:
        """Start ecr-promoter, and print the line."""
        print(f"   $ ecr-promoter {' '.join(line)}", flush=True)
        program = Path(sys.executable).with_name("ecr-promoter")
        environment = os.environ | self.aws.environment() | {"ECR_PROMOTER_API_URL": self.api_url}
        return Command(
            subprocess.Popen(
                [program, *line],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )

    def call(self, body: dict[str, Any]) -> dict[str, Any]:
        """Send a request to the API with curl, signed with SigV4; print the answer and return it."""
        print(f"   $ curl --aws-sigv4 … -d '{json.dumps(body)}' $PROMOTER_API_URL/promotions")
        signature = ["--aws-sigv4", f"aws:amz:{self.aws.region}:execute-api"]
        user = ["--user", f"{self.aws.access_key_id}:{self.aws.secret_access_key}"]
        request = ["-H", "content-type: application/json", "-d", json.dumps(body), f"{self.api_url}/promotions"]
        command = ["curl", "-sS", *signature, *user, *request]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        answer: dict[str, Any] = json.loads(done.stdout)
        print(f"   {answer['status']} {answer['code']}: {answer['detail']}")
        return answer

    def tags(self) -> dict[str, str]:
        """Return the digest of every tag of the repository."""
        answer = self.aws.client("ecr").list_images(repositoryName=REPOSITORY, filter={"tagStatus": "TAGGED"})
        return {image["imageTag"]: image["imageDigest"] for image in answer["imageIds"]}

    def show_tags(self) -> None:
        """Print every tag of the repository with its digest."""
        for tag, digest in sorted(self.tags().items()):
            print(f"   {REPOSITORY}:{tag:<12} {short(digest)}")

    def manifests(self, *tags: str) -> list[str]:
        """Return the manifest of each tag, as BatchGetImage answers it."""
        ids = [{"imageTag": tag} for tag in tags]
        images = self.aws.client("ecr").batch_get_image(repositoryName=REPOSITORY, imageIds=ids)["images"]
        manifests = {image["imageId"]["imageTag"]: image["imageManifest"] for image in images}
        return [manifests[tag] for tag in tags]


def scan(digest: str) -> dict[str, Any]:
    """Return a finished basic scan of an image, which is also announced as an event."""
    image = {"repositoryName": REPOSITORY, "imageDigest": digest}
    return image | {"scanner": "basic", "status": "COMPLETE", "announce": True}


def short(digest: str) -> str:
    """Return the beginning of a digest, which is enough to tell digests apart."""
    return f"{digest[:23]}…"
