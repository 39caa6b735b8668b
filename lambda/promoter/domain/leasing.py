"""What a ledger answers when a promotion wants its lease, or wants to be recorded: all of it is normal.

The values are named tuples: a dataclass takes a cold start eight times as long to make.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from promoter.domain.records import Lease, Record


class Recorded(NamedTuple):
    """The outcome is recorded."""


class Replayed(NamedTuple):
    """The promotion ended before: its answer is the one in `record`."""

    record: Record


class Waits(NamedTuple):
    """The promotion has been accepted and waits, as its `record` says."""

    record: Record


class Resumable(NamedTuple):
    """An earlier attempt of the same promotion has put tags, as its `record` says: it must not be forgotten."""

    record: Record


class Busy(NamedTuple):
    """Another promotion holds the lease of a tag, or another attempt of this one is under way: see `detail`."""

    detail: str


class Abandoned(NamedTuple):
    """A promotion in the way has held its lease for longer than any may: it has to be recovered.

    `image_tags` are the tags that it holds, as far as they are in the way.
    """

    promotion_id: str
    image_tags: tuple[str, ...] = ()


class Stale(NamedTuple):
    """The ledger has tags elsewhere than where the registry had them: `versions` are those of their heads now."""

    versions: Mapping[str, int]


class RolledBack(NamedTuple):
    """A scan would put these tags again on an image from which they were rolled back."""

    image_tags: tuple[str, ...]


class MovedOn(NamedTuple):
    """The last promotion of these tags is not the one that the rollback takes back."""

    image_tags: tuple[str, ...]


class Overtaken(NamedTuple):
    """A newer request by the same rule, one that was asked for later, waits for these tags, or has waited."""

    image_tags: tuple[str, ...]


class LeaseLost(NamedTuple):
    """A promotion under way no longer holds these tags, because somebody changed or restored the table."""

    image_tags: tuple[str, ...]


Begun = Lease | Replayed | Waits | Resumable | Busy | Abandoned | Stale | RolledBack | MovedOn | Overtaken
"""What `Ledger.begin` answers: the lease, or why there is none."""

Kept = Recorded | Replayed | Waits | Resumable | Busy | Abandoned
"""What `Ledger.record` answers."""

Accepted = Kept | Stale | Overtaken
"""What `WaitingPromotions.accept` answers; Waits where it, or another of the same image, waits already."""
