"""Expressions by which the heads of tags are leased and given back, and why a lease is refused.

The condition on each head is the compare of the compare-and-swap: nobody has leased the tag, and the ledger has it
where it was seen. docs/reference/ledger.md has the attributes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from promoter.aws.dynamodb import expressions, keys
from promoter.aws.dynamodb.expressions import Values
from promoter.aws.dynamodb.table import CONDITION_FAILED, Change, Item
from promoter.domain.leasing import Abandoned, Busy, MovedOn, RolledBack, Stale
from promoter.domain.model import Outcome, Seen, TagMove, Trigger
from promoter.domain.records import Lease, Record

NEVER_MOVED = "attribute_not_exists(digest)"
RELEASED = "lease,holder,leaseEnds"

ROLLED_BACK, DIGITS = "rolledBackFrom", 16
"""Begins the names of the attributes that say from which images a tag was rolled back.

So many digits of the image's digest follow, as many as make it unlikely that another image has the same.
"""


def rolled_back(image_digest: str | None) -> str:
    """Return the name of the attribute that says that a tag was rolled back from this image."""
    return f"{ROLLED_BACK}{(image_digest or '').rpartition(':')[2][:DIGITS]}"


def take(key: Item, lease: Lease, digest: str | None, version: int | None, exact: int | None) -> Change:
    """Return the update that leases a tag which was seen at `digest`, or whose head has this version.

    With `exact` the head must have that version in any case.
    """
    values = Values()
    where = [NEVER_MOVED]
    if digest is not None:
        where.append(f"digest={values.text(digest)}")
    if version is not None:
        where.append(f"version={values.number(version)}")
    condition = f"{expressions.FREE} AND " + (f"({' OR '.join(where)})" if len(where) > 1 else where[0])
    if exact is not None:
        condition += f" AND {_has_version(exact, values)}"
    if lease.record.undoes:
        undone = values.text(lease.record.undoes)
        condition += f" AND (promotion={undone} OR undoes={undone})"
    elif lease.record.trigger is Trigger.SCAN:
        condition += f" AND attribute_not_exists({rolled_back(lease.record.image_digest)})"
    leased = {
        "lease": {"S": lease.token},
        "holder": {"S": lease.record.promotion_id},
        "leaseEnds": {"N": keys.seconds(lease.until)},
    }
    change = f"SET {values.assigned(leased)}"
    return expressions.update(key, change, condition, values, returns_item=True)


def unmoved(key: Item, seen: Seen) -> Change:
    """Return the check that a tag is where it was seen, and held by nobody else."""
    values = Values()
    condition = _has_version(seen.version, values)
    condition += f" AND holder={values.text(seen.holder)}" if seen.holder else f" AND {expressions.FREE}"
    return expressions.check(key, condition, values)


def _has_version(version: int, values: Values) -> str:
    return f"version={values.number(version)}" if version else "attribute_not_exists(version)"


def give_back(key: Item, lease: Lease, record: Record, move: TagMove | None, at: datetime) -> Change:
    """Return the update of a head without the lease; with where the tag is now, if it was moved `at` that time.

    The promotion that moved it is the holder of the lease. An image from which a tag was rolled back is forgotten
    only when a request puts the tag on it again.
    """
    values = Values()
    held = f"lease={values.text(lease.token)}"
    if move is None or move.outcome is Outcome.PLANNED:
        return expressions.update(key, f"REMOVE {RELEASED}", held, values)
    moved = {
        "digest": {"S": record.digest_of(move)},
        "moved": {"S": keys.sortable(at)},
        "listing": {"S": keys.HEADS},
    }
    change = f"promotion=holder,listedAt=pk,{values.assigned(moved)}"
    removed = f"{RELEASED},drift"
    if move.previous_digest:
        change += f",moving={values.number(1)}"
    if record.undoes:
        undone = values.text(record.undoes)
        change += f",undoes={undone},{rolled_back(record.undone.get(move.image_tag))}={undone}"
    else:
        removed += ",undoes"
    if record.trigger is Trigger.REQUEST:
        removed += f",{rolled_back(record.digest_of(move))}"
    change = f"SET {change} REMOVE {removed} ADD version {values.number(1)}"
    return expressions.update(key, change, held, values)


def release(promotion_id: str, now: datetime) -> tuple[str, dict[str, Any]]:
    """Return the change that frees a tag which the promotion holds beyond its time, and its condition."""
    values = Values()
    over = f"holder={values.text(promotion_id)} AND leaseEnds<{values.number(keys.seconds(now))}"
    return f"REMOVE {RELEASED}", values.condition(over)


def in_the_way(
    record: Record, reasons: Mapping[str, Item], now: datetime
) -> Busy | Abandoned | MovedOn | RolledBack | Stale:
    """Return why the tags cannot be leased, by the reasons that DynamoDB gives for each.

    A lease of another promotion comes first. Then that something has moved them after the promotion that is to be
    rolled back; that they were rolled back from this image, which holds for scans only; or other digests.
    """
    heads: dict[str, Item] = {
        tag: reason.get("Item", {}) for tag, reason in reasons.items() if reason.get("Code") == CONDITION_FAILED
    }
    held = {tag: head for tag, head in heads.items() if "lease" in head}
    over = {
        tag: head["holder"]["S"] for tag, head in held.items() if keys.number(head, "leaseEnds") < now.timestamp()
    }
    if over:
        holder = next(iter(over.values()))
        return Abandoned(holder, tuple(tag for tag, each in over.items() if each == holder))
    if held or not heads:
        return busy(held or reasons)
    if record.undoes and (moved_on := [tag for tag, head in heads.items() if not _is_last(head, record.undoes)]):
        return MovedOn(tuple(moved_on))
    back = [tag for tag, head in heads.items() if rolled_back(record.image_digest) in head]
    if back and record.trigger is Trigger.SCAN:
        return RolledBack(tuple(back))
    return Stale({tag: keys.number(head, "version") for tag, head in heads.items()})


def busy(image_tags: Mapping[str, object]) -> Busy:
    """Return that another promotion has the lease of these tags."""
    tags = "tag" if len(image_tags) == 1 else "tags"
    return Busy(f"Another promotion is moving {tags} {', '.join(image_tags)}. Retry.")


def _is_last(head: Item, promotion_id: str) -> bool:
    """Say whether a promotion, or a rollback of it, was the last to move the tag."""
    return promotion_id in (keys.text(head, "promotion"), keys.text(head, "undoes"))
