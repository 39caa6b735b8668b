"""Deferred promotions on DynamoDB: which tagged image waits for the scan of which manifest.

A deferred promotion is one item for each scan that it waits for: `pk` is `deferred#REGISTRY/REPOSITORY@DIGEST`,
the manifest whose scan is awaited, `sk` is `TAG@DIGEST`, the pinned tag that waits for it, `besides` are manifests
that it waits for too, `expires` is when DynamoDB may forget it (epoch seconds).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from promoter.aws.dynamodb import table
from promoter.domain.errors import LedgerError
from promoter.domain.model import DeferredPromotion, ImageId, Repository

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

KEPT = timedelta(days=14)  # a scan that takes longer does not come
MOST_WRITTEN, MOST_READ = 25, 100  # of BatchWriteItem, of BatchGetItem
BESIDES = 8
"""Manifests that an item names beside its own: as many as leave it within one write unit, 1 KB."""


class DynamoDeferredPromotions:
    """Deferred promotions in one table, which others may share: every key begins with `deferred#`."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
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
            if table.number(item, "expires") > now.timestamp()
        }
        missing = [deferred for deferred in deferred_promotions if _keys(deferred)["pk"]["S"] not in standing]
        self._write([_item(deferred, now, _others(deferred, deferred_promotions)) for deferred in missing])
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

    def _read(self, deferred_promotions: Sequence[DeferredPromotion]) -> Iterator[Mapping[str, Any]]:
        """Yield the items that there are."""
        for keys in _portions([_keys(deferred) for deferred in deferred_promotions], MOST_READ):
            request: Any = {self._table: {"Keys": keys, "ConsistentRead": True}}
            with table.asking("the deferred promotions could not be read"):
                answer = self._client.batch_get_item(RequestItems=request)
            if answer.get("UnprocessedKeys"):
                raise LedgerError("the deferred promotions could not be read: DynamoDB is throttling")
            yield from answer["Responses"].get(self._table, [])

    def _write(self, items: Sequence[Mapping[str, Any]]) -> None:
        for portion in _portions(items, MOST_WRITTEN):
            puts: list[Any] = [{"PutRequest": {"Item": item}} for item in portion]
            with table.asking("the deferred promotion was not written"):
                answer = self._client.batch_write_item(RequestItems={self._table: puts})
            if answer.get("UnprocessedItems"):
                raise LedgerError("the deferred promotion was not written: DynamoDB is throttling")

    def oldest(self, before: datetime, *, limit: int) -> tuple[DeferredPromotion, ...]:
        """Query each key of the index, and merge what it lists."""
        items = [item for shard in range(table.DEFERRED_SHARDS) for item in self._listed(shard, before, limit)]
        items.sort(key=lambda item: str(item["listedAt"]["S"]))
        return tuple(_deferred(item) for item in items[:limit])

    def _listed(self, shard: int, before: datetime, limit: int) -> list[dict[str, Any]]:
        with table.asking("the deferred promotions could not be read"):
            answer = self._client.query(
                TableName=self._table,
                IndexName=table.INDEX,
                KeyConditionExpression="listing = :listing AND listedAt < :before",
                ExpressionAttributeValues={
                    ":listing": {"S": _shard(shard)},
                    ":before": {"S": table.sortable(before)},
                },
                Limit=limit,
            )
        return answer["Items"]

    def touch(self, deferred: DeferredPromotion, *, extend: bool) -> None:
        """Note in the item, if it is still there, that it was tried now."""
        now = datetime.now(UTC)
        values: dict[str, Any] = {":at": {"S": _at(now, deferred)}}
        if extend:
            values[":expires"] = {"N": table.seconds(now + KEPT)}
        table.succeeds(  # not if its event has ended it meanwhile
            lambda: self._client.update_item(
                TableName=self._table,
                Key=_keys(deferred),
                UpdateExpression="SET listedAt = :at" + (", expires = :expires" if extend else ""),
                ConditionExpression="attribute_exists(pk)",
                ExpressionAttributeValues=values,
            ),
            "the deferred promotion was not written",
        )

    def remove(self, deferred: DeferredPromotion) -> None:
        """Delete the item."""
        with table.asking("the deferred promotion was not removed"):
            self._client.delete_item(TableName=self._table, Key=_keys(deferred))

    def waiting_for(self, repository: Repository, image_digest: str) -> tuple[ImageId, ...]:
        """Query the manifest's items."""
        with table.asking("the deferred promotions could not be read"):
            items = table.every(
                self._client,
                TableName=self._table,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": f"deferred#{table.place(repository)}@{image_digest}"}},
                ConsistentRead=True,
            )
            return tuple(_deferred(item).waiting for item in items)


def _keys(deferred: DeferredPromotion) -> dict[str, Any]:
    return {
        "pk": {"S": f"deferred#{table.place(deferred.repository)}@{deferred.image_digest}"},
        "sk": {"S": f"{deferred.waiting.image_tag or ''}@{deferred.waiting.image_digest}"},
    }


def _item(deferred: DeferredPromotion, now: datetime, others: Sequence[str]) -> dict[str, Any]:
    item = _keys(deferred) | {
        "listing": {"S": _listing(deferred)},
        "listedAt": {"S": _at(now, deferred)},
        "expires": {"N": table.seconds(now + KEPT)},
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
    return _shard(zlib.crc32(deferred.image_digest.encode()) % table.DEFERRED_SHARDS)


def _shard(number: int) -> str:
    return f"{table.DEFERRED}#{number}"


def _portions(entries: Sequence[Any], most: int) -> Iterator[list[Any]]:
    for start in range(0, len(entries), most):
        yield list(entries[start : start + most])


def _at(moment: datetime, deferred: DeferredPromotion) -> str:
    return f"{table.sortable(moment)}#{deferred.image_digest}#{deferred.waiting.image_tag or ''}"


def _deferred(item: Mapping[str, Any]) -> DeferredPromotion:
    repository, _, image_digest = item["pk"]["S"].removeprefix("deferred#").partition("@")
    tag, _, digest = item["sk"]["S"].partition("@")
    return DeferredPromotion(table.placed(repository), image_digest, ImageId(tag or None, digest))
