"""The member `wait` of the requests that promote -> how long a promotion may wait."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from promoter.domain.errors import InvalidRequest
from promoter.domain.model import Manifest, Wait
from promoter.domain.waiting import LARGEST_MANIFEST, LONGEST, USUAL


class WaitBody(Struct, forbid_unknown_fields=True, rename="camel"):
    """How long a promotion may wait, in seconds."""

    # JSON has one kind of numbers: 60.0 is 60.
    seconds: Annotated[float, Meta(ge=1, le=int(LONGEST.total_seconds()))]


WaitMember = bool | WaitBody | UnsetType
"""Whether a promotion may wait. A request that leaves it out is encoded without it."""


def read_wait(asked: WaitMember, asked_at: datetime) -> Wait | None:
    """Return how long a promotion may wait that is asked for at a moment; None: it may not."""
    if asked is UNSET or asked is False:
        return None
    return Wait(until=asked_at + (timedelta(seconds=asked.seconds) if isinstance(asked, WaitBody) else USUAL))


def require_can_wait(wait: Wait | None, *, dry_run: bool, manifest: Manifest | None) -> None:
    """Raise InvalidRequest for a promotion that is to wait and cannot: a dry run, or one with a large manifest."""
    if wait is None:
        return
    if dry_run:
        raise InvalidRequest("A dry run does not wait. Send either wait or dryRun.", field="wait")
    if manifest and len(manifest.body) > LARGEST_MANIFEST:
        raise InvalidRequest(
            f"A manifest of a promotion that may wait has at most {LARGEST_MANIFEST:,} bytes, this one has "
            f"{len(manifest.body):,}. Leave out wait, or push the image and name it in source.",
            field="imageManifest",
        )
