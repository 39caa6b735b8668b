"""What a ledger answers when a promotion wants its lease, or wants to be recorded: all of it is normal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from promoter.domain.model import Lease, Record


@dataclass(frozen=True)
class Recorded:
    """The outcome is recorded."""


@dataclass(frozen=True)
class Replayed:
    """The promotion ended before: its answer is the one in `record`."""

    record: Record


@dataclass(frozen=True)
class Resumable:
    """An earlier attempt of the same promotion has put tags, as its `record` says: it must not be forgotten."""

    record: Record


@dataclass(frozen=True)
class Busy:
    """Another promotion holds the lease of a tag, or another attempt of this one is under way: see `detail`."""

    detail: str


@dataclass(frozen=True)
class Abandoned:
    """A promotion in the way has held its lease for longer than any may: it has to be recovered.

    `image_tags` are the tags that it holds, as far as they are in the way.
    """

    promotion_id: str
    image_tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stale:
    """The ledger has tags elsewhere than where the registry had them: `versions` are those of their heads now."""

    versions: Mapping[str, int]


@dataclass(frozen=True)
class RolledBack:
    """A scan would put these tags again on an image from which they were rolled back."""

    image_tags: tuple[str, ...]


@dataclass(frozen=True)
class MovedOn:
    """The last promotion of these tags is not the one that the rollback takes back."""

    image_tags: tuple[str, ...]


@dataclass(frozen=True)
class LeaseLost:
    """A promotion under way no longer holds these tags, because somebody changed or restored the table."""

    image_tags: tuple[str, ...]


Begun = Lease | Replayed | Resumable | Busy | Abandoned | Stale | RolledBack | MovedOn
"""What `Ledger.begin` answers: the lease, or why there is none."""

Kept = Recorded | Replayed | Resumable | Busy | Abandoned
"""What `Ledger.record` answers."""
