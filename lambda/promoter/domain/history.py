"""What a list of promotions shows, and which of them are wanted."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from promoter.domain import documents
from promoter.domain.model import ImageId, Outcome, Repository, TagMove, Trigger
from promoter.domain.records import Record


class HistoryEntry(NamedTuple):
    """One promotion as a list shows it; the rest is in its Record.

    `moves` are those of the tag whose history this is, or of all tags in the list of a repository. One that waits
    has no `ended_at`, but the other three: when it was asked for, for what it waits, and until when.
    """

    promotion_id: str
    trigger: Trigger
    repository: Repository
    source: ImageId
    outcome: Outcome
    ended_at: datetime | None
    image_digest: str | None = None
    moves: tuple[TagMove, ...] = ()
    rule: str | None = None
    caller: str | None = None
    undoes: str | None = None
    code: str | None = None
    asked_at: datetime | None = None
    waiting_for: tuple[str, ...] = ()
    waits_until: datetime | None = None

    def digest_of(self, move: TagMove) -> str | None:
        """Return the digest of the image that a move put its tag on."""
        return move.image_digest or self.image_digest


def entry_of(record: Record, image_tag: str | None = None) -> HistoryEntry:
    """Return what a list shows of a promotion that ended or waits: of one tag, or of all."""
    waiting = record.wait if record.outcome is Outcome.WAITING else None
    if record.outcome is None or (record.ended_at is None and waiting is None):
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
        asked_at=record.asked_at if waiting else None,
        waiting_for=record.waiting_for if waiting else (),
        waits_until=waiting.until if waiting else None,
    )


def document(entry: HistoryEntry) -> dict[str, Any]:
    """Return what a list shows as JSON: some members of the record's document, by the same names."""
    members = {
        "promotionId": entry.promotion_id,
        "outcome": entry.outcome,
        "trigger": entry.trigger,
        "rule": entry.rule,
        "caller": entry.caller,
        "undoes": entry.undoes,
        "registryId": entry.repository.registry_id,
        "repositoryName": entry.repository.name,
        "source": documents.source(entry.source),
        "imageDigest": entry.image_digest,
        "images": [documents.image(move) for move in entry.moves],
        "code": entry.code,
        "waitingFor": list(entry.waiting_for),
        "waitsUntil": entry.waits_until.isoformat() if entry.waits_until else None,
        "askedAt": entry.asked_at.isoformat() if entry.asked_at else None,
        "endedAt": entry.ended_at.isoformat() if entry.ended_at else None,
    }
    return documents.filled(members)


def accepted(newest: Iterable[HistoryEntry], image_digest: str) -> HistoryEntry | None:
    """Return the newest promotion that put the tag or found it in place, if it found it in place on this image.

    The entries are the tag's history, the newest first.
    """
    for entry in newest:
        for move in entry.moves:
            found = move.outcome is Outcome.UNCHANGED and entry.digest_of(move) == image_digest
            return entry if found else None
    return None
