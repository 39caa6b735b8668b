"""Injected faults, recorded calls, and who may call the control routes."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError

from local.aws import LocalAws
from local.pusher import PushRefused, push_image
from tests.adapters.conftest import Control


def test_a_call_fails_as_often_as_the_fault_says(ecr: Any, repository: str, faults: Callable[..., None]) -> None:
    """`times` calls of the operation fail with the code and status. Later calls and other operations succeed."""
    faults("ecr", "DescribeRepositories", code="ThrottlingException", status=429, times=2)
    for _ in range(2):
        with pytest.raises(ClientError, match="ThrottlingException") as error:
            ecr.describe_repositories(repositoryNames=[repository])
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
        ecr.list_images(repositoryName=repository)
    ecr.describe_repositories(repositoryNames=[repository])


def test_the_sdk_retries_a_throttled_call(local_aws: LocalAws, repository: str, faults: Any) -> None:
    """The SDK retries the same errors as on AWS."""
    faults("ecr", "DescribeRepositories", code="ThrottlingException")
    client = local_aws.client("ecr", config=Config(retries={"mode": "standard"}))
    answer = client.describe_repositories(repositoryNames=[repository])
    assert answer["ResponseMetadata"]["RetryAttempts"] == 1


def test_an_answer_can_be_lost_after_the_call_was_carried_out(
    ecr: Any, local_aws: LocalAws, repository: str, faults: Any
) -> None:
    """With `after` the caller gets an error although the tag was put."""
    image = push_image(local_aws.registry, repository, "v1", seed="one")
    faults("ecr", "PutImage", code="ServerException", status=500, after=True)
    with pytest.raises(ClientError, match="ServerException"):
        ecr.put_image(repositoryName=repository, imageManifest=image.manifest.decode(), imageTag="v2")
    assert ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": "v2"}])["failures"] == []


def test_a_call_is_delayed(ecr: Any, repository: str, faults: Callable[..., None]) -> None:
    """Without a code the call succeeds after the delay."""
    faults("ecr", "DescribeRepositories", delay=0.3)
    start = time.monotonic()
    ecr.describe_repositories(repositoryNames=[repository])
    assert time.monotonic() - start >= 0.3


@pytest.mark.parametrize(
    ("service", "operation", "arguments"),
    [
        ("dynamodb", "ListTables", {}),
        ("events", "PutEvents", {"Entries": [{"Source": "a", "DetailType": "b", "Detail": "{}"}]}),
        ("sqs", "ListQueues", {}),
        ("sns", "ListTopics", {}),
        ("lambda", "Invoke", {"FunctionName": "none"}),
        ("s3", "CreateBucket", {"Bucket": "bucket"}),
    ],
)
def test_any_service_can_fail(
    local_aws: LocalAws, faults: Any, service: str, operation: str, arguments: dict[str, Any]
) -> None:
    """The error has the service's own format, so that the SDK reads its code."""
    client = local_aws.client(service)
    faults(service, operation, code="InternalFailure", status=500, message="Out of order.")
    with pytest.raises(ClientError, match="Out of order") as error:
        getattr(client, xform_name(operation))(**arguments)
    assert error.value.response["Error"]["Code"] == "InternalFailure"


def test_an_error_has_the_members_of_its_shape(local_aws: LocalAws, faults: Any) -> None:
    """A cancelled transaction has a reason for each of its items."""
    reasons = [{"Code": "None"}, {"Code": "ConditionalCheckFailed"}]
    faults(
        "dynamodb",
        "TransactWriteItems",
        code="TransactionCanceledException",
        members={"CancellationReasons": reasons},
    )
    client = local_aws.client("dynamodb")
    put = {"Put": {"TableName": "t", "Item": {"id": {"S": "1"}}}}
    with pytest.raises(client.exceptions.TransactionCanceledException) as error:
        client.transact_write_items(TransactItems=[put])
    assert error.value.response["CancellationReasons"] == reasons


