"""Keys of the table's items, and the values that sort them and let them expire: see docs/reference/ledger.md."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from promoter.domain.model import Repository

if TYPE_CHECKING:
    from promoter.aws.dynamodb.table import Item

OPEN, DEFERRED, HEADS, FREEZES = "open", "deferred", "heads", "freezes"

DEFERRED_SHARDS = 16
"""The keys that list deferred promotions; one takes 1,000 write units a second (DynamoDB developer guide)."""


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
