"""What promotions, and others, have left behind in the ledger: for `reconcile`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from promoter import dynamo
from promoter.items import head_of, record_of
from promoter.model import GONE, Head, Outcome, Record

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

NEWEST = 20
"""How much of a tag's history is looked at: refusals may have come since."""


class DynamoLeftovers:
    """The part of the ledger that looks through the index: promotions that nobody ended, heads by age."""

    def __init__(self, client: DynamoDBClient, table: str, now: Callable[[], datetime]) -> None:
        self._client = client
        self._table = table
        self._now = now

    def abandoned(self, *, limit: int) -> Sequence[str]:
        """Query the open promotions by the end of their turn."""
        items = self._listed(dynamo.OPEN, dynamo.sortable(self._now()), limit)
        return [item["pk"]["S"].partition("#")[2] for item in items]

    def stalest_heads(self, *, limit: int) -> Sequence[Head]:
        """Query the heads by when they were looked at; those that are elsewhere are half of them at most."""
        before = dynamo.sortable(self._now())
        drifted = self._listed(dynamo.DRIFTED, before, limit // 2)
        others = self._listed(dynamo.HEADS, before, limit - len(drifted))
        return [head_of(item) for item in (*drifted, *others)]

    def checked(self, head: Head, *, drift: str | None) -> bool:
        """Update the head's item; the stream announces a drift that is new."""
        listing = dynamo.DRIFTED if drift else dynamo.HEADS
        values = {":listing": {"S": dynamo.GONE if drift == GONE else listing}}
        change = "SET listedAt = :at, listing = :listing REMOVE drift"
        if drift:
            change = "SET listedAt = :at, listing = :listing, drift = :drift"
            values[":drift"] = {"S": drift}
        return self._note(head, change, values)

    def adopt(self, head: Head, image_digest: str) -> bool:
        """Query the newest of the tag's history, and update the head's item."""
        with dynamo.asking("the history could not be read"):
            answer = self._client.query(
                TableName=self._table,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": dynamo.history_of(head.repository, head.image_tag)}},
                ScanIndexForward=False,
                ConsistentRead=True,
                Limit=NEWEST,
            )
        newest = asked_for([record_of(item) for item in answer["Items"]], head.image_tag, image_digest)
        if newest is None:
            return False
        change = (
            "SET digest = :digest, promotion = :asked, moved = :moved, listing = :listing, listedAt = :at, "
            "version = if_not_exists(version, :none) + :one REMOVE drift, undoes"
        )
        values = {
            ":digest": {"S": image_digest},
            ":asked": {"S": newest.promotion_id},
            ":moved": {"S": dynamo.sortable(newest.ended_at or self._now())},
            ":listing": {"S": dynamo.HEADS},
            ":none": {"N": "0"},
            ":one": {"N": "1"},
        }
        return self._note(head, change, values)

    def _note(self, head: Head, change: str, values: dict[str, Any]) -> bool:
        """Update a head's item, which nobody has moved or is about to move; False: somebody has."""
        values |= {
            ":at": {"S": f"{dynamo.sortable(self._now())}#{dynamo.place(head.repository)}:{head.image_tag}"},
            ":promotion": {"S": head.promotion_id},
        }
        with dynamo.asking("the head could not be written"):
            try:
                self._client.update_item(
                    TableName=self._table,
                    Key=dynamo.head_key(head.repository, head.image_tag),
                    UpdateExpression=change,
                    ConditionExpression=f"promotion = :promotion AND {dynamo.FREE}",
                    ExpressionAttributeValues=values,
                )
            except ClientError as error:
                if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                    raise
                return False
        return True

    def _listed(self, name: str, before: str, limit: int) -> list[Mapping[str, Any]]:
        with dynamo.asking("the ledger could not be read"):
            answer = self._client.query(
                TableName=self._table,
                IndexName=dynamo.INDEX,
                KeyConditionExpression="listing = :listing AND listedAt < :before",
                ExpressionAttributeValues={":listing": {"S": name}, ":before": {"S": before}},
                Limit=limit,
            )
        return list(answer["Items"])


def asked_for(newest: Sequence[Record], image_tag: str, image_digest: str) -> Record | None:
    """Return the last promotion that found the tag on its image or put it there, if it found it on this one."""
    for record in newest:
        for move in record.moves:
            if move.image_tag == image_tag:
                found = move.outcome is Outcome.UNCHANGED and record.digest_of(move) == image_digest
                return record if found else None
    return None
