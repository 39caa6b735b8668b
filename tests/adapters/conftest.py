"""A local AWS for the tests of this folder, and what they reach it with."""

from __future__ import annotations

import http.client
import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.model import OperationModel

from local import process
from local.aws import LocalAws
from local.pusher import PushedImage, push_image
from promoter.aws.dynamodb.table import INDEX

Control = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture(scope="session")
def local_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """Run a local AWS of the tests' own; an asynchronous invocation is tried again almost at once."""
    directory = tmp_path_factory.mktemp("local-aws")
    yield process.start(directory, retry_seconds=0.1)
    process.stop(directory)


@pytest.fixture
def ecr(local_aws: LocalAws) -> Any:
    """Return an ECR client that checks each answer against the service model, which boto3 itself does not."""
    client = local_aws.client("ecr")
    client.meta.events.register("before-parse.ecr", _check_answer)
    return client


@pytest.fixture
def repository(ecr: Any) -> str:
    """Create a fresh repository and return its name."""
    name = f"team/{uuid.uuid4().hex[:12]}"
    ecr.create_repository(repositoryName=name)
    return name


@pytest.fixture
def push(local_aws: LocalAws, repository: str) -> Callable[..., PushedImage]:
    """Push an image into the repository: `push(tag, seed=...)`."""
    return partial(push_image, local_aws.registry, repository)


@pytest.fixture
def control(local_aws: LocalAws) -> Control:
    """Call a route under /_local; return the status and the document."""

    def call(method: str, path: str, document: Any = None) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection(local_aws.registry, timeout=30)
        try:
            connection.request(method, f"/_local{path}", None if document is None else json.dumps(document))
            response = connection.getresponse()
            return response.status, json.load(response)
        finally:
            connection.close()

    return call


@pytest.fixture
def faults(control: Control) -> Iterator[Callable[..., None]]:
    """Arm a fault; what is left of it is cleared after the test."""

    def arm(service: str, operation: str, **members: Any) -> None:
        assert control("POST", "/faults", {"service": service, "operation": operation, **members})[0] == 200

    yield arm
    control("DELETE", "/faults")


@dataclass(frozen=True)
class Queue:
    """An SQS queue to which AWS services may send."""

    client: Any
    url: str
    arn: str

    def receive(self, count: int, *, within: float = 15.0) -> list[dict[str, Any]]:
        """Wait for `count` messages and return them with their attributes; fail if they do not come."""
        messages: list[dict[str, Any]] = []
        deadline = time.monotonic() + within
        while len(messages) < count and time.monotonic() < deadline:
            messages += self.client.receive_message(
                QueueUrl=self.url, MaxNumberOfMessages=10, WaitTimeSeconds=1, MessageAttributeNames=["All"]
            ).get("Messages", [])
        assert len(messages) == count, [message["Body"] for message in messages]
        return messages

    def bodies(self, count: int) -> list[dict[str, Any]]:
        """Wait for `count` messages and return what they say."""
        return [json.loads(message["Body"]) for message in self.receive(count)]


@pytest.fixture
def queue(local_aws: LocalAws) -> Queue:
    """Create an empty queue."""
    sqs, name = local_aws.client("sqs"), uuid.uuid4().hex
    arn = f"arn:aws:sqs:{local_aws.region}:{local_aws.account_id}:{name}"
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    return Queue(sqs, sqs.create_queue(QueueName=name, Attributes={"Policy": policy})["QueueUrl"], arn)


@pytest.fixture
def rule(local_aws: LocalAws, repository: str) -> Iterator[Callable[..., str]]:
    """Send the events about the repository to a target from now on; return the rule's ARN."""
    events, names = local_aws.client("events"), []
    # ECR names the repository, Amazon Inspector its ARN.
    pattern = {"detail": {"repository-name": [{"suffix": repository}]}}

    def create(target_arn: str, **target: Any) -> str:
        names.append(uuid.uuid4().hex)
        arn: str = events.put_rule(Name=names[-1], EventPattern=json.dumps(pattern))["RuleArn"]
        events.put_targets(Rule=names[-1], Targets=[{"Id": "target", "Arn": target_arn, **target}])
        return arn

    yield create
    for name in names:
        events.remove_targets(Rule=name, Ids=["target"])
        events.delete_rule(Name=name)


def assert_like_sample(event: dict[str, Any], name: str) -> None:
    """Compare an event's members with a sample that AWS published, if the corpus is there (PROMOTER_CORPUS)."""
    folder = os.environ.get("PROMOTER_CORPUS")
    if folder:
        sample = json.loads((Path(folder) / "events" / name).read_text())
        assert event.keys() == sample.keys()
        assert event["detail"].keys() == sample["detail"].keys()


def _check_answer(operation_model: OperationModel, response_dict: dict[str, Any], **_: Any) -> None:
    answer = json.loads(response_dict["body"])
    if response_dict["status_code"] < 300:
        _check(answer, operation_model.output_shape, operation_model.name)
    else:
        declared = {shape.name for shape in operation_model.error_shapes}
        assert answer["__type"] in declared | {"AccessDenied", "ThrottlingException"}, answer


def _check(value: Any, shape: Any, place: str) -> None:
    """Hold a value of an answer to its shape in botocore's service model."""
    types: dict[str, Any] = {
        "structure": dict, "map": dict, "list": list, "string": str, "boolean": bool,
        "integer": int, "long": int, "timestamp": (int, float), "double": (int, float),
    }  # fmt: skip
    assert isinstance(value, types[shape.type_name]), (place, value)
    if shape.type_name == "structure":
        assert value.keys() <= shape.members.keys(), (place, value.keys() - shape.members.keys())
        for name, member in value.items():
            _check(member, shape.members[name], f"{place}.{name}")
    elif shape.type_name == "list":
        for member in value:
            _check(member, shape.member, f"{place}[]")
    elif shape.type_name == "map":
        for member in value.values():
            _check(member, shape.value, f"{place}{{}}")
    elif getattr(shape, "enum", None):
        assert value in shape.enum, (place, value)


@pytest.fixture
def table(local_aws: LocalAws) -> str:
    """A table of a test's own."""
    return new_table(local_aws)


def new_table(local_aws: LocalAws) -> str:
    """Create a table with the keys and the index of the stack's; return its name."""
    name = f"t-{uuid.uuid4().hex[:8]}"
    keys: Any = [("pk", "HASH"), ("sk", "RANGE")]
    index: Any = [("listing", "HASH"), ("listedAt", "RANGE")]
    local_aws.client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in keys],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key, _ in [*keys, *index]],
        GlobalSecondaryIndexes=[
            {
                "IndexName": INDEX,
                "KeySchema": [{"AttributeName": key, "KeyType": kind} for key, kind in index],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    return name
