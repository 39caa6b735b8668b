"""The stack deployed to a local AWS, as the torture tests use it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from local.aws import LocalAws
from tests.torture.client import ApiClient


@dataclass(frozen=True)
class Deployment:
    """A local AWS, and the variables that lead to the stack."""

    aws: LocalAws
    variables: Mapping[str, str]

    def client(self) -> ApiClient:
        """Return a new client of the API."""
        return ApiClient(self.aws, self.variables["PROMOTER_API_URL"])

    def listed(self, client: ApiClient, path: str, member: str, **query: str) -> Iterator[dict[str, Any]]:
        """Return all entries of a listing of the API, from every page. Fails unless the answer is a 200."""
        more: dict[str, str] = {}
        while True:
            answer = client.call("GET", f"{path}?{urlencode({'limit': '100'} | query | more)}")
            assert answer.status == 200, (path, query, answer)
            yield from answer.document[member]
            if "nextToken" not in answer.document:
                return
            more = {"nextToken": answer.document["nextToken"]}

    def tags(self, repository: str) -> dict[str, str]:
        """Return the digest of every tag in the registry."""
        pages = self.aws.client("ecr").get_paginator("list_images").paginate(repositoryName=repository)
        return {
            image["imageTag"]: image["imageDigest"]
            for page in pages
            for image in page["imageIds"]
            if "imageTag" in image
        }

    def messages_in(self, queue: str) -> int:
        """Return how many messages a queue has, with those in flight."""
        names = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")]
        answer = self.aws.client("sqs").get_queue_attributes(QueueUrl=self.variables[queue], AttributeNames=names)
        return sum(int(answer["Attributes"][name]) for name in names)


@contextmanager
def visible_again_soon(deployment: Deployment) -> Iterator[None]:
    """Redeliver an event whose function was killed after the function's time-out instead of six times that."""
    sqs, url = deployment.aws.client("sqs"), deployment.variables["PROMOTER_EVENTS"]
    name = deployment.variables["PROMOTER_FUNCTION"]
    timeout = deployment.aws.client("lambda").get_function_configuration(FunctionName=name)["Timeout"]
    before = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": str(timeout)})
    try:
        yield
    finally:
        sqs.set_queue_attributes(QueueUrl=url, Attributes=before)
