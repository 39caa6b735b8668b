"""What promotions, and others, have left behind in the ledger: for `reconcile`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from promoter.aws.dynamodb import table
from promoter.domain.model import Head, Outcome, Record, Rota, Round

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

NEWEST = 20
"""How much of a tag's history is looked at: refusals may have come since."""

PAGE = 100  # as many tags as one BatchGetImage can name
RUN = table.reconcile_key("run")


class DynamoLeftovers:
    """The part of the ledger for `reconcile`: what the index lists, and how far the last runs have come."""

    def __init__(self, client: DynamoDBClient, table: str, now: Callable[[], datetime]) -> None:
        self._client = client
        self._table = table
        self._now = now

    def abandoned(self) -> Iterator[str]:
        """Query the open promotions by the end of their lease."""
        with table.asking("the ledger could not be read"):
            items = table.every(
                self._client,
                TableName=self._table,
                IndexName=table.INDEX,
                KeyConditionExpression="listing = :listing AND listedAt < :now",
                ExpressionAttributeValues={
                    ":listing": {"S": table.OPEN},
                    ":now": {"S": table.sortable(self._now())},
                },
                Limit=PAGE,
            )
            for item in items:
                yield item["pk"]["S"].partition("#")[2]

    def heads_listed(self, rota: Rota, after: str | None) -> Sequence[tuple[str, Head]]:
        """Query one page of the index."""
        with table.asking("the ledger could not be read"):
            answer = self._client.query(
                TableName=self._table,
                IndexName=table.INDEX,
                KeyConditionExpression="listing = :listing AND listedAt > :after",
                ExpressionAttributeValues={":listing": {"S": rota}, ":after": {"S": after or " "}},
                Limit=PAGE,
            )
        return [(item["listedAt"]["S"], table.head_of(item)) for item in answer["Items"]]

    def note(self, head: Head, *, drift: str | None, rota: Rota | None) -> bool:
        """Update the head's item; the stream announces a drift that is new."""
        sets, removes, values = [], [], dict[str, Any]()
        if drift:
            sets.append("drift = :drift")
            values[":drift"] = {"S": drift}
        else:
            removes.append("drift")
        if rota:
            sets += ["listing = :listing", "listedAt = :at"]
            values |= _listed(head, rota)
        else:
            removes += ["listing", "listedAt"]
        parts = (("SET", sets), ("REMOVE", removes))
        return self._write_head(
            head, " ".join(f"{verb} {', '.join(what)}" for verb, what in parts if what), values
        )

    def adopt(self, head: Head, image_digest: str) -> bool:
        """Query the newest of the tag's history, and update the head's item."""
        with table.asking("the history could not be read"):
            answer = self._client.query(
                TableName=self._table,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": table.history_of(head.repository, head.image_tag)}},
                ScanIndexForward=False,
                ConsistentRead=True,
                Limit=NEWEST,
            )
        newest = asked_for([table.record_of(item) for item in answer["Items"]], head.image_tag, image_digest)
        if newest is None:
            return False
        change = (
            "SET digest = :digest, promotion = :asked, moved = :moved, listing = :listing, listedAt = :at, "
            "version = if_not_exists(version, :none) + :one REMOVE drift, undoes"
        )
        values = {
            ":digest": {"S": image_digest},
            ":asked": {"S": newest.promotion_id},
            ":moved": {"S": table.sortable(newest.ended_at or self._now())},
            ":none": {"N": "0"},
            ":one": {"N": "1"},
        }
        return self._write_head(head, change, values | _listed(head, Rota.MOVING))

    def round(self, rota: Rota) -> Round:
        """Read the rota's item."""
        with table.asking("the ledger could not be read"):
            answer = self._client.get_item(
                TableName=self._table, Key=table.reconcile_key(rota), ConsistentRead=True
            )
        item = answer.get("Item", {})
        moments = {name: table.text(item, name) for name in ("began", "whole")}
        return Round(
            after=table.text(item, "after"),
            **{name: datetime.fromisoformat(text) if text else None for name, text in moments.items()},
        )

    def keep_round(self, rota: Rota, at: Round) -> None:
        """Write the rota's item."""
        members = {
            "after": at.after,
            "began": at.began and table.sortable(at.began),
            "whole": at.whole and table.sortable(at.whole),
        }
        kept: dict[str, Any] = {name: {"S": text} for name, text in members.items() if text}
        with table.asking("the ledger could not be written"):
            self._client.put_item(TableName=self._table, Item=table.reconcile_key(rota) | kept)

    def begin_run(self, holder: str, until: datetime) -> bool:
        """Put the run's item where there is none, or one that is over."""
        return table.succeeds(
            lambda: self._client.put_item(
                TableName=self._table,
                Item=RUN | {"holder": {"S": holder}, "ends": {"S": table.sortable(until)}},
                ConditionExpression="attribute_not_exists(pk) OR ends < :now",
                ExpressionAttributeValues={":now": {"S": table.sortable(self._now())}},
            ),
            "the run could not begin",
        )

    def end_run(self, holder: str) -> None:
        """Delete the run's item."""
        table.succeeds(
            lambda: self._client.delete_item(
                TableName=self._table,
                Key=RUN,
                ConditionExpression="holder = :holder",
                ExpressionAttributeValues={":holder": {"S": holder}},
            ),
            "the run could not be ended",
        )

    def _write_head(self, head: Head, change: str, values: Mapping[str, Any]) -> bool:
        """Update a head's item, which nobody has moved or is about to move; False: somebody has."""
        return table.succeeds(
            lambda: self._client.update_item(
                TableName=self._table,
                Key=table.head_key(head.repository, head.image_tag),
                UpdateExpression=change,
                ConditionExpression=f"promotion = :promotion AND {table.FREE}",
                ExpressionAttributeValues={**values, ":promotion": {"S": head.promotion_id}},
            ),
            "the head could not be written",
        )


def _listed(head: Head, rota: Rota) -> dict[str, Any]:
    return {":listing": {"S": rota}, ":at": {"S": table.head_at(head.repository, head.image_tag)}}


def asked_for(newest: Sequence[Record], image_tag: str, image_digest: str) -> Record | None:
    """Return the last promotion that found the tag on its image or put it there, if it found it on this one."""
    for record in newest:
        for move in record.moves:
            if move.image_tag == image_tag:
                found = move.outcome is Outcome.UNCHANGED and record.digest_of(move) == image_digest
                return record if found else None
    return None
