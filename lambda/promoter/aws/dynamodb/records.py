"""The first write of a record: on which conditions it stands, and what stands there already."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from promoter.aws.dynamodb import expressions, items, keys
from promoter.aws.dynamodb.expressions import Values
from promoter.aws.dynamodb.table import CONDITION_FAILED, IN_THE_WAY, Change, Item
from promoter.domain.errors import IdempotencyConflict
from promoter.domain.leasing import Abandoned, Busy, Replayed, Resumable, Waits
from promoter.domain.model import Outcome, Trigger
from promoter.domain.records import Record

KEPT = timedelta(days=1)
"""How long what belongs to a waiting promotion is kept beyond its end."""
UNDER_WAY = Busy("This promotion is under way already. Retry.")


def first(record: Record, members: Item, after: Record | None, region: str) -> Change:
    """Return the put of a record.

    Of the same promotion it replaces only one that may be tried again; if that has put tags, only `after`, whose
    moves the record carries on. Where `after` waits, it replaces only that, while it waits.
    """
    values = Values()
    if after is not None and after.outcome is Outcome.WAITING:
        condition = still_waits(after, values)
    else:
        condition = "attribute_not_exists(pk) OR attribute_exists(retryable)"
        if after is not None:
            condition += f" OR (attribute_exists(partly) AND listedAt={values.text(items.ended_at(after))})"
    return expressions.put(items.record_item(record, region) | dict(members), condition, values)


def still_waits(record: Record, values: Values) -> str:
    """Return the condition that a promotion waits as its record says."""
    return f"outcome={values.text(Outcome.WAITING)} AND waitsUntil={values.text(items.waits_until(record))}"


def has_waited(record: Record, after: Record | None) -> bool:
    """Say whether a request has waited until now. Those by events wait beside each other."""
    return after is not None and after.outcome is Outcome.WAITING and record.trigger is Trigger.REQUEST


def may_have_to_wait(record: Record, after: Record | None) -> bool:
    """Say whether a request that has not waited yet is about to move tags, and may have to wait after that."""
    return record.wait is not None and record.trigger is Trigger.REQUEST and not has_waited(record, after)


def newest(
    record: Record, what: str, region: str, condition: str | None = None, values: Values | None = None
) -> Change:
    """Return the put of what names the record's promotion as the newest of its rule for the same."""
    until = record.wait.until if record.wait else record.asked_at
    item = keys.newest(region, record.repository, record.rule or "", what)
    item |= {"promotion": {"S": record.promotion_id}, "expires": {"N": keys.seconds(until + KEPT)}}
    return expressions.put(item, condition, values)


def newest_of_tag(record: Record, image_tag: str, region: str) -> Change:
    """Return the put of what names a request as the newest for a tag, unless one was asked for later."""
    values, asked = Values(), keys.sortable(record.asked_at)
    condition = f"attribute_not_exists(asked) OR asked<={values.text(asked)}"
    change = newest(record, f"tag#{image_tag}", region, condition, values)
    change["Put"]["Item"]["asked"] = {"S": asked}
    return change


def newest_key(record: Record, image_tag: str, region: str) -> Item:
    """Return the key of what names the newest request for a tag by the same rule that waits, or has waited."""
    return keys.newest(region, record.repository, record.rule or "", f"tag#{image_tag}")


def not_overtaken(record: Record, image_tag: str, region: str) -> Change:
    """Return the check that no newer request by the same rule waits for a tag, or has waited."""
    values = Values()
    condition = f"attribute_not_exists(pk) OR promotion={values.text(record.promotion_id)}"
    return expressions.check(newest_key(record, image_tag, region), condition, values)


def failed(image_tags: Sequence[str], reasons: Sequence[Item]) -> tuple[str, ...]:
    """Return the tags whose condition did not hold."""
    return tuple(
        tag for tag, reason in zip(image_tags, reasons, strict=False) if reason.get("Code") == CONDITION_FAILED
    )


def standing(
    record: Record, reason: Item, now: datetime
) -> Replayed | Waits | Resumable | Busy | Abandoned | None:
    """Return what the ledger already has under the promotionId, if that was in the way."""
    if reason.get("Code") in IN_THE_WAY:
        return UNDER_WAY
    if reason.get("Code") != CONDITION_FAILED:
        return None
    if "Item" not in reason:
        return UNDER_WAY  # it waited, and the table has lost it since
    item = reason["Item"]
    if not is_of(item, record):
        raise IdempotencyConflict("This Idempotency-Key was used for another request. Use a new one.")
    if "outcome" in item:
        return _ended(item)
    return Abandoned(record.promotion_id) if items.lease_end(item) < now else UNDER_WAY


def _ended(item: Item) -> Replayed | Waits | Resumable:
    kept = items.record_of(item)
    if kept.outcome is Outcome.WAITING:
        return Waits(kept)
    return Resumable(kept) if "retryable" in item or "partly" in item else Replayed(kept)


def is_of(item: Item, record: Record) -> bool:
    """Say whether an item is of the same request as the record."""
    return (keys.text(item, "fingerprint") or "") == record.fingerprint
