"""How a promotion ended, or that it waits, for whoever asked for it."""

from __future__ import annotations

from typing import NamedTuple

from promoter.domain.errors import PromoterError
from promoter.domain.model import Outcome, Promoted, Promotion, TagMove
from promoter.domain.records import Record


class NotPromoted(NamedTuple):
    """A promotion that was refused or failed: why, and what it had done before.

    `moves` are the tags that it had put before, on `image_digest` unless a move names its own image. `repeated`:
    this is the recorded answer of an earlier call.
    """

    error: PromoterError
    moves: tuple[TagMove, ...] = ()
    image_digest: str | None = None
    repeated: bool = False

    @property
    def outcome(self) -> Outcome:
        """REFUSED or FAILED."""
        return self.error.outcome


class Waiting(NamedTuple):
    """A promotion that is accepted and waits: `record` says for what, and until when.

    `repeated`: it was accepted before, by an earlier call or event.
    """

    record: Record
    repeated: bool = False

    @property
    def outcome(self) -> Outcome:
        """WAITING."""
        return Outcome.WAITING

    @property
    def moves(self) -> tuple[TagMove, ...]:
        """The tags that it has put before it had to wait, and those that it will put."""
        return self.record.moves


Answer = Promoted | NotPromoted | Waiting


def promotion_id_of(promotion: Promotion, answer: Answer) -> str:
    """Return under which promotionId the answer is kept: perhaps that of another event of the same image."""
    return answer.record.promotion_id if isinstance(answer, Waiting) else promotion.promotion_id
