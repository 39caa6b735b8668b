"""Where the torture takes place: the deployed stack on a local AWS."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from local.aws import LocalAws
from tests.torture.wire import Wire


@dataclass(frozen=True)
class Stage:
    """A local AWS, and the variables that lead to the stack on it."""

    aws: LocalAws
    variables: Mapping[str, str]

    def wire(self) -> Wire:
        """Return a new client of the API."""
        return Wire(self.aws, self.variables["PROMOTER_API_URL"])

    def local(self, path: str, body: Any = None) -> Any:
        """Drive what AWS does by itself: GET without a body, else POST."""
        data = json.dumps(body).encode() if body is not None else None
        with urllib.request.urlopen(f"{self.aws.endpoint_url}/_local/{path}", data, timeout=30) as response:
            return json.load(response)

    def listed(self, wire: Wire, path: str, member: str, **query: str) -> Iterator[dict[str, Any]]:
        """Return all entries of a listing of the API, page by page. Raises AssertionError unless it is served."""
        more: dict[str, str] = {}
        while True:
            answer = wire.call("GET", f"{path}?{urlencode({'limit': '100'} | query | more)}")
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

    def waiting(self, queue: str) -> int:
        """Return how many messages are in a queue, those under way included."""
        names = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")]
        answer = self.aws.client("sqs").get_queue_attributes(QueueUrl=self.variables[queue], AttributeNames=names)
        return sum(int(answer["Attributes"][name]) for name in names)


@contextmanager
def visible_again_soon(stage: Stage) -> Iterator[None]:
    """Have an event whose function was killed come again after the function's time-out, not six times that."""
    sqs, url = stage.aws.client("sqs"), stage.variables["PROMOTER_EVENTS"]
    name = stage.variables["PROMOTER_FUNCTION"]
    timeout = stage.aws.client("lambda").get_function_configuration(FunctionName=name)["Timeout"]
    before = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": str(timeout)})
    try:
        yield
    finally:
        sqs.set_queue_attributes(QueueUrl=url, Attributes=before)
