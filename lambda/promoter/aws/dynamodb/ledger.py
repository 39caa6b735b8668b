"""Ledger on DynamoDB: leases and records. docs/reference/ledger.md has the items.

A promotion is two transactions. `begin` puts the record, open, and the lease into the head of every tag; `finish`
puts the record as it ended, the heads as they are now without the lease, and the history. Each goes through as a
whole or not at all (DynamoDB developer guide, "Amazon DynamoDB Transactions"); the SDK sends a token with each, so
that one whose answer was lost is not carried out twice.
"""

from __future__ import annotations

import json
import random
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from promoter.aws.dynamodb import table
from promoter.aws.dynamodb.freezes import DynamoFreezes
from promoter.aws.dynamodb.reconcile_index import DynamoLeftovers
from promoter.domain import documents
from promoter.domain.errors import IdempotencyConflict, LedgerError, TagBusy
from promoter.domain.model import Head, Lease, Outcome, Record, Repository, TagMove, Trigger
from promoter.domain.policy import Freeze
from promoter.domain.ports import (
    AbandonedError,
    HeadMovedError,
    LeaseLostError,
    MovedOnError,
    PartlyDoneError,
    RolledBackError,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

CONDITION_FAILED, CONFLICT = "ConditionalCheckFailed", "TransactionConflict"
NEVER_MOVED = "attribute_not_exists(digest)"
IN_THE_WAY = {CONFLICT, "ThrottlingError", "ProvisionedThroughputExceeded"}
"""Why DynamoDB cancels what it would carry out a moment later (API reference, TransactWriteItems)."""

BACK = "rolledBack:"
"""Begins the names of a head's attributes that say from which digests its tag was rolled back: one for each."""

ENDS = 6
"""How often the end of a lease is written: the tags are put, and others wait for this write."""


def _now() -> datetime:
    return datetime.now(UTC)


class DynamoLedger(DynamoLeftovers):
    """Ledger in one table. `lease_duration` is longer than the PutImage calls that a lease lets begin."""

    def __init__(
        self,
        client: DynamoDBClient,
        table: str,
        *,
        lease_duration: timedelta,
        history: timedelta,
        now: Callable[[], datetime] = _now,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(client, table, now)
        self._lease_duration = lease_duration
        self._history = history
        self._pause = pause
        self._freezes = DynamoFreezes(client, table)

    def freezes(self) -> Sequence[Freeze]:
        """Return them as they were a few seconds ago at most."""
        return self._freezes.known()

    def begin(
        self,
        record: Record,
        seen: Mapping[str, str | None],
        versions: Mapping[str, int],
        after: Record | None = None,
    ) -> Lease | Record:
        """Take the lease in one transaction; the condition on each head is the compare of the compare-and-swap."""
        until = (self._now() + self._lease_duration).replace(microsecond=0)  # as the others read it
        lease = Lease(token=uuid.uuid4().hex, record=record, until=until)
        members = {
            "listing": {"S": table.OPEN},
            "listedAt": {"S": f"{table.sortable(lease.until)}#{record.promotion_id}"},
            "lease": {"S": lease.token},
            "leaseEnds": {"N": table.seconds(lease.until)},
        }
        changes = [self._put_first(record, members, after)]
        changes += [self._take(tag, digest, versions.get(tag), lease) for tag, digest in seen.items()]
        reasons = self._transact(changes, "the promotion could not begin")
        if not reasons:
            return lease
        earlier = self._earlier(record, reasons[0])
        if earlier is not None:
            return earlier
        raise self._in_the_way(record, dict(zip(seen, reasons[1:], strict=True)))

    def finish(self, lease: Lease, record: Record) -> None:
        """End the lease in one transaction; every part of it requires that the lease is still held."""
        moves = {move.image_tag: move for move in record.moves}
        changes: list[dict[str, Any]] = [
            {
                "Put": {
                    "TableName": self._table,
                    "Item": self._ended(record),
                    "ConditionExpression": "lease = :lease",
                    "ExpressionAttributeValues": {":lease": {"S": lease.token}},
                }
            }
        ]
        changes += [self._end_lease(tag, lease, record, moves.get(tag)) for tag in lease.planned]
        changes += self._histories(record)
        for left in reversed(range(ENDS)):
            reasons = self._transact(changes, "the promotion could not be recorded")
            if not reasons:
                return
            _require_lease(lease, [reason.get("Code") for reason in reasons])
            if left:
                self._pause(random.uniform(0.1, 0.6))  # noqa: S311 - spreads those who are in each other's way
        raise LedgerError("the promotion could not be recorded: DynamoDB is busy with its items; try again")

    def release(self, repository: Repository, image_tags: Sequence[str], promotion_id: str) -> None:
        """Update each head that is still held for the promotion, beyond its time."""
        for tag in image_tags:
            self._release(table.head_key(repository, tag), promotion_id)

    def _release(self, key: Any, promotion_id: str) -> None:
        values = {":holder": {"S": promotion_id}, ":now": {"N": table.seconds(self._now())}}
        table.succeeds(
            lambda: self._client.update_item(
                TableName=self._table,
                Key=key,
                UpdateExpression="REMOVE lease, holder, leaseEnds",
                ConditionExpression="holder = :holder AND leaseEnds < :now",
                ExpressionAttributeValues=values,
            ),
            "the tag could not be freed",
        )

    def record(self, record: Record, after: Record | None = None) -> Record:
        """Record in one transaction."""
        first = self._put_first(record, self._ended(record), after)
        reasons = self._transact([first, *self._histories(record)], "the outcome could not be recorded")
        if not reasons:
            return record
        earlier = self._earlier(record, reasons[0])
        if earlier is None:
            raise TagBusy("this promotion is being recorded; try again")
        return earlier

    def earlier(self, record: Record) -> Record | None:
        """Read the promotion's item."""
        item = self._item(record.promotion_id)
        same = "outcome" in item and table.text(item, "fingerprint") == record.fingerprint
        return table.record_of(item) if same else None

    def lease(self, promotion_id: str) -> Lease | None:
        """Read the promotion's item."""
        item = self._item(promotion_id)
        if "lease" not in item:
            return None
        return Lease(
            token=item["lease"]["S"],
            record=table.record_of(item),
            until=datetime.fromtimestamp(table.number(item, "leaseEnds"), UTC),
        )

    def _item(self, promotion_id: str) -> Mapping[str, Any]:
        with table.asking("the promotion could not be read"):
            answer = self._client.get_item(
                TableName=self._table, Key=table.promotion_key(promotion_id), ConsistentRead=True
            )
        return answer.get("Item", {})

    def head(self, repository: Repository, image_tag: str) -> Head | None:
        """Read the tag's item."""
        with table.asking("the head could not be read"):
            answer = self._client.get_item(
                TableName=self._table, Key=table.head_key(repository, image_tag), ConsistentRead=True
            )
        item = answer.get("Item", {})
        return table.head_of(item) if "digest" in item else None

    def _put_first(self, record: Record, members: Mapping[str, Any], after: Record | None) -> dict[str, Any]:
        """Return the put of a record.

        Of the same promotion it replaces only one that may be tried again; if that has put tags, only `after`,
        whose moves the record carries on.
        """
        item = _item(record) | dict(members)
        replaceable = "retryable = :true AND (attribute_not_exists(partly) OR listedAt = :after)"
        return {
            "Put": {
                "TableName": self._table,
                "Item": item,
                "ConditionExpression": f"attribute_not_exists(pk) OR ({replaceable})",
                "ExpressionAttributeValues": {
                    ":true": {"BOOL": True},
                    ":after": self._ended(after)["listedAt"] if after else {"S": "none"},
                },
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }

    def _take(self, tag: str, digest: str | None, version: int | None, lease: Lease) -> dict[str, Any]:
        values: dict[str, Any] = {
            ":lease": {"S": lease.token},
            ":holder": {"S": lease.record.promotion_id},
            ":ends": {"N": table.seconds(lease.until)},
        }
        where = [NEVER_MOVED]
        if digest is not None:
            where.append("digest = :seen")
            values[":seen"] = {"S": digest}
        if version is not None:
            where.append("version = :version")
            values[":version"] = {"N": str(version)}
        condition, names = f"{table.FREE} AND ({' OR '.join(where)})", {}
        if lease.record.undoes:
            condition += " AND (promotion = :undone OR undoes = :undone)"
            values[":undone"] = {"S": lease.record.undoes}
        elif lease.record.trigger is Trigger.SCAN:
            condition += " AND attribute_not_exists(#back)"
            names["#back"] = f"{BACK}{lease.record.image_digest}"
        change = "SET lease = :lease, holder = :holder, leaseEnds = :ends"
        return self._update(table.head_key(lease.record.repository, tag), change, condition, values, names)

    def _end_lease(self, tag: str, lease: Lease, record: Record, move: TagMove | None) -> dict[str, Any]:
        """Return the update of a head without the lease; with where the tag is now, if it was moved.

        A digest that a tag was rolled back from is forgotten only when a request puts the tag on it again.
        """
        key, held = table.head_key(record.repository, tag), "lease = :lease"
        values: dict[str, Any] = {":lease": {"S": lease.token}}
        if move is None:
            return self._update(key, "REMOVE lease, holder, leaseEnds", held, values)
        change = (
            "SET digest = :digest, promotion = :promotion, moved = :moved, listing = :heads, listedAt = :at, "
            "version = if_not_exists(version, :none) + :one"
        )
        if move.previous_digest:
            change += ", moving = :yes"
            values[":yes"] = {"BOOL": True}
        remove, names = "lease, holder, leaseEnds, drift", {}
        if record.undoes:
            change += ", undoes = :undone, #back = :undone"
            values[":undone"] = {"S": record.undoes}
            names["#back"] = f"{BACK}{record.undone.get(tag)}"
        else:
            remove += ", undoes"
        if record.trigger is Trigger.REQUEST:
            remove += ", #here"
            names["#here"] = f"{BACK}{record.digest_of(move)}"
        values |= {
            ":digest": {"S": record.digest_of(move)},
            ":promotion": {"S": record.promotion_id},
            ":moved": {"S": table.sortable(record.ended_at or self._now())},
            ":heads": {"S": table.HEADS},
            ":at": {"S": table.head_at(record.repository, tag)},
            ":none": {"N": "0"},
            ":one": {"N": "1"},
        }
        return self._update(key, f"{change} REMOVE {remove}", held, values, names)

    def _update(
        self, key: Any, change: str, condition: str, values: dict[str, Any], names: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        named = {"ExpressionAttributeNames": dict(names)} if names else {}
        return {
            "Update": {
                "TableName": self._table,
                "Key": key,
                "UpdateExpression": change,
                "ConditionExpression": condition,
                "ExpressionAttributeValues": values,
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                **named,
            }
        }

    def _ended(self, record: Record) -> dict[str, Any]:
        """Return the item of a record that ended; it is what the stream announces."""
        at, retryable = record.ended_at or self._now(), not documents.is_final(record)
        partly = retryable and any(move.outcome is Outcome.PROMOTED for move in record.moves)
        return (
            _item(record)
            | {
                "listing": {"S": table.history_of(record.repository)},
                "listedAt": {"S": f"{table.sortable(at)}#{record.promotion_id}"},
                "outcome": {"S": f"{record.outcome}"},
                "retryable": {"BOOL": retryable},
                "expires": {"N": table.seconds(at + self._history)},
            }
            | ({"partly": {"BOOL": True}} if partly else {})
        )

    def _histories(self, record: Record) -> list[dict[str, Any]]:
        """Return the puts of the record into the history of each of its tags."""
        ended = self._ended(record)
        kept = {name: ended[name] for name in ("document", "outcome", "expires")}
        return [
            {
                "Put": {
                    "TableName": self._table,
                    "Item": kept
                    | {"pk": {"S": table.history_of(record.repository, tag)}, "sk": ended["listedAt"]},
                }
            }
            for tag in record.image_tags
        ]

    def _transact(self, changes: list[dict[str, Any]], what: str) -> list[Mapping[str, Any]]:
        """Send a transaction; return the reasons, one a change, why it was not carried out: none if it was."""
        with table.asking(what):
            try:
                self._client.transact_write_items(TransactItems=changes)  # type: ignore[arg-type]
            except ClientError as error:
                reasons = error.response.get("CancellationReasons", [])
                codes = {reason.get("Code") for reason in reasons} - {"None", None}
                if error.response["Error"]["Code"] != "TransactionCanceledException" or not codes <= {
                    CONDITION_FAILED,
                    *IN_THE_WAY,
                }:
                    raise
                return list(reasons)
        return []

    def _earlier(self, record: Record, reason: Mapping[str, Any]) -> Record | None:
        """Return the record that stands under the promotionId already, if that is what was in the way."""
        if reason.get("Code") in IN_THE_WAY:
            raise TagBusy("this promotion is under way already; try again")
        if reason.get("Code") != CONDITION_FAILED:
            return None
        item = reason["Item"]
        if table.text(item, "fingerprint") != record.fingerprint:
            raise IdempotencyConflict("this Idempotency-Key was used for another request: use a new one")
        if "outcome" in item and item["retryable"]["BOOL"]:
            raise PartlyDoneError(table.record_of(item))
        if "outcome" in item:
            return table.record_of(item)
        if table.number(item, "leaseEnds") < self._now().timestamp():
            raise AbandonedError(record.promotion_id)
        raise TagBusy("this promotion is under way already; try again")

    def _in_the_way(self, record: Record, reasons: Mapping[str, Mapping[str, Any]]) -> Exception:
        """Return what keeps the tags from being taken: a lease that holds, one that does not, or other digests.

        Or that they were rolled back from this image, which holds for scans only, or that something has moved them
        after the promotion that is to be rolled back.
        """
        failed = {tag: reason for tag, reason in reasons.items() if reason.get("Code") == CONDITION_FAILED}
        items: dict[str, Any] = {tag: reason.get("Item", {}) for tag, reason in failed.items()}
        held = {tag: item for tag, item in items.items() if "lease" in item}
        now = self._now().timestamp()
        over = {tag: item["holder"]["S"] for tag, item in held.items() if table.number(item, "leaseEnds") < now}
        if over:
            holder = next(iter(over.values()))
            return AbandonedError(holder, [tag for tag, each in over.items() if each == holder])
        if held or not items:
            return TagBusy(f"another promotion is moving {', '.join(held or reasons)}; try again")
        if record.undoes:
            last = ("promotion", "undoes")
            moved_on = [
                tag
                for tag, item in items.items()
                if record.undoes not in [table.text(item, name) for name in last]
            ]
            if moved_on:
                return MovedOnError(moved_on)
        back = [tag for tag, item in items.items() if f"{BACK}{record.image_digest}" in item]
        if back and record.trigger is Trigger.SCAN:
            return RolledBackError(back)
        return HeadMovedError({tag: table.number(item, "version") for tag, item in items.items()})


def _require_lease(lease: Lease, codes: Sequence[str | None]) -> None:
    """Raise what a finished promotion learns of its lease, if that is why it cannot be recorded.

    The codes are those of the record, of each tag that was held, and of the histories.
    """
    if codes[0] == CONDITION_FAILED:
        raise LedgerError(
            "the promotion took longer than its lease; GET /promotions/{promotionId} says how it ended"
        )
    if lost := [tag for tag, code in zip(lease.planned, codes[1:], strict=False) if code == CONDITION_FAILED]:
        raise LeaseLostError(lost)


def _item(record: Record) -> dict[str, Any]:
    return table.promotion_key(record.promotion_id) | {
        "document": {"S": json.dumps(documents.document(record))},
        "fingerprint": {"S": record.fingerprint},
    }
