"""Deferred promotions on DynamoDB: which tagged image waits for the scan of which manifest.

A deferred promotion is one item for each scan that it waits for. `pk` is
`deferred#REGISTRY/REGION/REPOSITORY@DIGEST`, the manifest whose scan is awaited; `sk` is `TAG@DIGEST`, the pinned
tag that waits for it; `besides` are manifests that it waits for too; `expires` is when DynamoDB may forget it, in
epoch seconds.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from promoter.aws.dynamodb import keys
from promoter.aws.dynamodb.expressions import Values
from promoter.aws.dynamodb.table import INDEX, Item, Table, asking
from promoter.domain.errors import LedgerError
from promoter.domain.model import DeferredPromotion, ImageId, Repository

KEPT = timedelta(days=14)  # a scan that takes longer does not come
MOST_WRITTEN, MOST_READ = 25, 100  # of BatchWriteItem, of BatchGetItem
NOT_READ, NOT_WRITTEN = "the deferred promotions could not be read", "the deferred promotion was not written"
BESIDES = 8
"""Manifests that an item names beside its own: as many as leave it within one write unit, 1 KB."""


class DynamoDeferredPromotions:
    """Deferred promotions in one table, which others may share: every key begins with `deferred#`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def add(self, repository: Repository, waiting: ImageId, image_digests: Sequence[str]) -> bool:
        """Write an item for each manifest that has none: a read costs a fifth of a write, and none of the index.

        Two who add the same at once write it twice, which is harmless.
        """
        now = datetime.now(UTC)
        deferred_promotions = [
            DeferredPromotion(repository, digest, waiting) for digest in dict.fromkeys(image_digests)
        ]
        standing = {
            item["pk"]["S"]
            for item in self._read(deferred_promotions)
            if keys.number(item, "expires") > now.timestamp()
        }
        missing = [deferred for deferred in deferred_promotions if self._keys(deferred)["pk"]["S"] not in standing]
        self._write([self._item(deferred, now, _others(deferred, deferred_promotions)) for deferred in missing])
        return bool(missing)

    def besides(self, deferred: DeferredPromotion) -> tuple[str, ...]:
        """Read the item, then those that it names."""
        named = [item.get("besides", {}).get("SS", []) for item in self._read([deferred])]
        others = [
            DeferredPromotion(deferred.repository, digest, deferred.waiting)
            for digests in named
            for digest in sorted(digests)
        ]
        return tuple(_deferred(item).image_digest for item in self._read(others))

    def _read(self, deferred_promotions: Sequence[DeferredPromotion]) -> Iterator[Item]:
        """Yield the items that there are."""
        for portion in _portions([self._keys(deferred) for deferred in deferred_promotions], MOST_READ):
            request: Any = {self._table.name: {"Keys": portion, "ConsistentRead": True}}
            with asking(NOT_READ):
                answer = self._table.client.batch_get_item(RequestItems=request)
            if answer.get("UnprocessedKeys"):
                raise LedgerError(f"{NOT_READ}: DynamoDB is throttling. Retry.")
            yield from answer["Responses"].get(self._table.name, [])

    def _write(self, items: Sequence[Item]) -> None:
        for portion in _portions(items, MOST_WRITTEN):
            puts: list[Any] = [{"PutRequest": {"Item": item}} for item in portion]
            with asking(NOT_WRITTEN):
                answer = self._table.client.batch_write_item(RequestItems={self._table.name: puts})
            if answer.get("UnprocessedItems"):
                raise LedgerError(f"{NOT_WRITTEN}: DynamoDB is throttling. Retry.")

    def oldest(self, before: datetime, *, limit: int) -> tuple[DeferredPromotion, ...]:
        """Query each key of the index, and merge what it lists."""
        found = [item for shard in range(keys.DEFERRED_SHARDS) for item in self._listed(shard, before, limit)]
        found.sort(key=lambda item: str(item["listedAt"]["S"]))
        return tuple(_deferred(item) for item in found[:limit])

    def _listed(self, shard: int, before: datetime, limit: int) -> list[dict[str, Any]]:
        values = Values()
        answer = self._table.query(
            NOT_READ,
            IndexName=INDEX,
            KeyConditionExpression=(
                f"listing={values.text(_shard(shard))} AND listedAt<{values.text(keys.sortable(before))}"
            ),
            Limit=limit,
            **values.members(),
        )
        return list(answer["Items"])

    def touch(self, deferred: DeferredPromotion, *, extend: bool) -> None:
        """Note in the item that it was tried now; not if its event has ended it meanwhile."""
        now, values = datetime.now(UTC), Values()
        touched = {"listedAt": {"S": _at(now, deferred)}}
        if extend:
            touched["expires"] = {"N": keys.seconds(now + KEPT)}
        change = f"SET {values.assigned(touched)}"
        there = values.condition("attribute_exists(pk)")
        self._table.update(self._keys(deferred), change, NOT_WRITTEN, **there)

    def remove(self, deferred: DeferredPromotion) -> None:
        """Delete the item."""
        self._table.delete(self._keys(deferred), "the deferred promotion was not removed")

    def waiting_for(self, repository: Repository, image_digest: str) -> tuple[ImageId, ...]:
        """Query the manifest's items."""
        values = Values()
        found = self._table.every(
            NOT_READ,
            KeyConditionExpression=f"pk={values.text(self._partition(repository, image_digest))}",
            ConsistentRead=True,
            **values.members(),
        )
        return tuple(_deferred(item).waiting for item in found)

    def _partition(self, repository: Repository, image_digest: str) -> str:
        return f"{keys.DEFERRED}#{keys.place(self._table.region, repository)}@{image_digest}"

    def _keys(self, deferred: DeferredPromotion) -> dict[str, Any]:
        return {
            "pk": {"S": self._partition(deferred.repository, deferred.image_digest)},
            "sk": {"S": f"{deferred.waiting.image_tag or ''}@{deferred.waiting.image_digest}"},
        }

    def _item(self, deferred: DeferredPromotion, now: datetime, others: Sequence[str]) -> dict[str, Any]:
        item = self._keys(deferred) | {
            "listing": {"S": _listing(deferred)},
            "listedAt": {"S": _at(now, deferred)},
            "expires": {"N": keys.seconds(now + KEPT)},
        }
        return item | ({"besides": {"SS": list(others)}} if others else {})


