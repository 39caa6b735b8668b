"""Wake-ups on DynamoDB: which waiting promotion the next event of which image wakes.

An item is one image's: `pk` is `wake-up#REGISTRY/REGION/REPOSITORY@DIGEST`, `sk` the promotionId, `others` are
images whose events wake the promotion too, `expires` is when DynamoDB may forget it, in epoch seconds. One that
has woken its promotion is `served`, so that the same event, delivered again, is known as a repeat.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from promoter.aws.dynamodb import keys
from promoter.aws.dynamodb.expressions import Values
from promoter.aws.dynamodb.table import Item, Table, asking
from promoter.domain.clock import utc_now
from promoter.domain.errors import LedgerError
from promoter.domain.model import Repository
from promoter.domain.records import WakeUp

MOST_WRITTEN, MOST_READ = 25, 100  # of BatchWriteItem, of BatchGetItem
NOT_READ, NOT_WRITTEN = "The wake-ups could not be read", "The wake-up was not written"
KEPT = timedelta(days=2)
"""How long one that was served is kept: EventBridge delivers an event for a day at most, and then the queue."""

OTHERS = 8
"""Images that an item names beside its own: as many as leave it within one write unit, 1 KB."""


class DynamoWakeUps:
    """Wake-ups in one table, which others may share: every key begins with `wake-up#`."""

    def __init__(self, table: Table, *, now: Callable[[], datetime] = utc_now) -> None:
        self._table = table
        self._now = now

    def add(
        self, repository: Repository, promotion_id: str, image_digests: Sequence[str], until: datetime
    ) -> bool:
        """Write an item for each image that has none: a read costs a fifth of a write.

        Two who add the same at once write it twice, which is harmless.
        """
        digests = list(dict.fromkeys(image_digests))
        wake_ups = [
            WakeUp(repository, digest, promotion_id, _others(number, digests))
            for number, digest in enumerate(digests)
        ]
        now = int(self._now().timestamp())  # in whole seconds, as they expire
        standing = {
            item["pk"]["S"]
            for item in self._read(wake_ups)
            if keys.number(item, "expires") >= now and "served" not in item
        }
        missing = [wake_up for wake_up in wake_ups if self._key(wake_up)["pk"]["S"] not in standing]
        self._write([self._item(wake_up, until) for wake_up in missing])
        return bool(missing)

    def of(self, repository: Repository, image_digest: str) -> tuple[WakeUp, ...]:
        """Query the image's items."""
        values = Values()
        found = self._table.every(
            NOT_READ,
            KeyConditionExpression=(
                f"pk={values.text(keys.wake_ups(self._table.region, repository, image_digest))}"
            ),
            ConsistentRead=True,
            **values.members(),
        )
        return tuple(_wake_up(item) for item in found)

    def beside(self, wake_up: WakeUp) -> tuple[str, ...]:
        """Read the items of the others."""
        others = [wake_up._replace(image_digest=digest) for digest in wake_up.others]
        found = map(_wake_up, self._read(others))
        return tuple(each.image_digest for each in found if not each.is_served)

    def mark_served(self, wake_up: WakeUp) -> None:
        """Put the item anew, for as long as its event may be delivered again."""
        self._table.put(self._item(wake_up, self._now() + KEPT) | {"served": {"BOOL": True}}, NOT_WRITTEN)

    def _read(self, wake_ups: Sequence[WakeUp]) -> Iterator[Item]:
        """Yield the items that there are."""
        for portion in _portions([self._key(wake_up) for wake_up in wake_ups], MOST_READ):
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

    def _key(self, wake_up: WakeUp) -> dict[str, Any]:
        partition = keys.wake_ups(self._table.region, wake_up.repository, wake_up.image_digest)
        return {"pk": {"S": partition}, "sk": {"S": wake_up.promotion_id}}

    def _item(self, wake_up: WakeUp, until: datetime) -> dict[str, Any]:
        item = self._key(wake_up) | {"expires": {"N": keys.seconds(until)}}
        return item | ({"others": {"SS": list(wake_up.others)}} if wake_up.others else {})


def _others(number: int, digests: Sequence[str]) -> tuple[str, ...]:
    """Return the images next to this one, on both sides; the first comes after the last.

    Scans finish in the order of an index, or the other way round: on one side something is awaited still.
    """
    after = [*digests[number + 1 :], *digests[:number]]
    return tuple(dict.fromkeys(each for pair in zip(after, reversed(after), strict=True) for each in pair))[
        :OTHERS
    ]


def _portions(entries: Sequence[Any], most: int) -> Iterator[list[Any]]:
    for start in range(0, len(entries), most):
        yield list(entries[start : start + most])


def _wake_up(item: Item) -> WakeUp:
    repository, _, image_digest = item["pk"]["S"].partition("#")[2].partition("@")
    others = tuple(sorted(item.get("others", {}).get("SS", [])))
    return WakeUp(keys.placed(repository), image_digest, item["sk"]["S"], others, "served" in item)
