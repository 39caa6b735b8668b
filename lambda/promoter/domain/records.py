"""What the ledger keeps: records and leases of promotions, heads of tags, what wakes promotions that wait."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from promoter.domain.model import ImageId, Outcome, Reason, Repository, TagMove, Trigger, Wait

MORE = "more"
"""The code of the last reason where not all are listed."""


@dataclass(frozen=True)
class Record:
    """One promotion as the ledger keeps it: the request and its answer.

    While the promotion is under way `outcome` is None and the `moves` are PLANNED. `code`, `detail` and
    `reasons` are those of the error that ended it. For a rollback, `undone` is the digest that each tag is taken
    back from, and `override` the reason of an operator who overrode a freeze or a missing rule. `wait` is there
    for a promotion that may wait; while it does, `detail` and `reasons` say for what.
    """

    promotion_id: str
    trigger: Trigger
    repository: Repository
    source: ImageId
    asked_at: datetime
    rule: str | None = None
    caller: str | None = None
    undoes: str | None = None
    undone: Mapping[str, str | None] = field(default_factory=dict)
    override: str | None = None
    fingerprint: str = ""
    image_digest: str | None = None
    media_type: str | None = None
    image_tags: tuple[str, ...] = ()
    moves: tuple[TagMove, ...] = ()
    outcome: Outcome | None = None
    code: str | None = None
    detail: str | None = None
    reasons: tuple[Reason, ...] = ()
    ended_at: datetime | None = None
    wait: Wait | None = None

    @property
    def waiting_for(self) -> tuple[str, ...]:
        """The codes of what a waiting promotion waits for."""
        return tuple(dict.fromkeys(reason.code for reason in self.reasons if reason.code != MORE))

    def digest_of(self, move: TagMove) -> str:
        """Return the digest of the image that a move of this promotion puts its tag on."""
        return move.image_digest or self.image_digest or ""


@dataclass(frozen=True)
class Lease:
    """The exclusive right to move some tags of a repository until a time; `token` identifies it."""

    token: str
    record: Record
    until: datetime

    @property
    def planned(self) -> Mapping[str, TagMove]:
        """The tags that are held, with the move that is intended for each."""
        return {move.image_tag: move for move in self.record.moves if move.outcome is Outcome.PLANNED}

    def without(self, image_tags: Collection[str]) -> Lease:
        """Return the lease of the other tags."""
        left = tuple(move for move in self.record.moves if move.image_tag not in image_tags)
        return replace(self, record=replace(self.record, moves=left))


GONE = "none"
"""The `drift` of a tag that the registry no longer has."""


@dataclass(frozen=True)
class Head:
    """Where the ledger has a tag, since when, by which promotion.

    `drift` is the digest where `reconcile` found it instead, or GONE. `moving`: the tag was moved from one image
    to another at least once; other tags were put once. `undoes` is the promotion that was taken back by this one.
    """

    repository: Repository
    image_tag: str
    image_digest: str
    promotion_id: str
    moved_at: datetime
    drift: str | None = None
    undoes: str | None = None
    moving: bool = False


class Position(NamedTuple):
    """What the ledger has of a tag at a moment: its digest, by which promotion, after how many moves.

    `holder` is the promotion that has leased the tag. All is empty for a tag that no promotion has touched.
    """

    image_digest: str | None = None
    promotion_id: str | None = None
    version: int = 0
    holder: str | None = None


class Rota(StrEnum):
    """Which heads are compared with the registry together: those of tags that move, and those of tags put once."""

    MOVING = "heads"
    ONCE = "heads-once"


@dataclass(frozen=True)
class Round:
    """How far the heads of a rota are compared: in the round that began at `began`, up to and including `after`.

    `after` is a key; None between two rounds. `whole` is when the last complete round began: since then every head
    of the rota was compared.
    """

    after: str | None = None
    began: datetime | None = None
    whole: datetime | None = None


class WakeUp(NamedTuple):
    """A waiting promotion that the next event of an image wakes.

    `others` are some of the images beside this one whose events it was waiting for when this was written. One that
    is `served` wakes nothing: it tells that an event was there before.
    """

    repository: Repository
    image_digest: str
    promotion_id: str
    others: tuple[str, ...] = ()
    is_served: bool = False
