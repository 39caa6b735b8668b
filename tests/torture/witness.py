"""What the registry and the service told of a run: the events of pushes, and the announcements."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, NamedTuple

from tests.torture.deployment import Deployment

AT_ONCE = 10  # messages that SQS gives at most


class Push(NamedTuple):
    """The registry put a tag on an image, at `time` (seconds since 1970), where it was not before."""

    repository: str
    image_tag: str
    image_digest: str
    time: float


class Announced(NamedTuple):
    """An announcement, and when it was made."""

    detail_type: str
    detail: Mapping[str, Any]
    time: float


class Witness:
    """Hears everything about the repositories whose names have a prefix, from `with` on."""

    def __init__(self, deployment: Deployment, prefix: str) -> None:
        self._aws = deployment.aws
        self._prefix = prefix
        self._rules: list[str] = []
        self._pushes = self._announcements = ""

    def __enter__(self) -> Witness:
        named = [{"prefix": self._prefix}]
        pushed = {"action-type": ["PUSH"], "repository-name": named}
        self._pushes = self._queue({"source": ["aws.ecr"], "detail": pushed})
        self._announcements = self._queue({"source": ["ecr-promoter"], "detail": {"repositoryName": named}})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        events = self._aws.client("events")
        for name in self._rules:
            events.remove_targets(Rule=name, Ids=["queue"])
            events.delete_rule(Name=name)

    def pushes(self) -> list[Push]:
        """Take the pushes by tag that were not taken before, oldest first."""
        return [
            Push(detail["repository-name"], detail["image-tag"], detail["image-digest"], time)
            for event, time in self._taken(self._pushes)
            if (detail := event["detail"])["image-tag"]
        ]

    def announcements(self) -> list[Announced]:
        """Take the announcements that were not taken before, oldest first."""
        return [
            Announced(event["detail-type"], event["detail"], time)
            for event, time in self._taken(self._announcements)
        ]

    def _queue(self, pattern: Mapping[str, Any]) -> str:
        """Create a queue that gets the events of a pattern; return its URL."""
        sqs, events, name = self._aws.client("sqs"), self._aws.client("events"), f"witness-{uuid.uuid4().hex[:8]}"
        url: str = sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sends = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage"}
        policy = {"Version": "2012-10-17", "Statement": [sends | {"Resource": arn}]}
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
        events.put_rule(Name=name, EventPattern=json.dumps(pattern))
        events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])
        self._rules.append(name)
        return url

    def _taken(self, url: str) -> list[tuple[dict[str, Any], float]]:
        """Take all messages of a queue; return each event and when it came."""
        return sorted(self._messages(url), key=lambda each: each[1])

    def _messages(self, url: str) -> Iterator[tuple[dict[str, Any], float]]:
        sqs = self._aws.client("sqs")
        while messages := sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=AT_ONCE, AttributeNames=["SentTimestamp"]
        ).get("Messages"):
            for message in messages:
                yield json.loads(message["Body"]), int(message["Attributes"]["SentTimestamp"]) / 1000
            taken = [{"Id": f"{n}", "ReceiptHandle": each["ReceiptHandle"]} for n, each in enumerate(messages)]
            sqs.delete_message_batch(QueueUrl=url, Entries=taken)
