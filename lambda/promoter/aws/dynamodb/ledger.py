"""Ledger on DynamoDB: leases and records. docs/reference/ledger.md has the items.

A promotion is two transactions. `begin` puts the record, open, and the lease into the head of every tag. `finish`
writes into the record how it ended, moves the heads, ends the lease, and puts the rows of the history. Each goes
through as a whole or not at all (DynamoDB developer guide, "Amazon DynamoDB Transactions"). The SDK sends a token
with each, so that one whose answer was lost is not carried out twice.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from promoter.aws.dynamodb import expressions, items, keys, leases, records
from promoter.aws.dynamodb.expressions import Values
from promoter.aws.dynamodb.table import CONDITION_FAILED, INDEX, Change, Item, Table
from promoter.domain import waiting
from promoter.domain.clock import spread_pause, utc_now
from promoter.domain.errors import LedgerError
from promoter.domain.leasing import Begun, Busy, Kept, LeaseLost, Overtaken, Recorded
from promoter.domain.model import Outcome, Repository
from promoter.domain.records import Lease, Record

TOKEN = 8
"""Random bytes of a lease's token. They tell it from the few that a tag or a promotion ever has."""

FINISH_TRIES = 6
"""How often the end of a lease is tried: the tags are put, and other promotions wait for this write."""

PAGE = 100
NOTHING: Mapping[str, int] = MappingProxyType({})
BEING_RECORDED = Busy("This promotion is being recorded. Retry.")


