"""The permissions that IAM enforces on the deployed stack, and what happens to events that fail."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from local import pusher
from tests.e2e.conftest import Consumer, Image, Stack, ask, eventually


@pytest.fixture
def user(stack: Stack) -> Any:
    """Return a function that creates an IAM user with a policy and returns the user's keys."""

    def make(name: str = "", *actions: str) -> tuple[str, str]:
        iam = stack.client("iam")
        name = name or f"user-{uuid.uuid4().hex[:8]}"
        iam.create_user(UserName=name)
        if actions:
            document = {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}],
            }
            iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(document))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return key["AccessKeyId"], key["SecretAccessKey"]

    return make


@contextmanager
def without_right(stack: Stack, action: str) -> Iterator[None]:
    """Remove one action from the policy of the function's role, and restore it afterwards."""
    iam = stack.client("iam")
    function = stack.client("lambda").get_function_configuration(FunctionName=stack.variables["PROMOTER_FUNCTION"])
    role = function["Role"].rpartition("/")[2]
    (name,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    document = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    reduced = json.loads(json.dumps(document).replace(f'"{action}"', '"ecr:DescribeRegistry"'))
    iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(reduced))
    try:
        yield
    finally:
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))


@pytest.mark.parametrize("action", ["ecr:BatchGetImage", "ecr:PutImage"])
def test_without_its_right_the_function_promotes_nothing(stack: Stack, image: Image, action: str) -> None:
    """The function has no permissions beside those of its role."""
    repository = image.repository
    body = ask(repository)
    with without_right(stack, action):
        status, problem = stack.post(body)

    assert (status, problem["code"]) == (502, "registry_error")
    assert "AccessDenied" in problem["detail"]
    assert set(stack.tags(repository)) == {"candidate"}
    assert stack.post(body)[0] == 200


def test_an_unsigned_call_is_forbidden(stack: Stack, image: Image) -> None:
    """API Gateway refuses it; the function is not invoked."""
    status, _ = stack.post(ask(image.repository), signed=False)

    assert status == 403
    assert set(stack.tags(image.repository)) == {"candidate"}


@pytest.mark.parametrize("header", ["no signature", "Bearer e30.e30.", "Basic eDp5", "AWS4-HMAC-SHA256 garbage"])
def test_a_header_that_is_not_a_signature_is_forbidden(stack: Stack, header: str) -> None:
    """API Gateway refuses it like a call without one."""
    status, _ = stack.call("GET", "/freeze", headers=[f"Authorization: {header}"], signed=False)

    assert status == 403


def test_a_caller_needs_the_permission_to_invoke_the_api(stack: Stack, image: Image, user: Any) -> None:
    """A valid signature is not enough; the caller needs `execute-api:Invoke`."""
    body = ask(image.repository)

    assert stack.post(body, user=user())[0] == 403
    assert stack.post(body, user=user("", "execute-api:Invoke"))[0] == 200


def test_a_rule_allows_only_its_callers(stack: Stack, user: Any) -> None:
    """The rule's callers are compared with the ARN that API Gateway authenticated."""
    repository = stack.repository("guarded")
    pusher.push_image(stack.aws.registry, repository, "build-1", seed="guarded")
    body = ask(repository, source={"imageTag": "build-1"})

    status, problem = stack.post(body, user=user("", "execute-api:Invoke"))
    assert (status, problem["code"]) == (403, "not_allowed")
    assert "is not among its callers" in problem["reasons"][0]["detail"]
    assert stack.post(body, user=user("deployer", "execute-api:Invoke"))[0] == 200


def messages(stack: Stack, queue: str) -> list[dict[str, Any]]:
    """Receive and delete the messages of a queue."""
    sqs = stack.client("sqs")
    taken = sqs.receive_message(
        QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1, MessageAttributeNames=["All"]
    ).get("Messages", [])
    for message in taken:
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return list(taken)


