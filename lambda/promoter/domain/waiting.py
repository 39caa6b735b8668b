"""How long a promotion waits, for what, and when it is tried again. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from promoter.domain.errors import (
    Expired,
    Frozen,
    InternalError,
    Interrupted,
    LedgerError,
    PromoterError,
    RegistryError,
    Superseded,
    TagBusy,
    Throttled,
)
from promoter.domain.gate import PENDING
from promoter.domain.model import Outcome, Reason, Trigger
from promoter.domain.records import Record

LONGEST = timedelta(days=14)
"""How long a request may wait, and how long a promotion by event does: a scan that takes longer does not come."""
USUAL = timedelta(days=1)
"""How long a request waits that names no time."""
LARGEST_MANIFEST = 200 * 1024
"""Bytes of a manifest that came with a request and waits: an item of the table has 400 KB at most."""

SHORTEST_PAUSE, LONGEST_PAUSE = timedelta(minutes=10), timedelta(minutes=30)
"""Between two tries of a promotion that nothing has woken. In the shortest, its event may still arrive."""

WITHIN_SECONDS = frozenset(
    each.code for each in (TagBusy, Throttled, RegistryError, LedgerError, Interrupted, InternalError)
)
"""What passes within seconds."""
CERTAIN = frozenset({Frozen.code, "soaking"})
"""What is certain to pass, even if that takes long."""


def reasons_of(errors: Iterable[PromoterError]) -> tuple[Reason, ...]:
    """Return the reasons to wait; an error without any is one itself."""
    return tuple(reason for error in errors for reason in error.reasons or (Reason(error.code, error.detail),))


def awaited(record: Record) -> tuple[str, ...]:
    """Return the images whose events wake a promotion."""
    return awaited_scans(record) + awaited_signature(record)


def awaited_scans(record: Record) -> tuple[str, ...]:
    """Return the images whose scans are pending. They know of each other: only the last has to wake it."""
    pending = [reason.image_digest for reason in record.reasons if reason.code == PENDING]
    return tuple(dict.fromkeys(digest for digest in pending if digest))


def awaited_signature(record: Record) -> tuple[str, ...]:
    """Return the image whose signature is awaited, unless its scan is too: then both wake it already."""
    own, unsigned = record.image_digest, any(reason.code == "unsigned" for reason in record.reasons)
    return (own,) if own and unsigned and own not in awaited_scans(record) else ()


def is_certain(record: Record) -> bool:
    """Say whether all that a promotion waits for is certain to pass."""
    return set(record.waiting_for) <= CERTAIN


def longer(record: Record, now: datetime) -> datetime | None:
    """Return until when a promotion by event waits instead: what is certain to pass is waited for."""
    is_late = record.wait is not None and record.wait.until - now < LONGEST / 2
    return now + LONGEST if is_late and record.trigger is Trigger.SCAN and is_certain(record) else None


def passes_within_seconds(record: Record) -> bool:
    """Say whether something passes within seconds, and nothing else is in the way."""
    return bool(record.waiting_for) and set(record.waiting_for) <= WITHIN_SECONDS


def next_try(record: Record, now: datetime) -> datetime:
    """Return when a promotion is tried if no event has woken it: the sooner, the younger it is."""
    pause = min(max((now - record.asked_at) / 10, SHORTEST_PAUSE), LONGEST_PAUSE)
    if passes_within_seconds(record):
        pause = timedelta(minutes=1)
    known = [reason.ends_at for reason in record.reasons if reason.ends_at and reason.ends_at > now]
    ends = [record.wait.until] if record.wait else []
    return min(now + pause, *known, *ends)


def has_expired(record: Record, now: datetime) -> bool:
    """Say whether a waiting promotion has waited for as long as it may."""
    return end_of(record, now) is not None


def end_of(record: Record, now: datetime) -> Expired | None:
    """Return the end of a promotion that has waited for as long as it may; None: it has not."""
    if record.outcome is not Outcome.WAITING or record.wait is None or now < record.wait.until:
        return None
    until = f"{record.wait.until:%Y-%m-%dT%H:%M:%SZ}"
    what = ", ".join(record.waiting_for)
    return Expired(f"It has waited until {until} for {what}. Promote again.", reasons=record.reasons)


def as_of(record: Record, now: datetime) -> Record:
    """Return a record as it is at a moment: one that has waited for as long as it may has ended."""
    error = end_of(record, now)
    if error is None or record.wait is None:
        return record
    put = tuple(move for move in record.moves if move.outcome is Outcome.PROMOTED)
    return replace(
        record,
        outcome=Outcome.REFUSED,
        code=error.code,
        detail=error.detail,
        moves=put,
        ended_at=record.wait.until,
        wait=None,
    )


def first_until(trigger: Trigger, until: datetime | None, now: datetime) -> datetime:
    """Return until when a promotion waits that is accepted now."""
    return now + LONGEST if trigger is Trigger.SCAN or until is None else until


def overtaken(image_tags: Sequence[str]) -> Superseded:
    """Return the end of a promotion for whose tags a newer request has waited."""
    return Superseded(f"A newer promotion by the same rule was asked for {', '.join(image_tags)} while it waited.")


def moved(image_tags: Sequence[str]) -> Superseded:
    """Return the end of a promotion whose tags another one has moved."""
    return Superseded(
        f"Tag {', '.join(image_tags)} has moved while the promotion waited. Read GET /heads, then promote again."
    )