class DynamoLedger:
    """Ledger in one table. `lease_duration` is longer than the PutImage calls that a lease lets begin."""

    def __init__(
        self,
        table: Table,
        *,
        lease_duration: timedelta,
        history: timedelta,
        now: Callable[[], datetime] = utc_now,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._table = table
        self._lease_duration = lease_duration
        self._history = history
        self._now = now
        self._pause = pause

    def begin(
        self,
        record: Record,
        seen: Mapping[str, str | None],
        versions: Mapping[str, int],
        after: Record | None = None,
        exact: Mapping[str, int] = NOTHING,
    ) -> Begun:
        """Take the lease in one transaction; the condition on each head is the compare of the compare-and-swap.

        A request that has waited must still be the newest of its rule that waits for its tags. One that may have
        to wait becomes that, unless one that was asked for later waits.
        """
        until = (self._now() + self._lease_duration).replace(microsecond=0)  # as the others read it
        lease = Lease(secrets.token_urlsafe(TOKEN), record, until)
        opened = {
            "listing": {"S": keys.OPEN},
            "listedAt": {"S": keys.sortable(until)},
            "lease": {"S": lease.token},
        }
        changes = [records.first(record, opened, after, self._table.region)]
        changes += [
            leases.take(self._head(record.repository, tag), lease, digest, versions.get(tag), exact.get(tag))
            for tag, digest in seen.items()
        ]
        has_waited = records.has_waited(record, after)
        ranked = record.image_tags if has_waited or records.may_have_to_wait(record, after) else ()
        rank = records.not_overtaken if has_waited else records.newest_of_tag
        changes += [rank(record, tag, self._table.region) for tag in ranked]
        reasons = self._table.transact(changes, "The promotion could not begin")
        if not reasons:
            return lease
        if standing := records.standing(record, reasons[0], self._now()):
            return standing
        if others := records.failed(ranked, reasons[1 + len(seen) :]):
            return Overtaken(others)
        return leases.in_the_way(record, dict(zip(seen, reasons[1:], strict=False)), self._now())

    def finish(self, lease: Lease, record: Record) -> LeaseLost | None:
        """End the lease in one transaction; every part of it requires that the lease is still held."""
        moves, now = {move.image_tag: move for move in record.moves}, record.ended_at or self._now()
        changes = [self._end(lease, record)]
        changes += [
            leases.give_back(self._head(record.repository, tag), lease, record, moves.get(tag), now)
            for tag in lease.planned
        ]
        changes += self._history_rows(record)
        for left in reversed(range(FINISH_TRIES)):
            reasons = self._table.transact(changes, "The promotion could not be recorded")
            if not reasons:
                return None
            if lost := _lost(lease, [reason.get("Code") for reason in reasons]):
                return lost
            if left:
                self._pause(spread_pause(0.1, 0.6))
        raise LedgerError("The promotion could not be recorded: DynamoDB is busy with its items. Retry.")

    def release(self, repository: Repository, image_tags: Sequence[str], promotion_id: str) -> None:
        """Update each head that is still held for the promotion, beyond its time."""
        for tag in image_tags:
            change, condition = leases.release(promotion_id, self._now())
            self._table.update(self._head(repository, tag), change, "The tag could not be freed", **condition)

    def record(self, record: Record, after: Record | None = None) -> Kept:
        """Record in one transaction."""
        listing = {"listing": {"S": keys.place(self._table.region, record.repository)}}
        ended = items.end_of(record, self._history) | listing
        first = records.first(record, ended, after, self._table.region)
        reasons = self._table.transact([first, *self._history_rows(record)], "The outcome could not be recorded")
        if not reasons:
            return Recorded()
        return records.standing(record, reasons[0], self._now()) or BEING_RECORDED

    def earlier(self, record: Record) -> Record | None:
        """Read the promotion's item."""
        item = self._item(record.promotion_id)
        same = "outcome" in item and records.is_of(item, record)
        return items.record_of(item) if same else None

    def lease(self, promotion_id: str) -> Lease | None:
        """Read the promotion's item."""
        item = self._item(promotion_id)
        if "lease" not in item:
            return None
        return Lease(token=item["lease"]["S"], record=items.record_of(item), until=items.lease_end(item))

    def abandoned(self) -> Iterator[str]:
        """Query the open promotions by the end of their lease."""
        values = Values()
        found = self._table.every(
            "The ledger could not be read",
            IndexName=INDEX,
            KeyConditionExpression=(
                f"listing={values.text(keys.OPEN)} AND listedAt<{values.text(keys.sortable(self._now()))}"
            ),
            Limit=PAGE,
            **values.members(),
        )
        for item in found:
            yield items.promotion_id(item)

    def _item(self, promotion_id: str) -> Item:
        return self._table.get(keys.promotion(promotion_id), "The promotion could not be read")

    def _head(self, repository: Repository, image_tag: str) -> dict[str, Any]:
        return keys.head(self._table.region, repository, image_tag)

    def _end(self, lease: Lease, record: Record) -> Change:
        """Return the update of a record that ended, or that waits again."""
        values = Values()
        held = f"lease={values.text(lease.token)}"
        changed = items.changed_parts(record, lease.record)
        if record.outcome is Outcome.WAITING:
            now, is_new = self._now(), lease.record.wait is None or lease.record.wait.seen is None
            again = changed | items.waiting_of(record, waiting.next_try(record, now)) | items.wait_of(record)
            again |= items.accepted(record, now) if is_new else {}
            change = f"SET {values.assigned(again)} REMOVE lease"
        else:
            ended = changed | items.end_of(record, self._history)
            removed = "lease" + (",waitsUntil,waits" if lease.record.wait else "")
            change = f"SET listing=repository,{values.assigned(ended)} REMOVE {removed}"
        return expressions.update(keys.promotion(record.promotion_id), change, held, values)

    def _history_rows(self, record: Record) -> list[Change]:
        if record.outcome is Outcome.WAITING:
            return []
        rows = items.history_rows(record, self._table.region, self._history)
        return [expressions.put(row) for row in rows]


def _lost(lease: Lease, codes: Sequence[str | None]) -> LeaseLost | None:
    """Return which tags are no longer held, if that is why a promotion cannot be recorded.

    The codes are those of the record, of each tag that was held, and of the histories. Raises LedgerError where
    another promotion has recovered this one.
    """
    if codes[0] == CONDITION_FAILED:
        raise LedgerError(
            "The promotion took longer than its lease. GET /promotions/{promotionId} says how it ended."
        )
    lost = [tag for tag, code in zip(lease.planned, codes[1:], strict=False) if code == CONDITION_FAILED]
    return LeaseLost(tuple(lost)) if lost else None
