"""The local AWS enforces IAM policies as AWS does."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from local.aws import LocalAws
from local.pusher import push_image
from tests.adapters.conftest import Control


@pytest.fixture
def as_user(local_aws: LocalAws, repository: str) -> Callable[[str], Any]:
    """Create a user who may call one ECR action on the repository; return the user's ECR client."""

    def create(action: str) -> Any:
        iam, name = local_aws.client("iam"), f"u-{uuid.uuid4().hex}"
        iam.create_user(UserName=name)
        resource = f"arn:aws:ecr:{local_aws.region}:{local_aws.account_id}:repository/{repository}"
        allow = {"Effect": "Allow", "Action": action, "Resource": resource}
        document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        iam.put_user_policy(UserName=name, PolicyName="one", PolicyDocument=document)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return local_aws.client(
            "ecr",
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
        )

    return create


def test_a_user_who_may_read_may_not_put(ecr: Any, local_aws: LocalAws, repository: str, as_user: Any) -> None:
    """A permission is for its action and its repository only."""
    image = push_image(local_aws.registry, repository, "v1", seed="one")
    other = f"{repository}-other"
    ecr.create_repository(repositoryName=other)
    reader = as_user("ecr:BatchGetImage")
    ids = [{"imageDigest": image.digest}]
    assert len(reader.batch_get_image(repositoryName=repository, imageIds=ids)["images"]) == 1
    with pytest.raises(ClientError, match=r"AccessDenied.*ecr:PutImage"):
        reader.put_image(repositoryName=repository, imageManifest=image.manifest.decode(), imageTag="v2")
    with pytest.raises(ClientError, match="AccessDenied"):
        reader.batch_get_image(repositoryName=other, imageIds=ids)


def test_a_user_who_may_read_images_may_list_their_referrers(
    repository: str, as_user: Any, control: Control
) -> None:
    """ListImageReferrers is authorised by ecr:BatchGetImage and has no action of its own (API reference)."""
    asked = {"repositoryName": repository, "subjectId": {"imageDigest": f"sha256:{'0' * 64}"}}
    assert as_user("ecr:BatchGetImage").list_image_referrers(**asked)["referrers"] == []
    with pytest.raises(ClientError, match="AccessDenied"):
        as_user("ecr:ListImageReferrers").list_image_referrers(**asked)
    assert control("GET", "/calls")[1]["calls"][-1]["operation"] == "ListImageReferrers"


def test_a_call_without_a_signature_is_refused(local_aws: LocalAws, repository: str) -> None:
    """Only the control routes and the registry HTTP API need none."""
    client = boto3.client(
        "ecr",
        endpoint_url=local_aws.endpoint_url,
        region_name=local_aws.region,
        config=Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}),
    )
    with pytest.raises(ClientError, match="MissingAuthenticationToken"):
        client.list_images(repositoryName=repository)


def test_a_policy_that_demands_tls_allows_the_loopback_interface(local_aws: LocalAws) -> None:
    """A queue that enforces TLS works here too."""
    sqs, name = local_aws.client("sqs"), uuid.uuid4().hex
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:*",
        "Resource": "*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    url = sqs.create_queue(QueueName=name, Attributes={"Policy": policy})["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="hello")
    assert sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"][0]["Body"] == "hello"
