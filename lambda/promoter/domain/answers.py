"""How a promotion ended, for whoever asked for it."""

from __future__ import annotations

from typing import NamedTuple

from promoter.domain.errors import PromoterError
from promoter.domain.model import Outcome, Promoted, TagMove


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


Answer = Promoted | NotPromoted
