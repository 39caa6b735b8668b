"""Watches on DynamoDB: which tagged image waits for the scan of which manifest.

A watch is one item: `pk` is `watch#REGISTRY/REPOSITORY@DIGEST`, the manifest whose scan is awaited, `sk` is
`TAG@DIGEST`, the pinned tag that waits for it, `expires` is when DynamoDB may forget it (epoch seconds).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from promoter import dynamo
from promoter.errors import LedgerError
from promoter.model import ImageId, Repository, Watch

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

KEPT = timedelta(days=14)  # a scan that takes longer does not come
AT_ONCE = 25  # of BatchWriteItem


class DynamoWatches:
    """Watches in one table, which others may share: every key begins with `watch#`."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def add(self, repository: Repository, waiting: ImageId, image_digests: Sequence[str]) -> None:
        """Write a watch for each manifest; one that stands already is written again, with a later end."""
        now = datetime.now(UTC)
        watches = [Watch(repository, digest, waiting) for digest in image_digests]
        items = [
            _keys(watch)
            | {
                "listing": {"S": dynamo.WATCHES},
                "listedAt": {"S": _at(now, watch)},
                "expires": {"N": dynamo.seconds(now + KEPT)},
            }
            for watch in watches
        ]
        for start in range(0, len(items), AT_ONCE):
            puts: list[Any] = [{"PutRequest": {"Item": item}} for item in items[start : start + AT_ONCE]]
            with dynamo.asking("the watch was not written"):
                answer = self._client.batch_write_item(RequestItems={self._table: puts})
            if answer.get("UnprocessedItems"):
                raise LedgerError("the watch was not written: DynamoDB is throttling")

    def oldest(self, before: datetime, *, limit: int) -> tuple[Watch, ...]:
        """Return the watches that were last looked at before then, the longest ago first."""
        with dynamo.asking("the watches could not be read"):
            answer = self._client.query(
                TableName=self._table,
                IndexName=dynamo.INDEX,
                KeyConditionExpression="listing = :listing AND listedAt < :before",
                ExpressionAttributeValues={
                    ":listing": {"S": dynamo.WATCHES},
                    ":before": {"S": dynamo.sortable(before)},
                },
                Limit=limit,
            )
        return tuple(_watch(item) for item in answer["Items"])

    def touch(self, watch: Watch, *, extend: bool) -> None:
        """Note in the watch's item that it was looked at now."""
        now = datetime.now(UTC)
        values: dict[str, Any] = {":at": {"S": _at(now, watch)}}
        if extend:
            values[":expires"] = {"N": dynamo.seconds(now + KEPT)}
        with dynamo.asking("the watch was not written"):
            self._client.update_item(
                TableName=self._table,
                Key=_keys(watch),
                UpdateExpression="SET listedAt = :at" + (", expires = :expires" if extend else ""),
                ConditionExpression="attribute_exists(pk)",
                ExpressionAttributeValues=values,
            )

    def remove(self, watch: Watch) -> None:
        """Forget the watch."""
        with dynamo.asking("the watch was not removed"):
            self._client.delete_item(TableName=self._table, Key=_keys(watch))

    def waiting_for(self, repository: Repository, image_digest: str) -> tuple[ImageId, ...]:
        """Query the manifest's watches."""
        with dynamo.asking("the watches could not be read"):
            items = dynamo.every(
                self._client,
                TableName=self._table,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": f"watch#{dynamo.place(repository)}@{image_digest}"}},
                ConsistentRead=True,
            )
            return tuple(_watch(item).waiting for item in items)


def _keys(watch: Watch) -> dict[str, Any]:
    return {
        "pk": {"S": f"watch#{dynamo.place(watch.repository)}@{watch.image_digest}"},
        "sk": {"S": f"{watch.waiting.image_tag or ''}@{watch.waiting.image_digest}"},
    }


def _at(moment: datetime, watch: Watch) -> str:
    return f"{dynamo.sortable(moment)}#{watch.image_digest}#{watch.waiting.image_tag or ''}"


def _watch(item: Mapping[str, Any]) -> Watch:
    repository, _, image_digest = item["pk"]["S"].removeprefix("watch#").partition("@")
    tag, _, digest = item["sk"]["S"].partition("@")
    return Watch(dynamo.placed(repository), image_digest, ImageId(tag or None, digest))
