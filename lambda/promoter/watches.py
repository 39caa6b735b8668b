"""Watches on DynamoDB: the first kind of item in the function's table.

A watch is one item: `pk` is `watch#REGISTRY/REPOSITORY@DIGEST`, the manifest whose scan is awaited, `sk` is
`TAG@DIGEST`, the pinned tag that waits for it, `expires` is when DynamoDB may forget it (epoch seconds).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from promoter.errors import LedgerError
from promoter.model import ImageId, Repository

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

KEPT = 14 * 24 * 3600  # seconds; a scan that takes longer does not come
AT_ONCE = 25  # of BatchWriteItem


class DynamoWatches:
    """Watches in one table, which others may share: every key begins with `watch#`."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def add(self, repository: Repository, waiting: ImageId, image_digests: Sequence[str]) -> None:
        """Write a watch for each manifest; one that stands already is written again, with a later end."""
        expires = str(int(time.time()) + KEPT)
        sort_key = f"{waiting.image_tag or ''}@{waiting.image_digest}"
        items = [
            {"pk": {"S": _key(repository, digest)}, "sk": {"S": sort_key}, "expires": {"N": expires}}
            for digest in image_digests
        ]
        for start in range(0, len(items), AT_ONCE):
            puts: list[Any] = [{"PutRequest": {"Item": item}} for item in items[start : start + AT_ONCE]]
            try:
                answer = self._client.batch_write_item(RequestItems={self._table: puts})
            except (ClientError, BotoCoreError) as error:
                raise LedgerError(f"the watch was not written: {error}") from error
            if answer.get("UnprocessedItems"):
                raise LedgerError("the watch was not written: DynamoDB is throttling")

    def waiting_for(self, repository: Repository, image_digest: str) -> tuple[ImageId, ...]:
        """Query the manifest's watches."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": _key(repository, image_digest)}},
            ConsistentRead=True,
        )
        try:
            keys = [item["sk"]["S"] for page in pages for item in page["Items"]]
        except (ClientError, BotoCoreError) as error:
            raise LedgerError(f"the watches could not be read: {error}") from error
        return tuple(ImageId(tag or None, digest) for tag, _, digest in (key.partition("@") for key in keys))


def _key(repository: Repository, image_digest: str) -> str:
    return f"watch#{repository.registry_id}/{repository.name}@{image_digest}"
