"""What the table's stream tells, in the words of the service: promotions that ended or wait, tags that drifted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from promoter.aws.dynamodb import items, keys
from promoter.aws.dynamodb.table import Item
from promoter.domain.model import Outcome
from promoter.domain.records import Head


@dataclass(frozen=True)
class Ended:
    """A promotion that ended, with its document as it is recorded."""

    outcome: Outcome
    document: dict[str, Any]


@dataclass(frozen=True)
class Accepted:
    """A request that was accepted to wait, with its document as it is recorded."""

    document: dict[str, Any]


def read(new: Item, old: Item) -> Ended | Accepted | Head | None:
    """Read the change of an item; None: it tells of none of these.

    Raises AttributeError, KeyError, TypeError or ValueError for an item that no version like this one has written.
    """
    key = keys.text(new, "pk") or ""
    if key.startswith("promotion#") and keys.text(new, "outcome") == Outcome.WAITING:
        is_new = "accepted" in new and new["accepted"] != old.get("accepted")
        return Accepted(items.document_of(new)) if is_new else None
    if key.startswith("promotion#") and "outcome" in new:
        return Ended(Outcome(new["outcome"]["S"]), items.document_of(new))
    if key.startswith(f"{keys.HEADS}#") and "drift" in new and new["drift"] != old.get("drift"):
        return items.head_of(new)
    return None


def key_of(item: Item) -> Item:
    """Return the key of an item, as far as it has one."""
    return {name: item[name] for name in ("pk", "sk") if name in item}


def promotion_of(item: Item) -> str:
    """Return the promotion that an item tells of, as far as it can be read."""
    if (keys.text(item, "pk") or "").startswith("promotion#"):
        return items.promotion_id(item)
    return str(item.get("promotion", {}).get("S", ""))