def _others(deferred: DeferredPromotion, deferred_promotions: Sequence[DeferredPromotion]) -> list[str]:
    """Return the manifests next to this one's, on both sides; the first comes after the last.

    Scans finish in the order of an index, or the other way round: on one side something is awaited still.
    """
    here = deferred_promotions.index(deferred)
    after = [each.image_digest for each in [*deferred_promotions[here + 1 :], *deferred_promotions[:here]]]
    return list(dict.fromkeys(each for pair in zip(after, reversed(after), strict=True) for each in pair))[
        :BESIDES
    ]


def _listing(deferred: DeferredPromotion) -> str:
    return _shard(zlib.crc32(deferred.image_digest.encode()) % keys.DEFERRED_SHARDS)


def _shard(number: int) -> str:
    return f"{keys.DEFERRED}#{number}"


def _portions(entries: Sequence[Any], most: int) -> Iterator[list[Any]]:
    for start in range(0, len(entries), most):
        yield list(entries[start : start + most])


def _at(moment: datetime, deferred: DeferredPromotion) -> str:
    return f"{keys.sortable(moment)}#{deferred.image_digest}#{deferred.waiting.image_tag or ''}"


def _deferred(item: Item) -> DeferredPromotion:
    repository, _, image_digest = item["pk"]["S"].partition("#")[2].partition("@")
    tag, _, digest = item["sk"]["S"].partition("@")
    return DeferredPromotion(keys.placed(repository), image_digest, ImageId(tag or None, digest))
