"""Watches every tag that moves while promotions wait: whose move it is, and whether it may be made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from promoter.domain.model import Manifest, Outcome, Repository, Trigger
from promoter.domain.records import Record
from tests.adapters.walks import Moody


@dataclass
class Watched(Moody):
    """A registry that tells of each move before it carries it out."""

    watch: Callable[[str, Manifest], None] = lambda tag, image: None

    def put(self, repository: Repository, manifest: Manifest, image_tag: str) -> bool:
        lost = self.mood and self.mood[0] == image_tag and self.mood[2] and self.mood[1] != "done but lost"
        if self.tags.get(image_tag) != manifest and not lost:
            self.watch(image_tag, manifest)
        return super().put(repository, manifest, image_tag)


class Accepted(NamedTuple):
    """A promotion that waits: since which step, for which image, and who was moving its tags then."""

    step: int
    image_digest: str | None
    holders: frozenset[str | None]


class Move(NamedTuple):
    """A tag that a promotion has moved."""

    step: int
    promotion_id: str | None
    image_tag: str


@dataclass
class Watch:
    """What was seen until now.

    `waiting` are the promotions that wait or have waited, `over` those that have ended and were not asked for
    again, `requests` the order in which requests began to wait.
    """

    step: int = 0
    waiting: dict[str, Accepted] = field(default_factory=dict)
    moves: list[Move] = field(default_factory=list)
    over: set[str] = field(default_factory=set)
    records: dict[str, Record] = field(default_factory=dict)

    def waits(self, record: Record) -> None:
        """Note that a promotion waits, since now unless it has waited before."""
        seen = record.wait.seen if record.wait and record.wait.seen else {}
        holders = frozenset(each.holder for each in seen.values() if each.holder)
        self.waiting.setdefault(record.promotion_id, Accepted(self.step, record.image_digest, holders))
        self.records[record.promotion_id] = record

    def ends(self, record: Record) -> None:
        """Note that a promotion has ended."""
        self.over.add(record.promotion_id)

    def begins(self, promotion_id: str) -> None:
        """Note that it is asked for once more, or for the first time."""
        if promotion_id in self.over:
            self.over.discard(promotion_id)
            self.waiting.pop(promotion_id, None)
            self.records.pop(promotion_id, None)

    def moves_tag(self, record: Record, image_tag: str, image: Manifest) -> None:
        """Note a move by the promotion that has the lease. Raises AssertionError for one that may not be made."""
        name = record.promotion_id
        assert record.outcome is None, f"{name} moves {image_tag} and is not under way"
        assert name not in self.over, f"{name} has ended and moves {image_tag}"
        accepted = self.waiting.get(name)
        if accepted:
            self._require_accepted_image(record, accepted, image_tag, image)
            if record.trigger is Trigger.REQUEST:
                self._require_unmoved(name, accepted, image_tag)
                self._require_newest(record, accepted, image_tag)
        self.moves.append(Move(self.step, name, image_tag))

    def moved_by_hand(self, image_tag: str) -> None:
        """Note a push beside the service."""
        self.moves.append(Move(self.step, None, image_tag))

    def _require_accepted_image(self, record: Record, accepted: Accepted, image_tag: str, image: Manifest) -> None:
        own = {move.image_tag: record.digest_of(move) for move in self.records[record.promotion_id].moves}
        expected = own.get(image_tag) if record.undoes else accepted.image_digest
        assert image.digest == expected, f"{record.promotion_id} puts {image_tag} on {image.digest}"

    def _require_unmoved(self, name: str, accepted: Accepted, image_tag: str) -> None:
        others = {
            move.promotion_id
            for move in self.moves
            if move.image_tag == image_tag and move.step > accepted.step and move.promotion_id != name
        }
        assert others <= accepted.holders, f"{name} moves {image_tag} over the newer {others - accepted.holders}"

    def _require_newest(self, record: Record, accepted: Accepted, image_tag: str) -> None:
        newer = [
            other
            for other, each in self.records.items()
            if each.trigger is Trigger.REQUEST
            and each.rule == record.rule
            and image_tag in each.image_tags
            and self.waiting[other].step > accepted.step
        ]
        assert not newer, f"{record.promotion_id} moves {image_tag} although {newer} are newer"


def put_by(record: Record, image_tag: str) -> bool:
    """Say whether the record says that its promotion has put the tag, or has found it in place."""
    kinds = (Outcome.PROMOTED, Outcome.UNCHANGED)
    return any(move.image_tag == image_tag and move.outcome in kinds for move in record.moves)