def test_a_push_can_fail(local_aws: LocalAws, repository: str, faults: Any) -> None:
    """Requests to the registry HTTP API count as a service of their own."""
    faults("registry", "PUT manifest", code="TOOMANYREQUESTS", status=429)
    with pytest.raises(PushRefused, match="TOOMANYREQUESTS") as error:
        push_image(local_aws.registry, repository, "v1", seed="one")
    assert error.value.status == 429


def test_faults_are_listed_until_they_happen(ecr: Any, repository: str, faults: Any, control: Control) -> None:
    """A test can wait until a call has met its fault."""
    faults("ecr", "DescribeRepositories", code="ServerException", status=500)
    (pending,) = control("GET", "/faults")[1]["faults"]
    assert (pending["operation"], pending["times"]) == ("DescribeRepositories", 1)
    with pytest.raises(ClientError, match="ServerException"):
        ecr.describe_repositories(repositoryNames=[repository])
    assert control("GET", "/faults") == (200, {"faults": []})


def test_faults_are_cleared(ecr: Any, repository: str, faults: Any, control: Control) -> None:
    """DELETE drops the faults that have not happened yet."""
    faults("ecr", "DescribeRepositories", code="ServerException", times=9)
    assert control("DELETE", "/faults") == (200, {"faults": []})
    ecr.describe_repositories(repositoryNames=[repository])


def test_a_quota_lets_so_many_calls_through_a_second(ecr: Any, repository: str, faults: Any) -> None:
    """Further calls are throttled, until there is room again."""
    faults("ecr", "DescribeRepositories", code="ThrottlingException", above=3, times=1000)

    def outcome() -> bool:
        try:
            ecr.describe_repositories(repositoryNames=[repository])
        except ClientError:
            return False
        return True

    began = time.monotonic()
    let_through = sum(outcome() for _ in range(30))
    assert 3 <= let_through <= 3 + 3 * (time.monotonic() - began) + 1
    while not outcome():
        assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("member", "value"),
    [("above", 0), ("status", 200), ("times", 0), ("delay", -1), ("service", None), ("operation", 7)],
)
def test_a_mistake_names_the_member(control: Control, member: str, value: Any) -> None:
    """400, and no fault is added."""
    fault = {"service": "ecr", "operation": "PutImage", "code": "x", member: value}
    status, document = control("POST", "/faults", fault)
    assert (status, f"$.{member}" in document["message"]) == (400, True), document


def test_calls_are_recorded_with_their_caller(ecr: Any, repository: str, control: Control) -> None:
    """With operation, status, caller, and the sizes of request and answer."""
    control("DELETE", "/calls")
    ecr.list_images(repositoryName=repository)
    with pytest.raises(ClientError):
        ecr.list_images(repositoryName="team/none")
    calls = control("GET", "/calls")[1]["calls"]
    assert [(call["service"], call["operation"], call["status"]) for call in calls] == [
        ("ecr", "ListImages", 200),
        ("ecr", "ListImages", 400),
    ]
    assert calls[0]["principal"] == "arn:aws:iam::123456789012:root"
    assert calls[0]["responseBytes"] == len('{"imageIds": []}')
    assert calls[0]["requestBytes"] == len(json.dumps({"repositoryName": repository}))


def test_a_page_in_a_browser_is_refused(local_aws: LocalAws) -> None:
    """A website that a developer visits must not call the routes, which need no signature."""
    connection = http.client.HTTPConnection(local_aws.registry)
    connection.request("DELETE", "/_local/calls", headers={"Origin": "https://example.com"})
    assert connection.getresponse().status == 403
    connection.close()


def test_the_answer_to_an_unknown_route_names_the_known_routes(control: Control) -> None:
    """404, and the message lists them."""
    status, document = control("POST", "/fault", {})
    assert (status, "POST /faults" in document["message"]) == (404, True)
