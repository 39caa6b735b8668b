"""Waiting promotions on DynamoDB: docs/reference/ledger.md has the items."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from promoter.aws.dynamodb import expressions, items, keys, leases, records
from promoter.aws.dynamodb.expressions import Values
from promoter.aws.dynamodb.table import CONDITION_FAILED, INDEX, Item, Table
from promoter.domain.clock import utc_now
from promoter.domain.leasing import Accepted, Busy, Overtaken, Recorded, Stale, Waits
from promoter.domain.model import Manifest, Outcome, Trigger
from promoter.domain.records import Record

NOT_READ, NOT_WRITTEN = "The waiting promotion could not be read", "The waiting promotion could not be recorded"
PAGE = 100
CONTENDED = Busy("Another promotion of the same tags is being accepted. Retry.")


class DynamoWaitingPromotions:
    """Waiting promotions in the function's table."""

    def __init__(self, table: Table, *, now: Callable[[], datetime] = utc_now) -> None:
        self._table = table
        self._now = now

    def accept(
        self, record: Record, manifest: Manifest | None, next_try: datetime, after: Record | None = None
    ) -> Accepted:
        """Accept in one transaction: the record, the manifest, that it is the newest, where its tags are."""
        if record.trigger is Trigger.SCAN:
            return self._accept_event(record, next_try, after)
        seen = record.wait.seen if record.wait and record.wait.seen else {}
        waits = items.waiting_of(record, next_try) | items.accepted(record, self._now())
        changes = [records.first(record, waits, after, self._table.region)]
        changes += [
            leases.unmoved(keys.head(self._table.region, record.repository, tag), each)
            for tag, each in seen.items()
        ]
        changes += [records.newest_of_tag(record, tag, self._table.region) for tag in record.image_tags]
        if manifest:
            changes.append(expressions.put(_manifest_item(record, manifest)))
        reasons = self._table.transact(changes, NOT_WRITTEN)
        if not reasons:
            return Recorded()
        if standing := records.standing(record, reasons[0], self._now()):
            return standing
        if others := records.failed(record.image_tags, reasons[1 + len(seen) :]):
            return Overtaken(others)
        moved = records.failed(tuple(seen), reasons[1:])
        return Stale(dict.fromkeys(moved, 0)) if moved else CONTENDED

    def promotion(self, promotion_id: str) -> Record | None:
        """Read the promotion's item."""
        item = self._table.get(keys.promotion(promotion_id), NOT_READ)
        return items.record_of(item) if keys.text(item, "outcome") == Outcome.WAITING else None

    def manifest(self, promotion_id: str) -> Manifest | None:
        """Read the item beside the promotion's."""
        item = self._table.get(keys.manifest(promotion_id), NOT_READ)
        if not item:
            return None
        return Manifest(item["body"]["B"], item["mediaType"]["S"], item["digest"]["S"])

    def keep(self, record: Record, manifest: Manifest) -> None:
        """Put the item beside the promotion's."""
        self._table.put(_manifest_item(record, manifest), NOT_WRITTEN)

    def overtaken(self, record: Record) -> tuple[str, ...]:
        """Read which promotion is the newest of each tag."""
        if record.trigger is Trigger.SCAN:
            return ()
        newest = {
            tag: self._table.get(records.newest_key(record, tag, self._table.region), NOT_READ)
            for tag in record.image_tags
        }
        ours = (None, record.promotion_id)
        return tuple(tag for tag, item in newest.items() if keys.text(item, "promotion") not in ours)

    def update(self, before: Record, record: Record, next_try: datetime) -> bool:
        """Update the promotion's item on condition that it still waits. What names it lasts as long."""
        if record.trigger is Trigger.SCAN and record.wait != before.wait:
            self._table.transact([records.newest(record, _event_of(record), self._table.region)], NOT_WRITTEN)
        values = Values()
        waits = values.condition(records.still_waits(before, values))
        changed = items.document_parts(record) | items.waiting_of(record, next_try) | items.wait_of(record)
        key = keys.promotion(record.promotion_id)
        change = f"SET {values.assigned(changed)} REMOVE accepted"
        return self._table.update(key, change, NOT_WRITTEN, **waits | values.members())

    def due(self, now: datetime) -> Iterator[str]:
        """Query the listings of the index, and merge them."""
        from heapq import merge  # events do not need it

        listings = [self._due(keys.shard(number), now) for number in range(keys.SHARDS)]
        for item in merge(*listings, key=lambda item: str(item["listedAt"]["S"])):
            yield items.promotion_id(item)

    def _due(self, listing: str, now: datetime) -> Iterator[Item]:
        values = Values()
        due = f"listing={values.text(listing)} AND listedAt<{values.text(keys.sortable(now))}"
        return self._table.every(
            NOT_READ,
            IndexName=INDEX,
            KeyConditionExpression=due,
            Limit=PAGE,
            **values.members(),
        )

    def _accept_event(self, record: Record, next_try: datetime, after: Record | None) -> Accepted:
        """Accept a promotion by event, unless one of the same rule, tag and digest waits."""
        what = _event_of(record)
        key = keys.newest(self._table.region, record.repository, record.rule or "", what)
        known = keys.text(self._table.get(key, NOT_READ), "promotion")
        if known and (waits := self.promotion(known)):
            return Waits(waits)
        values = Values()
        condition = f"promotion={values.text(known)}" if known else "attribute_not_exists(pk)"
        changes = [
            records.first(record, items.waiting_of(record, next_try), after, self._table.region),
            records.newest(record, what, self._table.region, condition, values),
        ]
        reasons = self._table.transact(changes, NOT_WRITTEN)
        if not reasons:
            return Recorded()
        if standing := records.standing(record, reasons[0], self._now()):
            return standing
        if reasons[1].get("Code") == CONDITION_FAILED:
            return self._accept_event(record, next_try, after)
        return CONTENDED


def _manifest_item(record: Record, manifest: Manifest) -> Item:
    until = record.wait.until if record.wait else record.asked_at
    return keys.manifest(record.promotion_id) | {
        "body": {"B": manifest.body},
        "mediaType": {"S": manifest.media_type},
        "digest": {"S": manifest.digest},
        "expires": {"N": keys.seconds(until + records.KEPT)},
    }


def _event_of(record: Record) -> str:
    """Return what promotions by event of the same image and tag have in common."""
    return f"scan#{record.source.image_tag or ''}@{record.source.image_digest}"
