"""Announcements on EventBridge: sent in portions, and put aside where EventBridge does not take them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from promoter.domain.errors import LedgerError

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

    from promoter.aws.event_queue import DeadLetterQueue

MOST_ENTRIES = 10  # entries of one PutEvents
# Bytes of one PutEvents: 256 KB, less what EventBridge's envelopes of ten entries take (Amazon EventBridge user
# guide, "Calculating PutEvents event entry size").
ROOM = 250_000
RETRIED_FOR = timedelta(hours=1)
"""How long an announcement is tried: then it is put aside, where it is kept longer than the stream keeps it."""

# EventBridge API reference, PutEventsResultEntry: every other code says that a retry gets the same answer.
RETRIED = frozenset({"InternalFailure", "InternalException", "ServiceUnavailable", "ThrottlingException"})
# What refuses a whole request for one entry of it; a missing right, for one, can be given.
REFUSED = frozenset({"ValidationException", "InvalidArgument", "MalformedDetail", "RequestEntityTooLarge"})


@dataclass(frozen=True)
class Announcement:
    """An entry of PutEvents, of which item it tells, and since when."""

    key: Mapping[str, Any]
    promotion_id: str
    recorded_at: datetime
    entry: Mapping[str, Any]

    @property
    def size(self) -> int:
        """The entry's bytes by EventBridge's formula."""
        texts = [self.entry["Source"], self.entry["DetailType"], self.entry["Detail"], *self.entry["Resources"]]
        return sum(len(text.encode()) for text in texts)


@dataclass(frozen=True)
class Unsent:
    """What could not be announced, and why; `retryable` where EventBridge may take it later."""

    key: Mapping[str, Any]
    promotion_id: str
    recorded_at: datetime
    code: str
    cause: str
    retryable: bool = False


@dataclass(frozen=True)
class Announcer:
    """Sends announcements, and puts aside what cannot be sent for good, or not for RETRIED_FOR."""

    client: EventBridgeClient
    dead_letters: DeadLetterQueue
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def announce(self, found: Sequence[Announcement | Unsent]) -> tuple[int, tuple[Unsent, ...]]:
        """Send all; return how many were sent, and what was put aside instead.

        Raises LedgerError where some have to be tried again: the stream brings all of them again. Nothing is put
        aside before the rest was sent, so that it is put aside once.
        """
        unsent = [each for each in found if isinstance(each, Unsent)]
        sent = 0
        for portion in portions([each for each in found if isinstance(each, Announcement)]):
            failed = self._send(portion)
            young = [each for each in failed if each.retryable and self.now() - each.recorded_at < RETRIED_FOR]
            if young:
                raise LedgerError(
                    f"{len(young)} announcements could not be sent: {young[0].code}: {young[0].cause}"
                )
            unsent += failed
            sent += len(portion) - len(failed)
        for each in unsent:
            self.dead_letters.put(
                json.dumps({"key": each.key}),
                {"promotionId": each.promotion_id, "ERROR_CODE": each.code, "ERROR_MESSAGE": each.cause},
            )
        return sent, tuple(unsent)

    def _send(self, portion: Sequence[Announcement]) -> list[Unsent]:
        """Send some; return those that EventBridge did not take."""
        if portion[0].size > ROOM:  # it is alone
            return [_unsent(portion[0], "too_large", f"the entry has {portion[0].size} bytes, more than {ROOM}")]
        entries: list[Any] = [each.entry for each in portion]
        try:
            results = self.client.put_events(Entries=entries)["Entries"]
        except (ClientError, BotoCoreError) as error:
            code = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
            if code in REFUSED and len(portion) > 1:
                return [unsent for each in portion for unsent in self._send([each])]
            return [_unsent(each, code, f"{error}", retryable=code not in REFUSED) for each in portion]
        return [
            _unsent(
                each, result["ErrorCode"], result.get("ErrorMessage", ""), retryable=result["ErrorCode"] in RETRIED
            )
            for each, result in zip(portion, results, strict=True)
            if "ErrorCode" in result
        ]


def portions(found: Iterable[Announcement]) -> Iterator[list[Announcement]]:
    """Yield them in their order, as many at once as EventBridge takes by number and by bytes."""
    portion: list[Announcement] = []
    room = ROOM
    for each in found:
        if portion and (len(portion) == MOST_ENTRIES or each.size > room):
            yield portion
            portion, room = [], ROOM
        portion.append(each)
        room -= each.size
    if portion:
        yield portion


def _unsent(each: Announcement, code: str, cause: str, *, retryable: bool = False) -> Unsent:
    return Unsent(each.key, each.promotion_id, each.recorded_at, code, cause, retryable)
