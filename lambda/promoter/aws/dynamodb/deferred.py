"""Watches on DynamoDB: which tagged image waits for the scan of which manifest.

A watch is one item: `pk` is `watch#REGISTRY/REPOSITORY@DIGEST`, the manifest whose scan is awaited, `sk` is
`TAG@DIGEST`, the pinned tag that waits for it, `besides` are manifests that it waits for too, `expires` is when
DynamoDB may forget it (epoch seconds).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from promoter.aws.dynamodb import table
from promoter.domain.errors import LedgerError
from promoter.domain.model import ImageId, Repository, Watch

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

KEPT = timedelta(days=14)  # a scan that takes longer does not come
WRITTEN_AT_ONCE, READ_AT_ONCE = 25, 100  # of BatchWriteItem, of BatchGetItem
BESIDES = 8
"""Manifests that a watch names beside its own: as many as leave the item within one write unit, 1 KB."""


class DynamoWatches:
    """Watches in one table, which others may share: every key begins with `watch#`."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def add(self, repository: Repository, waiting: ImageId, image_digests: Sequence[str]) -> bool:
        """Write a watch for each manifest that has none: a read costs a fifth of a write, and none of the index.

        Two who add the same at once write it twice, which is harmless.
        """
        now = datetime.now(UTC)
        watches = [Watch(repository, digest, waiting) for digest in dict.fromkeys(image_digests)]
        standing = {
            item["pk"]["S"] for item in self._read(watches) if table.number(item, "expires") > now.timestamp()
        }
        missing = [watch for watch in watches if _keys(watch)["pk"]["S"] not in standing]
        self._write([_item(watch, now, _others(watch, watches)) for watch in missing])
        return bool(missing)

    def besides(self, watch: Watch) -> tuple[str, ...]:
        """Read the watch, then those that it names."""
        named = [item.get("besides", {}).get("SS", []) for item in self._read([watch])]
        others = [
            Watch(watch.repository, digest, watch.waiting) for digests in named for digest in sorted(digests)
        ]
        return tuple(_watch(item).image_digest for item in self._read(others))

    def _read(self, watches: Sequence[Watch]) -> Iterator[Mapping[str, Any]]:
        """Yield the items of watches, as far as there are any."""
        for keys in _portions([_keys(watch) for watch in watches], READ_AT_ONCE):
            request: Any = {self._table: {"Keys": keys, "ConsistentRead": True}}
            with table.asking("the watches could not be read"):
                answer = self._client.batch_get_item(RequestItems=request)
            if answer.get("UnprocessedKeys"):
                raise LedgerError("the watches could not be read: DynamoDB is throttling")
            yield from answer["Responses"].get(self._table, [])

    def _write(self, items: Sequence[Mapping[str, Any]]) -> None:
        for portion in _portions(items, WRITTEN_AT_ONCE):
            puts: list[Any] = [{"PutRequest": {"Item": item}} for item in portion]
            with table.asking("the watch was not written"):
                answer = self._client.batch_write_item(RequestItems={self._table: puts})
            if answer.get("UnprocessedItems"):
                raise LedgerError("the watch was not written: DynamoDB is throttling")

    def oldest(self, before: datetime, *, limit: int) -> tuple[Watch, ...]:
        """Query each key of the index, and merge what it lists."""
        items = [item for shard in range(table.WATCH_SHARDS) for item in self._listed(shard, before, limit)]
        items.sort(key=lambda item: str(item["listedAt"]["S"]))
        return tuple(_watch(item) for item in items[:limit])

    def _listed(self, shard: int, before: datetime, limit: int) -> list[dict[str, Any]]:
        with table.asking("the watches could not be read"):
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

    def touch(self, watch: Watch, *, extend: bool) -> None:
        """Note in the watch's item, if it is still there, that it was looked at now."""
        now = datetime.now(UTC)
        values: dict[str, Any] = {":at": {"S": _at(now, watch)}}
        if extend:
            values[":expires"] = {"N": table.seconds(now + KEPT)}
        table.succeeds(  # not if its event has ended it meanwhile
            lambda: self._client.update_item(
                TableName=self._table,
                Key=_keys(watch),
                UpdateExpression="SET listedAt = :at" + (", expires = :expires" if extend else ""),
                ConditionExpression="attribute_exists(pk)",
                ExpressionAttributeValues=values,
            ),
            "the watch was not written",
        )

    def remove(self, watch: Watch) -> None:
        """Forget the watch."""
        with table.asking("the watch was not removed"):
            self._client.delete_item(TableName=self._table, Key=_keys(watch))

    def waiting_for(self, repository: Repository, image_digest: str) -> tuple[ImageId, ...]:
        """Query the manifest's watches."""
        with table.asking("the watches could not be read"):
            items = table.every(
                self._client,
                TableName=self._table,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": f"watch#{table.place(repository)}@{image_digest}"}},
                ConsistentRead=True,
            )
            return tuple(_watch(item).waiting for item in items)


def _keys(watch: Watch) -> dict[str, Any]:
    return {
        "pk": {"S": f"watch#{table.place(watch.repository)}@{watch.image_digest}"},
        "sk": {"S": f"{watch.waiting.image_tag or ''}@{watch.waiting.image_digest}"},
    }


def _item(watch: Watch, now: datetime, others: Sequence[str]) -> dict[str, Any]:
    item = _keys(watch) | {
        "listing": {"S": _listing(watch)},
        "listedAt": {"S": _at(now, watch)},
        "expires": {"N": table.seconds(now + KEPT)},
    }
    return item | ({"besides": {"SS": list(others)}} if others else {})


def _others(watch: Watch, watches: Sequence[Watch]) -> list[str]:
    """Return the manifests of the watches next to this one, on both sides; the first comes after the last.

    Scans finish in the order of an index, or the other way round: on one side something is awaited still.
    """
    here = watches.index(watch)
    after = [each.image_digest for each in [*watches[here + 1 :], *watches[:here]]]
    return list(dict.fromkeys(each for pair in zip(after, reversed(after), strict=True) for each in pair))[
        :BESIDES
    ]


def _listing(watch: Watch) -> str:
    return _shard(zlib.crc32(watch.image_digest.encode()) % table.WATCH_SHARDS)


def _shard(number: int) -> str:
    return f"{table.WATCHES}#{number}"


def _portions(entries: Sequence[Any], most: int) -> Iterator[list[Any]]:
    for start in range(0, len(entries), most):
        yield list(entries[start : start + most])


def _at(moment: datetime, watch: Watch) -> str:
    return f"{table.sortable(moment)}#{watch.image_digest}#{watch.waiting.image_tag or ''}"


def _watch(item: Mapping[str, Any]) -> Watch:
    repository, _, image_digest = item["pk"]["S"].removeprefix("watch#").partition("@")
    tag, _, digest = item["sk"]["S"].partition("@")
    return Watch(table.placed(repository), image_digest, ImageId(tag or None, digest))
