"""The real stack, deployed by the real CDK command line to a local AWS with IAM enforced, once for all tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from local import process, pusher
from local.aws import LocalAws
from local.deploy import deploy

T = TypeVar("T")


@dataclass(frozen=True)
class Stack:
    """A deployed stack and the AWS that it is on."""

    aws: LocalAws
    variables: dict[str, str]

    def client(self, service: str, **settings: Any) -> Any:
        """Return a boto3 client, of the administrator unless other credentials are given."""
        return self.aws.client(service, **settings)

    def environment(self) -> dict[str, str]:
        """Return what `.local/env` exports, over an environment without a trace of the user's own AWS."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return kept | self.aws.environment() | self.variables | {"PATH": path}

    def repository(self, prefix: str = "team", **settings: Any) -> str:
        """Create a repository of its own for a test; return its name."""
        name = f"{prefix}/{uuid.uuid4().hex[:8]}"
        self.client("ecr").create_repository(repositoryName=name, **settings)
        return name

    def tags(self, repository: str) -> dict[str, str]:
        """Return the digest of every tag."""
        pages = self.client("ecr").get_paginator("list_images").paginate(repositoryName=repository)
        ids = [image for page in pages for image in page["imageIds"]]
        return {image["imageTag"]: image["imageDigest"] for image in ids if "imageTag" in image}

    def post(
        self, body: Any, *, signed: bool = True, user: tuple[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Call `POST /promotions` with curl, as the README shows it; return the status and the document."""
        key, secret = user or (self.aws.access_key_id, self.aws.secret_access_key)
        signature = ["--aws-sigv4", f"aws:amz:{self.aws.region}:execute-api", "--user", f"{key}:{secret}"]
        text = body if isinstance(body, str) else json.dumps(body)
        done = subprocess.run(
            ["curl", "--silent", "--show-error", "--max-time", "60", "--write-out", "\n%{http_code}"]
            + (signature if signed else [])
            + [
                "-H",
                "content-type: application/json",
                "--data-binary",
                "@-",
                f"{self.variables['PROMOTER_API_URL']}/promotions",
            ],
            input=text.encode("utf-8", "surrogatepass"),
            capture_output=True,
            check=True,
        )
        answer, _, status = done.stdout.decode().rpartition("\n")
        return int(status), json.loads(answer)

    def local(self, path: str, body: Any = None, *, method: str = "POST") -> Any:
        """Drive what AWS does by itself: `scans`, `faults`, `calls`, `images`."""
        request = urllib.request.Request(
            f"{self.aws.endpoint_url}/_local/{path}",
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            text = response.read()
        return json.loads(text) if text else None

    def scan(self, repository: str, digest: str, *, scanner: str = "basic", **members: Any) -> None:
        """Finish a scan: the registry knows the findings and the event goes out."""
        self.local(
            "scans",
            {
                "repositoryName": repository,
                "imageDigest": digest,
                "scanner": scanner,
                "status": "COMPLETE",
                "findings": [],
                "announce": True,
            }
            | members,
        )

    def ecr_calls(self) -> list[str]:
        """Return the ECR operations that the server saw since the calls were cleared."""
        calls = self.local("calls", method="GET")["calls"]
        return [call["operation"] for call in calls if call["service"] == "ecr"]


def eventually(look: Callable[[], T], holds: Callable[[T], bool], *, seconds: float = 30) -> T:
    """Look until what is seen holds; fail with the last sight of it."""
    deadline = time.monotonic() + seconds
    while not holds(seen := look()):
        assert time.monotonic() < deadline, f"still {seen!r} after {seconds} s"
        time.sleep(0.05)
    return seen


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Deploy once; the retries of asynchronous invocations come quickly here."""
    directory = tmp_path_factory.mktemp("local-aws")
    aws = process.start(directory, retry_seconds=0.1)
    try:
        yield Stack(aws, deploy(aws, directory, Path(__file__).with_name("policy.yaml")))
    finally:
        process.stop(directory)


@pytest.fixture
def image(stack: Stack) -> tuple[str, str]:
    """A repository with a multi-platform image tagged build-7; returns the repository and the digest."""
    repository = stack.repository()
    return repository, pusher.push_index(stack.aws.registry, repository, "build-7", seed=repository).digest
