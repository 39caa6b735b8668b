"""Keys of the table's items, and the values that sort them and let them expire: see docs/reference/ledger.md."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from promoter.domain.model import Repository

if TYPE_CHECKING:
    from promoter.aws.dynamodb.table import Item

OPEN, WAITING, WAKE_UPS, HEADS, FREEZES = "open", "waiting", "wake-up", "heads", "freezes"

SHARDS = 16
"""The keys that list waiting promotions; one takes 1,000 write units a second (DynamoDB developer guide)."""


def place(region: str, repository: Repository) -> str:
    """Return a repository of a Region as it stands in keys."""
    return f"{repository.registry_id}/{region}/{repository.name}"


def placed(text: str) -> Repository:
    """Return the repository of a key."""
    registry_id, _, name = text.split("/", 2)
    return Repository(registry_id, name)


def promotion(promotion_id: str) -> dict[str, Any]:
    """Return the key of a promotion's record."""
    return {"pk": {"S": f"promotion#{promotion_id}"}, "sk": {"S": "record"}}


def manifest(promotion_id: str) -> dict[str, Any]:
    """Return the key of the manifest that came with a promotion that waits."""
    return {"pk": {"S": f"promotion#{promotion_id}"}, "sk": {"S": "manifest"}}


def waiting(promotion_id: str) -> str:
    """Return the listing of a promotion that waits: one of SHARDS."""
    return shard(zlib.crc32(promotion_id.encode()) % SHARDS)


def shard(number: int) -> str:
    """Return one of the listings of promotions that wait."""
    return f"{WAITING}#{number}"


def newest(region: str, repository: Repository, rule: str, what: str) -> dict[str, Any]:
    """Return the key of what names the newest promotion of a rule that waits, or has waited, for the same."""
    return {"pk": {"S": f"{WAITING}#{place(region, repository)}#{rule}"}, "sk": {"S": what}}


def wake_ups(region: str, repository: Repository, image_digest: str) -> str:
    """Return the partition of what an image's events wake."""
    return f"{WAKE_UPS}#{place(region, repository)}@{image_digest}"


def heads(region: str, repository: Repository) -> str:
    """Return the partition of a repository's heads."""
    return f"{HEADS}#{place(region, repository)}"


def head(region: str, repository: Repository, image_tag: str) -> dict[str, Any]:
    """Return the key of a tag's head."""
    return {"pk": {"S": heads(region, repository)}, "sk": {"S": image_tag}}


def history(region: str, repository: Repository, image_tag: str) -> str:
    """Return the partition of a tag's history."""
    return f"history#{place(region, repository)}#{image_tag}"


def reconcile(name: str) -> dict[str, Any]:
    """Return the key of what reconcile remembers from run to run."""
    return {"pk": {"S": "reconcile"}, "sk": {"S": name}}


def text(item: Item, name: str) -> str | None:
    """Return a text of an item; None where it has none."""
    return item[name]["S"] if name in item else None


def number(item: Item, name: str) -> int:
    """Return a number of an item; 0 where it has none."""
    return int(item[name]["N"]) if name in item else 0


def seconds(moment: datetime) -> str:
    """Return a moment as DynamoDB's time to live wants it."""
    return str(int(moment.timestamp()))


def sortable(moment: datetime) -> str:
    """Return a moment as a text that sorts like it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment(text: str) -> datetime:
    """Return the moment with which a sortable text begins."""
    return datetime.fromisoformat(text.partition("#")[0]).astimezone(UTC)
