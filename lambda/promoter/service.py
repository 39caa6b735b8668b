"""Promotions as the callers see them: carried out, timed, logged and counted."""

from __future__ import annotations

import time

from promoter import events, telemetry, wiring
from promoter.errors import PromoterError, ScanPending
from promoter.model import Promoted, Promotion, Trigger
from promoter.promote import promote

Answer = Promoted | PromoterError


def attempt(wish: Promotion) -> Answer:
    """Promote, report, and return the answer or the reason there is none.

    A wish of an event that has to wait for scans leaves a watch, so that the last of them carries it out.
    """
    start = time.monotonic()
    answer = carry_out(wish)
    if isinstance(answer, ScanPending) and wish.trigger is Trigger.SCAN:
        answer = watch(wish, answer)
    telemetry.report(wish, answer, milliseconds=(time.monotonic() - start) * 1000)
    return answer


def carry_out(wish: Promotion) -> Answer:
    """Promote on the real registry."""
    try:
        return promote(wish, policy=wiring.policy(), registry=wiring.registry(), findings=wiring.findings())
    except PromoterError as error:
        return error


def watch(wish: Promotion, pending: ScanPending) -> Answer:
    """Remember what the wish waits for, then look again: a scan may have finished before the watch stood."""
    try:
        wiring.watches().add(wish.repository, wish.source.image_id, awaited(pending))
    except PromoterError as error:
        return error
    return carry_out(wish)


def awaited(pending: ScanPending) -> list[str]:
    """Return the digests whose scans are awaited."""
    return [reason.image_digest for reason in pending.reasons if reason.image_digest]


def wishes(event: events.ImageEvent) -> tuple[Promotion, ...] | events.Ignored:
    """Return what an event asks for: for its own tags, and for those that wait for its scan."""
    waiting = wiring.watches().waiting_for(event.repository, event.image_digest) if event.is_scan else ()
    return events.wishes(event, wiring.policy(), waiting=waiting)


def must_come_again(event: events.ImageEvent, answer: Answer) -> bool:
    """Say whether the event has to be delivered again: after a failure, or if it came before its own findings.

    A promotion that waits for other scans needs no retry: their events carry it out.
    """
    if isinstance(answer, ScanPending):
        return event.is_scan and event.image_digest in awaited(answer)
    return isinstance(answer, PromoterError) and answer.retryable