def test_an_event_that_keeps_failing_is_kept_with_its_error(stack: Stack) -> None:
    """After five attempts the whole event is in the dead-letter queue, with the last error."""
    repository = stack.repository()
    last = pusher.push_image(stack.aws.registry, repository, "scanned", seed=repository).digest
    stack.scan(repository, last, announce=False)
    with without_right(stack, "ecr:PutImage"):
        pusher.push_image(stack.aws.registry, repository, "build-1", seed=repository)
        found = eventually(lambda: messages(stack, stack.variables["PROMOTER_FAILED_EVENTS"]), bool, seconds=60)
        assert "staging" not in stack.tags(repository)  # another event may still be retried

    event = json.loads(found[0]["Body"])
    cause = {name: value["StringValue"] for name, value in found[0]["MessageAttributes"].items()}
    assert event["detail"]["image-digest"] == last
    assert cause["ERROR_CODE"] == "registry_error"
    assert "AccessDenied" in cause["ERROR_MESSAGE"]
    assert len([r for r in stack.records(event["id"]) if r["message"] == "promotion"]) == 5


def test_an_event_that_fails_once_is_retried(stack: Stack, build: Image) -> None:
    """The next attempt promotes the image."""
    repository, digest = build.repository, build.digest
    fault = {
        "service": "ecr",
        "operation": "BatchGetImage",
        "code": "ThrottlingException",
        "status": 400,
        "times": 3,
    }
    stack.local("faults", fault)

    for platform in build.platforms:
        stack.scan(repository, platform)

    tags = eventually(lambda: stack.tags(repository), lambda tags: "staging-7" in tags, seconds=60)
    assert tags["staging"] == digest


def test_an_event_that_cannot_be_delivered_is_kept(stack: Stack, build: Image) -> None:
    """If EventBridge may not send to the queue, the event goes to the dead-letter queue of the rule."""
    sqs, url = stack.client("sqs"), stack.variables["PROMOTER_EVENTS"]
    policy = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]["Policy"]
    stack.settle(build.repository, events=1)  # the push's own event
    kept: set[str] = set()

    def look() -> set[str]:
        for message in messages(stack, stack.variables["PROMOTER_UNDELIVERED_EVENTS"]):
            kept.add(json.loads(message["Body"])["detail"]["image-digest"])
        return kept

    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})
    try:
        for platform in build.platforms:
            stack.scan(build.repository, platform)
        eventually(look, lambda kept: kept == set(build.platforms))
    finally:
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})


def test_a_run_of_reconcile_that_fails_is_kept(stack: Stack) -> None:
    """It is not retried: the next run comes by schedule."""
    payload = json.dumps({"hello": "reconciler"}).encode()
    stack.client("lambda").invoke(
        FunctionName=stack.variables["PROMOTER_RECONCILER"], InvocationType="Event", Payload=payload
    )

    (found,) = eventually(lambda: messages(stack, stack.variables["PROMOTER_FAILED_RUNS"]), bool)

    kept = json.loads(found["Body"])
    assert kept["requestPayload"] == {"hello": "reconciler"}
    assert "not the schedule's event" in json.dumps(kept["responsePayload"])


def test_a_record_that_cannot_be_announced_is_kept_and_does_not_delay_others(
    stack: Stack, image: Image, consumer: Consumer
) -> None:
    """An unreadable record goes to the queue with its key and the error. Later records are announced."""
    key = {"pk": {"S": f"promotion#{uuid.uuid4()}"}, "sk": {"S": "record"}}
    strange = {"outcome": {"S": "A WORD OF A LATER VERSION"}, "asked": {"S": "{}"}, "answer": {"S": "{}"}}

    stack.client("dynamodb").put_item(TableName=stack.variables["PROMOTER_TABLE"], Item=key | strange)
    _, answer = stack.post(ask(image.repository))

    (heard,) = consumer.heard(image.repository)
    assert heard["detail"]["promotionId"] == answer["promotionId"]
    (message,) = eventually(lambda: messages(stack, stack.variables["PROMOTER_UNANNOUNCED"]), bool)
    cause = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert json.loads(message["Body"]) == {"key": key}
    assert (f"promotion#{cause['promotionId']}", cause["ERROR_CODE"]) == (key["pk"]["S"], "unreadable")


def test_every_promotion_is_in_the_log_of_the_function(stack: Stack, image: Image) -> None:
    """One structured record with the promotionId of the answer."""
    _, answer = stack.post(ask(image.repository))

    def records() -> list[str]:
        logs = stack.client("logs")
        group = stack.variables["PROMOTER_LOG_GROUP"]
        return [e["message"] for e in logs.filter_log_events(logGroupName=group, limit=10000)["events"]]

    found = eventually(records, lambda lines: any(answer["promotionId"] in line for line in lines))
    line = next(line for line in found if answer["promotionId"] in line)
    assert json.loads(line[line.index("{") :])["outcome"] == "PROMOTED"
