"""Heads on DynamoDB: where the ledger has the tags, and what reconcile notes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from promoter.aws.dynamodb import expressions, items, keys
from promoter.aws.dynamodb.expressions import Values
from promoter.aws.dynamodb.table import INDEX, Item, Table
from promoter.domain.history import accepted
from promoter.domain.model import Repository
from promoter.domain.records import Head, Position, Rota

NEWEST = 20
"""How much of a tag's history is looked at: refusals may have come since."""

PAGE = 100  # as many tags as one BatchGetImage can name


class DynamoHeads:
    """Heads in the function's table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def head(self, repository: Repository, image_tag: str) -> Head | None:
        """Read the tag's item."""
        key = keys.head(self._table.region, repository, image_tag)
        item = self._table.get(key, "The head could not be read")
        return items.head_of(item) if "digest" in item else None

    def positions(self, repository: Repository, image_tags: Sequence[str]) -> Mapping[str, Position]:
        """Read each tag's item."""
        found = {
            tag: self._table.get(keys.head(self._table.region, repository, tag), "The head could not be read")
            for tag in image_tags
        }
        return {tag: items.position_of(item) for tag, item in found.items()}

    def listed(self, rota: Rota, after: str | None) -> Sequence[tuple[str, Head]]:
        """Query one page of the index, where a head is listed beside the others of its repository."""
        values = Values()
        answer = self._table.query(
            "The ledger could not be read",
            IndexName=INDEX,
            KeyConditionExpression=f"listing={values.text(rota)}",
            Limit=PAGE,
            **values.members(),
            **({"ExclusiveStartKey": _start(rota, after)} if after else {}),
        )
        return [(_listed_key(item), items.head_of(item)) for item in answer["Items"]]

    def note(self, head: Head, *, drift: str | None, rota: Rota | None) -> bool:
        """Update the head's item; the stream announces a drift that is new."""
        values, noted, removed = Values(), list[str](), list[str]()
        if drift:
            noted.append(f"drift={values.text(drift)}")
        else:
            removed.append("drift")
        if rota:
            noted.append(f"listing={values.text(rota)},listedAt=pk")
        else:
            removed.append("listing,listedAt")
        parts = (("SET", noted), ("REMOVE", removed))
        change = " ".join(f"{verb} {','.join(what)}" for verb, what in parts if what)
        return self._write(head, change, values)

    def adopt(self, head: Head, image_digest: str) -> bool:
        """Query the newest of the tag's history, and update the head's item."""
        values = Values()
        history = keys.history(self._table.region, head.repository, head.image_tag)
        answer = self._table.query(
            "The history could not be read",
            KeyConditionExpression=f"pk={values.text(history)}",
            ScanIndexForward=False,
            ConsistentRead=True,
            Limit=NEWEST,
            **values.members(),
        )
        newest = accepted(map(items.row_of, answer["Items"]), image_digest)
        if newest is None or newest.ended_at is None:
            return False
        values = Values()
        adopted = {
            "digest": {"S": image_digest},
            "promotion": {"S": newest.promotion_id},
            "moved": {"S": keys.sortable(newest.ended_at)},
            "listing": {"S": Rota.MOVING},
        }
        change = f"SET listedAt=pk,{values.assigned(adopted)} REMOVE drift,undoes ADD version {values.number(1)}"
        return self._write(head, change, values)

    def _write(self, head: Head, change: str, values: Values) -> bool:
        """Update a head's item, which nobody has moved or is about to move; False: somebody has."""
        condition = f"promotion={values.text(head.promotion_id)} AND {expressions.FREE}"
        key = keys.head(self._table.region, head.repository, head.image_tag)
        return self._table.update(key, change, "The head could not be written", **values.condition(condition))


def _listed_key(item: Item) -> str:
    """Return a head's key in its rota. A space sorts before every character of a repository's name."""
    return f"{item['pk']['S']} {item['sk']['S']}"


def _start(rota: Rota, after: str) -> dict[str, Any]:
    """Return where a page begins that follows this key."""
    partition, _, image_tag = after.partition(" ")
    texts = {"listing": rota, "listedAt": partition, "pk": partition, "sk": image_tag}
    return {name: {"S": text} for name, text in texts.items()}
