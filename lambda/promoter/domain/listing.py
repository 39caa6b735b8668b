"""Which promotions a caller wants to see, page by page. Promotions do not need it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

from promoter.domain.history import HistoryEntry
from promoter.domain.model import Outcome
from promoter.domain.rule import matches

T = TypeVar("T")


class Filter(NamedTuple):
    """Which promotions are wanted; None: all.

    `since` is the first moment at which one may have ended, `until` the first that is too late. `caller` is as
    recorded; `*` stands for any characters.
    """

    outcome: Outcome | None = None
    image_digest: str | None = None
    caller: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def keeps(self, entry: HistoryEntry) -> bool:
        """Say whether a promotion that ended at the right time is wanted. Events have no caller."""
        return (
            self.outcome in (None, entry.outcome)
            and self.image_digest in (None, entry.image_digest, *map(entry.digest_of, entry.moves))
            and (self.caller is None or (entry.caller is not None and matches(entry.caller, self.caller)))
        )

    @property
    def keeps_all(self) -> bool:
        """Whether every promotion that ended at the right time is wanted."""
        return (self.outcome, self.image_digest, self.caller) == (None, None, None)


ALL = Filter()


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some of what was asked for; `next_token` asks for more, None: that was all."""

    entries: tuple[T, ...]
    next_token: str | None
