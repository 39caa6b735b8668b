"""The real stack, deployed by the real CDK command line to a local AWS with IAM enforced, once for all tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import jsonschema
import pytest

from local import process, pusher
from local.aws import LocalAws
from local.deploy import deploy
from tests.support import described

T = TypeVar("T")

EVENTS = jsonschema.Draft202012Validator(
    json.loads((Path(__file__).parents[2] / "docs" / "reference" / "events.schema.json").read_text())
)
"""What docs/reference/events.md promises of announcements."""


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
        """Call `POST /promotions`; return the status and the document."""
        return self.call("POST", "/promotions", body, signed=signed, user=user)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Sequence[str] = (),
        signed: bool = True,
        user: tuple[str, str] | None = None,
    ) -> tuple[int, dict[str, Any]]:
        """Call the API with curl, as the README shows it; return the status and the document."""
        key, secret = user or (self.aws.access_key_id, self.aws.secret_access_key)
        signature = ["--aws-sigv4", f"aws:amz:{self.aws.region}:execute-api", "--user", f"{key}:{secret}"]
        text = body if isinstance(body, str) else json.dumps(body)
        done = subprocess.run(
            ["curl", "--silent", "--show-error", "--max-time", "120", "--write-out", "\n%{http_code}"]
            + ["--request", method, *(part for header in headers for part in ("-H", header))]
            + (signature if signed else [])
            + (["-H", "content-type: application/json", "--data-binary", "@-"] if body is not None else [])
            + [f"{self.variables['PROMOTER_API_URL']}{path}"],
            input=text.encode("utf-8", "surrogatepass"),
            capture_output=True,
            check=True,
        )
        answer, _, status = done.stdout.decode().rpartition("\n")
        document = json.loads(answer)
        if int(status) < 400 or "code" in document:  # API Gateway's own refusals have no code
            described.require_described(method, path, int(status), document)
        return int(status), document

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
        """Finish the scan of one manifest: the registry knows the findings and the event goes out."""
        document = {"repositoryName": repository, "imageDigest": digest, "scanner": scanner, "status": "COMPLETE"}
        self.local("scans", document | {"findings": [], "announce": True} | members)

    def records(self, text: str) -> list[dict[str, Any]]:
        """Return the function's log records that hold the text."""
        pages = self.client("logs").get_paginator("filter_log_events")
        lines = [
            event["message"]
            for page in pages.paginate(logGroupName=self.variables["PROMOTER_LOG_GROUP"])
            for event in page["events"]
        ]
        return [json.loads(line[line.index("{") :]) for line in lines if text in line and '"level"' in line]

    def settle(self, repository: str, *, events: int) -> None:
        """Wait until the function has told what it did about so many events of the repository."""
        eventually(lambda: len(self.records(repository)), lambda told: told >= events)

    def calls(self) -> list[dict[str, Any]]:
        """Return the calls that the server saw since they were cleared."""
        seen: list[dict[str, Any]] = self.local("calls", method="GET")["calls"]
        return seen

    def ecr_calls(self, *repositories: str) -> list[str]:
        """Return the ECR operations among them that are about a test's own repositories.

        Events of other tests may still be served meanwhile.
        """
        return [call["operation"] for call in self.calls() if call.get("repository") in repositories]


def eventually(look: Callable[[], T], holds: Callable[[T], bool], *, seconds: float = 30) -> T:
    """Look until what is seen holds; fail with the last sight of it."""
    deadline = time.monotonic() + seconds
    while not holds(seen := look()):
        assert time.monotonic() < deadline, f"still {seen!r} after {seconds} s"
        time.sleep(0.05)
    return seen


@pytest.fixture(scope="session")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The policy of these tests, with an exemption that ends tomorrow."""
    text = Path(__file__).with_name("policy.yaml").read_text()
    file = tmp_path_factory.mktemp("policy") / "promotions.yaml"
    file.write_text(text.replace("TOMORROW", str((datetime.now(UTC) + timedelta(days=1)).date())))
    return file


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, policy: Path) -> Iterator[Stack]:
    """Deploy once; the retries of asynchronous invocations come quickly here."""
    directory = tmp_path_factory.mktemp("local-aws")
    aws = process.start(directory, retry_seconds=0.1)
    try:
        yield Stack(aws, deploy(aws, directory, policy))
    finally:
        process.stop(directory)


@dataclass(frozen=True)
class Image:
    """A pushed index: its repository, digest and tag, and the digests of its platforms."""

    repository: str
    digest: str
    tag: str
    platforms: tuple[str, ...]


def ask(repository: str, **members: Any) -> dict[str, Any]:
    """Return the body of a request that wants `prod` on `candidate`, changed by the members given."""
    return {"repositoryName": repository, "source": {"imageTag": "candidate"}, "imageTag": "prod"} | members


def push(stack: Stack, tag: str) -> Image:
    """Push an index of two platforms and their two attestations, as buildx makes it, into a new repository."""
    repository = stack.repository()
    pushed = pusher.push_index(stack.aws.registry, repository, tag, seed=repository, attestations=True)
    return Image(repository, pushed.digest, tag, tuple(child.digest for child in pushed.children.values()))


@pytest.fixture
def image(stack: Stack) -> Image:
    """An index with a tag that no scan rule knows: nothing happens to it by itself."""
    return push(stack, "candidate")


@pytest.fixture
def build(stack: Stack) -> Image:
    """An index with a tag that a scan rule waits for."""
    return push(stack, "build-7")


@dataclass(frozen=True)
class Consumer:
    """Somebody who listens to announcements: a rule of its own, and a queue."""

    stack: Stack
    queue: str

    def heard(self, repository: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait until so many announcements of the repository are there; return all that came."""
        events: list[dict[str, Any]] = []

        def look() -> int:
            for message in self._take():
                event = json.loads(message["Body"])
                if event["detail"]["repositoryName"] == repository:
                    EVENTS.validate(event["detail"])
                    events.append(event)
            return len(events)

        eventually(look, lambda seen: seen >= count)
        return events

    def _take(self) -> list[dict[str, Any]]:
        sqs = self.stack.client("sqs")
        taken = sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages", [])
        for message in taken:
            sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return list(taken)


@pytest.fixture
def consumer(stack: Stack) -> Iterator[Consumer]:
    """A consumer of everything that is announced, as docs/reference/events.md shows it."""
    name = f"consumer-{uuid.uuid4().hex[:8]}"
    sqs, events = stack.client("sqs"), stack.client("events")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allowed = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage"}
    statement = {"Version": "2012-10-17", "Statement": [allowed | {"Resource": arn}]}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(statement)})
    events.put_rule(Name=name, EventPattern=json.dumps({"source": ["ecr-promoter"]}))
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])
    yield Consumer(stack, url)
    events.remove_targets(Rule=name, Ids=["queue"])
    events.delete_rule(Name=name)
