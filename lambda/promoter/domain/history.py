"""What a list of promotions shows, and which of them are wanted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from promoter.domain import documents
from promoter.domain.model import ImageId, Outcome, Repository, TagMove, Trigger
from promoter.domain.records import Record
from promoter.domain.rule import matches

T = TypeVar("T")


@dataclass(frozen=True)
class HistoryEntry:
    """One promotion as a list shows it; the rest is in its Record.

    `moves` are those of the tag whose history this is, or of all tags in the list of a repository.
    """

    promotion_id: str
    trigger: Trigger
    repository: Repository
    source: ImageId
    outcome: Outcome
    ended_at: datetime
    image_digest: str | None = None
    moves: tuple[TagMove, ...] = ()
    rule: str | None = None
    caller: str | None = None
    undoes: str | None = None
    code: str | None = None

    def digest_of(self, move: TagMove) -> str | None:
        """Return the digest of the image that a move put its tag on."""
        return move.image_digest or self.image_digest


def entry_of(record: Record, image_tag: str | None = None) -> HistoryEntry:
    """Return what a list shows of a promotion that ended: of one tag, or of all."""
    if record.outcome is None or record.ended_at is None:
        raise ValueError(f"promotion {record.promotion_id} has not ended")
    return HistoryEntry(
        promotion_id=record.promotion_id,
        trigger=record.trigger,
        repository=record.repository,
        source=record.source,
        outcome=record.outcome,
        ended_at=record.ended_at,
        image_digest=record.image_digest,
        moves=tuple(move for move in record.moves if image_tag in (None, move.image_tag)),
        rule=record.rule,
        caller=record.caller,
        undoes=record.undoes,
        code=record.code,
    )


def document(entry: HistoryEntry) -> dict[str, Any]:
    """Return what a list shows as JSON: some members of the record's document, by the same names."""
    source = {"imageTag": entry.source.image_tag, "imageDigest": entry.source.image_digest}
    members = {
        "promotionId": entry.promotion_id,
        "outcome": entry.outcome,
        "trigger": entry.trigger,
        "rule": entry.rule,
        "caller": entry.caller,
        "undoes": entry.undoes,
        "registryId": entry.repository.registry_id,
        "repositoryName": entry.repository.name,
        "source": {name: value for name, value in source.items() if value},
        "imageDigest": entry.image_digest,
        "images": [documents.image(move) for move in entry.moves],
        "code": entry.code,
        "endedAt": entry.ended_at.isoformat(),
    }
    return {name: value for name, value in members.items() if value}


def accepted(newest: Iterable[HistoryEntry], image_digest: str) -> HistoryEntry | None:
    """Return the newest promotion that put the tag or found it in place, if it found it in place on this image.

    The entries are the tag's history, the newest first.
    """
    for entry in newest:
        for move in entry.moves:
            found = move.outcome is Outcome.UNCHANGED and entry.digest_of(move) == image_digest
            return entry if found else None
    return None


@dataclass(frozen=True)
class Filter:
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
