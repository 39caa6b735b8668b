"""Tables behind the real client of DynamoDB: one without a network, and the ledger's roles on a real one."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import boto3
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from mypy_boto3_dynamodb import DynamoDBClient

from promoter.aws.dynamodb.freezes import DynamoFreezes
from promoter.aws.dynamodb.heads import DynamoHeads
from promoter.aws.dynamodb.history import DynamoHistory
from promoter.aws.dynamodb.ledger import DynamoLedger
from promoter.aws.dynamodb.reconcile_runs import DynamoReconcileRuns
from promoter.aws.dynamodb.table import Table
from promoter.aws.dynamodb.waiting import DynamoWaitingPromotions
from promoter.aws.dynamodb.wake_ups import DynamoWakeUps

LONGEST = {"pk": 2048, "sk": 1024, "listing": 2048, "listedAt": 1024}
"""Bytes of a partition key and of a sort key (Amazon DynamoDB developer guide, "Quotas")."""


@dataclass
class EmptyTable:
    """Takes every write and has nothing to read; refuses what DynamoDB refuses. `asked` are the requests."""

    asked: list[dict[str, Any]] = field(default_factory=list)

    def client(self) -> DynamoDBClient:
        """Return a client that talks to this table."""
        client = boto3.client(
            "dynamodb", region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="x"
        )
        client.meta.events.register("before-send.dynamodb", self._answer)  # type: ignore[arg-type]
        return client

    def _answer(self, request: Any, **_: Any) -> AWSResponse:
        self.asked.append(json.loads(request.body))
        mistake = next(_mistakes(self.asked[-1]), None)
        document: dict[str, Any] = {}
        if mistake:
            document = {"__type": f"com.amazonaws.dynamodb.v20120810#{mistake}", "message": "refused"}
        elif request.headers["X-Amz-Target"].endswith(b".Query"):
            document = {"Items": []}
        body = _Body(json.dumps(document).encode())
        return AWSResponse(request.url, 400 if mistake else 200, HTTPHeaders(), body)


def _mistakes(request: Mapping[str, Any]) -> Iterator[str]:
    try:
        json.dumps(request, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        yield "SerializationException"
    for part in ("Key", "ExclusiveStartKey", "Item"):
        for name, value in request.get(part, {}).items():
            if name in LONGEST and not 0 < len(value.get("S", "").encode(errors="replace")) <= LONGEST[name]:
                yield "ValidationException"


class _Body(io.BytesIO):
    """What urllib3 gives botocore to read."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


def dynamo_roles(
    table: Table,
    now: Callable[[], datetime],
    *,
    lease_duration: timedelta = timedelta(seconds=30),
    history: timedelta = timedelta(days=1),
    pause: Callable[[float], None] = lambda _: None,
) -> dict[str, Any]:
    """Return the ledger's six roles on a real table, by their names among the dependencies."""
    ledger = DynamoLedger(table, lease_duration=lease_duration, history=history, now=now, pause=pause)
    return {
        "ledger": ledger,
        "heads": DynamoHeads(table),
        "history": DynamoHistory(table),
        "freezes": DynamoFreezes(table),
        "waiting": DynamoWaitingPromotions(table, now=now),
        "wake_ups": DynamoWakeUps(table),
    }


def dynamo_runs(table: Table, now: Callable[[], datetime]) -> DynamoReconcileRuns:
    """Return what reconcile remembers in a real table."""
    return DynamoReconcileRuns(table, now=now)
