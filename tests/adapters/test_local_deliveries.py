"""Delivery of events from a rule to a queue or a function, with retries and dead-letter queues."""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from local.aws import LocalAws
from tests.adapters.conftest import Control, Queue

# Calls ECR and fails. The calls of its role show how often it was invoked.
CODE = """
import boto3

def handler(event, context):
    boto3.client("ecr").list_images(repositoryName=event["detail"]["repository-name"])
    raise RuntimeError("not today")
"""


@dataclass(frozen=True)
class Function:
    """A Lambda function that calls ECR with its own role, and then fails."""

    arn: str
    aws: LocalAws
    control: Control

    def permit(self, rule_arn: str) -> None:
        """Allow a rule to invoke the function."""
        self.aws.client("lambda").add_permission(
            FunctionName=self.arn,
            StatementId="rule",
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
            SourceArn=rule_arn,
        )

    def invocations(self) -> list[int]:
        """Return the HTTP status of the call to ECR for each invocation."""
        session = f"/{self.arn.rpartition(':')[2]}"
        calls = self.control("GET", "/calls")[1]["calls"]
        return [call["status"] for call in calls if call.get("principal", "").endswith(session)]


@pytest.fixture
def function(local_aws: LocalAws, repository: str, control: Control) -> Callable[..., Function]:
    """Create a function whose role may only list the repository's images."""

    def create(**settings: Any) -> Function:
        name, iam = f"f-{uuid.uuid4().hex}", local_aws.client("iam")
        trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))["Role"]
        resource = f"arn:aws:ecr:{local_aws.region}:{local_aws.account_id}:repository/{repository}"
        allow = {"Effect": "Allow", "Action": "ecr:ListImages", "Resource": resource}
        document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        iam.put_role_policy(RoleName=name, PolicyName="list", PolicyDocument=document)
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as code:
            code.writestr("index.py", CODE)
        created = local_aws.client("lambda").create_function(
            FunctionName=name,
            Runtime="python3.11",
            Handler="index.handler",
            Role=role["Arn"],
            Timeout=10,
            Code={"ZipFile": archive.getvalue()},
            **settings,
        )
        return Function(created["FunctionArn"], local_aws, control)

    return create


def test_a_failing_function_is_invoked_three_times_and_its_event_is_kept(
    push: Any, queue: Queue, rule: Any, function: Any
) -> None:
    """After two retries the unchanged event is in the function's dead-letter queue, with the error."""
    failing = function(DeadLetterConfig={"TargetArn": queue.arn})
    failing.permit(rule(failing.arn))
    push("v1", seed="one")
    (message,) = queue.receive(1, within=30)
    event = json.loads(message["Body"])
    assert (event["detail-type"], event["detail"]["image-tag"]) == ("ECR Image Action", "v1")
    assert message["MessageAttributes"]["ErrorMessage"]["StringValue"] == "not today"
    assert failing.invocations() == [200, 200, 200]


def test_an_on_failure_destination_gets_the_record(
    local_aws: LocalAws, push: Any, queue: Queue, rule: Any, function: Any
) -> None:
    """With MaximumRetryAttempts 0 the function is invoked once; its destination gets the event and the error."""
    failing = function()
    local_aws.client("lambda").put_function_event_invoke_config(
        FunctionName=failing.arn,
        MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": queue.arn}},
    )
    failing.permit(rule(failing.arn))
    push("v1", seed="one")
    (record,) = queue.bodies(1)
    assert record["requestPayload"]["detail"]["image-tag"] == "v1"
    assert record["responsePayload"]["errorMessage"] == "not today"
    assert failing.invocations() == [200]


@pytest.mark.parametrize("code", ["NO_PERMISSIONS", "NO_RESOURCE"])
def test_an_event_that_a_function_cannot_get_goes_to_the_dead_letter_queue_of_the_rule(
    push: Any, queue: Queue, rule: Any, function: Any, code: str
) -> None:
    """If the function does not allow the rule to invoke it, or does not exist."""
    target = function()
    rule_arn = rule(target.arn, DeadLetterConfig={"Arn": queue.arn})
    if code == "NO_RESOURCE":
        target.permit(rule_arn)
        target.aws.client("lambda").delete_function(FunctionName=target.arn)
    image = push("v1", seed="one")
    (message,) = queue.receive(1)
    assert json.loads(message["Body"])["detail"]["image-digest"] == image.digest
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert (attributes["ERROR_CODE"], attributes["RULE_ARN"]) == (code, rule_arn)
    assert attributes["TARGET_ARN"] == target.arn


def test_an_event_is_delivered_to_a_queue(push: Any, queue: Queue, rule: Any) -> None:
    """The queue gets the whole event."""
    rule(queue.arn)
    image = push("v1", seed="one")
    (event,) = queue.bodies(1)
    assert (event["detail-type"], event["detail"]["image-digest"]) == ("ECR Image Action", image.digest)


@pytest.mark.parametrize("code", ["NO_PERMISSIONS", "NO_RESOURCE"])
def test_an_event_that_a_queue_cannot_get_goes_to_the_dead_letter_queue_of_the_rule(
    local_aws: LocalAws, push: Any, queue: Queue, rule: Any, code: str
) -> None:
    """If the policy of the queue does not allow EventBridge, or the queue does not exist."""
    sqs, name = local_aws.client("sqs"), uuid.uuid4().hex
    if code == "NO_PERMISSIONS":
        sqs.create_queue(QueueName=name)
    target = f"arn:aws:sqs:{local_aws.region}:{local_aws.account_id}:{name}"
    rule(target, DeadLetterConfig={"Arn": queue.arn})
    push("v1", seed="one")
    (message,) = queue.receive(1)
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert (attributes["ERROR_CODE"], attributes["TARGET_ARN"]) == (code, target)
