"""Tags and records that fill a repository before it is measured."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.mover import TAGS_OF_AN_IMAGE, Mover
from local import pusher
from promoter.aws.dynamodb import items, keys
from promoter.domain import documents
from promoter.domain.manifest import OCI_MANIFEST
from promoter.domain.model import ImageId, Manifest, Outcome, Promoted, Record, Repository, TagMove, Trigger

KEPT = timedelta(days=400)
ITEMS_OF_A_WRITE = 25  # Amazon DynamoDB API reference, BatchWriteItem


def fill_repository(mover: Mover, size: int) -> None:
    """Put `size` tags into the repository, as many on an image as ECR allows."""
    for start in range(0, size, TAGS_OF_AN_IMAGE):
        image = pusher.push_image(mover.lab.aws.registry, mover.repository, f"t-{start}", seed=f"{size}-{start}")
        tags = [f"t-{number}" for number in range(start, min(start + TAGS_OF_AN_IMAGE, size))]
        mover.lab.store_image(mover.repository, image.manifest, tags)


def fill_history(mover: Mover, size: int) -> None:
    """Write `size` records into the histories of the moving tag and of its repository."""
    client, table = mover.lab.client("dynamodb"), mover.lab.table()
    place, began = Repository(mover.lab.aws.account_id, mover.repository), datetime.now(UTC) - timedelta(days=300)
    written = [
        item
        for number in range(size)
        for item in items_of(past_record(place, began + timedelta(seconds=number)), table.region)
    ]
    puts: list[Any] = [{"PutRequest": {"Item": item}} for item in written]
    for start in range(0, len(puts), ITEMS_OF_A_WRITE):
        client.batch_write_item(RequestItems={table.name: puts[start : start + ITEMS_OF_A_WRITE]})


def past_record(place: Repository, at: datetime) -> Record:
    """Return the record of a promotion that ended at this time."""
    digest = f"sha256:{uuid.uuid4().hex * 2}"
    opened = Record(uuid.uuid4().hex, Trigger.REQUEST, place, ImageId("source"), at, rule="bench")
    move = TagMove(Mover.TAG, Outcome.PROMOTED, digest)
    answer = Promoted(opened.promotion_id, "bench", place, Manifest(b"", OCI_MANIFEST, digest), (move,))
    return documents.ended(opened, answer, now=at)


def items_of(record: Record, region: str) -> list[dict[str, Any]]:
    """Return a record's item and the row of its tag's history, as the ledger writes them."""
    listing = {"listing": {"S": keys.place(region, record.repository)}}
    ended = items.record_item(record, region) | items.end_of(record, KEPT) | listing
    return [ended, *items.history_rows(record, region, KEPT)]
