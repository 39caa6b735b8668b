"""The function's DynamoDB table: its calls, with every error of AWS as a LedgerError."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from promoter.domain.errors import LedgerError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

INDEX = "listed"
"""The table's one index, by `listing` and `listedAt`: open and waiting promotions, histories, heads."""

CONDITION_FAILED, CONFLICT = "ConditionalCheckFailed", "TransactionConflict"
IN_THE_WAY = {CONFLICT, "ThrottlingError", "ProvisionedThroughputExceeded"}
"""Why DynamoDB cancels what it would carry out a moment later (API reference, TransactWriteItems)."""

TOKEN = 12
"""Random bytes by which DynamoDB knows, for ten minutes, that the SDK sends a transaction once more."""

Item = Mapping[str, Any]
Change = dict[str, dict[str, Any]]
"""A Put, an Update or a ConditionCheck of a transaction, without the table's name."""


@dataclass(frozen=True)
class Table:
    """One table, and the Region of the registry whose tags it has. `what` begins the message of a LedgerError."""

    client: DynamoDBClient
    name: str
    region: str

    def __post_init__(self) -> None:
        """Have transactions sent without the spaces that botocore puts into JSON: they are 5% of it."""
        self.client.meta.events.register(
            "before-call.dynamodb.TransactWriteItems", _compact, unique_id="ecr-promoter-compact"
        )

    def get(self, key: Item, what: str) -> Item:
        """Return an item as it is now; empty where there is none."""
        with asking(what):
            answer = self.client.get_item(TableName=self.name, Key=dict(key), ConsistentRead=True)
        return answer.get("Item", {})

    def query(self, what: str, **query: Any) -> Any:
        """Return one page of a query."""
        with asking(what):
            return self.client.query(TableName=self.name, **query)

    def every(self, what: str, **query: Any) -> Iterator[Item]:
        """Yield the items of a query, page after page. botocore's paginators cost a cold start 8 ms a service."""
        start: dict[str, Any] = {}
        while True:
            answer = self.query(what, **query, **start)
            yield from answer["Items"]
            if not (last := answer.get("LastEvaluatedKey")):
                return
            start = {"ExclusiveStartKey": last}

    def put(self, item: Item, what: str, **condition: Any) -> bool:
        """Put an item; False: the condition did not hold."""
        with asking(what), _Condition() as holds:
            self.client.put_item(TableName=self.name, Item=dict(item), **condition)
        return holds.held

    def update(self, key: Item, change: str, what: str, **condition: Any) -> bool:
        """Update an item; False: the condition did not hold."""
        with asking(what), _Condition() as holds:
            self.client.update_item(TableName=self.name, Key=dict(key), UpdateExpression=change, **condition)
        return holds.held

    def delete(self, key: Item, what: str, **condition: Any) -> Item | None:
        """Delete an item and return it, empty where there was none; None: the condition did not hold."""
        with asking(what), _Condition():
            answer = self.client.delete_item(
                TableName=self.name, Key=dict(key), ReturnValues="ALL_OLD", **condition
            )
            return answer.get("Attributes", {})
        return None

    def transact(self, changes: Sequence[Change], what: str) -> list[Item]:
        """Send a transaction; return the reasons, one a change, why it was not carried out: none if it was."""
        items: Any = [
            {verb: {"TableName": self.name, **members} for verb, members in change.items()} for change in changes
        ]
        with asking(what):
            try:
                self.client.transact_write_items(
                    TransactItems=items, ClientRequestToken=secrets.token_urlsafe(TOKEN)
                )
            except ClientError as error:
                reasons = error.response.get("CancellationReasons", [])
                codes = {reason.get("Code") for reason in reasons} - {"None", None}
                expected = codes <= {CONDITION_FAILED, *IN_THE_WAY}
                if error.response["Error"]["Code"] != "TransactionCanceledException" or not expected:
                    raise
                return list(reasons)
        return []


@contextmanager
def asking(what: str) -> Iterator[None]:
    """Turn whatever goes wrong at DynamoDB into a LedgerError about `what`."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise LedgerError(f"{what}: {error}") from error


class _Condition:
    """Takes note of a condition that did not hold; `held` is False then."""

    held = True

    def __enter__(self) -> _Condition:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        failed = (
            isinstance(error, ClientError) and error.response["Error"]["Code"] == "ConditionalCheckFailedException"
        )
        self.held = not failed
        return failed


def _compact(params: dict[str, Any], **_: Any) -> None:
    params["body"] = json.dumps(json.loads(params["body"]), separators=(",", ":")).encode()
