"""The DynamoDB table of ledger, deferred promotions and freezes: keys, items, values, errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from promoter.domain import documents
from promoter.domain.errors import LedgerError
from promoter.domain.model import Head, Record, Repository

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

INDEX = "listed"
"""The table's one index, by `listing` and `listedAt`: open and deferred promotions, histories, heads."""

OPEN, DEFERRED, HEADS, FREEZES = "open", "deferred", "heads", "freezes"

DEFERRED_SHARDS = 16
"""The keys that list deferred promotions; one takes 1,000 write units a second (DynamoDB developer guide)."""


FREE = "attribute_not_exists(lease)"
"""The condition on the head of a tag that nobody has leased."""


def place(repository: Repository) -> str:
    """Return a repository as it stands in keys."""
    return f"{repository.registry_id}/{repository.name}"


def placed(text: str) -> Repository:
    """Return the repository of a key."""
    registry_id, _, name = text.partition("/")
    return Repository(registry_id, name)


def promotion_key(promotion_id: str) -> dict[str, Any]:
    """Return the key of a promotion's record."""
    return {"pk": {"S": f"promotion#{promotion_id}"}, "sk": {"S": "record"}}


def head_key(repository: Repository, image_tag: str) -> dict[str, Any]:
    """Return the key of a tag's head."""
    return {"pk": {"S": f"heads#{place(repository)}"}, "sk": {"S": image_tag}}


def head_at(repository: Repository, image_tag: str) -> str:
    """Return where a head is listed: beside the others of its repository, wherever its tag goes."""
    return f"{place(repository)}:{image_tag}"


def reconcile_key(name: str) -> dict[str, Any]:
    """Return the key of what reconcile remembers from run to run."""
    return {"pk": {"S": "reconcile"}, "sk": {"S": name}}


def history_of(repository: Repository, image_tag: str | None = None) -> str:
    """Return what a repository's history, or one of its tag's, is listed under."""
    return f"history#{place(repository)}" + (f"#{image_tag}" if image_tag else "")


def text(item: Mapping[str, Any], name: str) -> str | None:
    """Return a text of an item; None where it has none."""
    return item[name]["S"] if name in item else None


def number(item: Mapping[str, Any], name: str) -> int:
    """Return a number of an item; 0 where it has none."""
    return int(item[name]["N"]) if name in item else 0


def seconds(moment: datetime) -> str:
    """Return a moment as DynamoDB's time to live wants it."""
    return str(int(moment.timestamp()))


def sortable(moment: datetime) -> str:
    """Return a moment as a text that sorts like it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def record_of(item: Mapping[str, Any]) -> Record:
    """Read a record's item, or one of a history, which has no fingerprint."""
    found = documents.read(json.loads(item["document"]["S"]))
    return replace(found, fingerprint=text(item, "fingerprint") or "")


def head_of(item: Mapping[str, Any]) -> Head:
    """Read a head's item."""
    return Head(
        repository=placed(item["pk"]["S"].partition("#")[2]),
        image_tag=item["sk"]["S"],
        image_digest=item["digest"]["S"],
        promotion_id=item["promotion"]["S"],
        moved_at=datetime.fromisoformat(item["moved"]["S"]),
        drift=text(item, "drift"),
        undoes=text(item, "undoes"),
        moving="moving" in item or number(item, "version") > 1,
    )


def every(client: DynamoDBClient, **query: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the items of a query, page after page. botocore's paginators cost a cold start 8 ms a service."""
    start: dict[str, Any] = {}
    while True:
        answer = client.query(**query, **start)
        yield from answer["Items"]
        if not (last := answer.get("LastEvaluatedKey")):
            return
        start = {"ExclusiveStartKey": last}


@contextmanager
def asking(what: str) -> Iterator[None]:
    """Turn whatever goes wrong at DynamoDB into a LedgerError about `what`."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise LedgerError(f"{what}: {error}") from error


def succeeds(write: Callable[[], object], what: str) -> bool:
    """Carry out a write; False: its condition did not hold. Raises a LedgerError about `what` for all else."""
    with asking(what):
        try:
            write()
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return False
    return True
