"""Promotions as the callers see them: carried out, timed, logged and counted."""

from __future__ import annotations

import time

from promoter import events, telemetry, wiring
from promoter.errors import Frozen, PromoterError, ScanPending
from promoter.model import Promoted, Promotion, Trigger, Watch
from promoter.promote import promote

Answer = Promoted | PromoterError


def attempt(wish: Promotion) -> Answer:
    """Promote, report, and return the answer or the reason there is none.

    A wish of an event that has to wait, for scans or for the end of a freeze, leaves a watch: the last of the
    scans carries it out, or `reconcile`.
    """
    start = time.monotonic()
    answer = carry_out(wish)
    if wish.trigger is Trigger.SCAN and isinstance(answer, ScanPending | Frozen):
        answer = watch(wish, answer)
    telemetry.report(wish, answer, milliseconds=(time.monotonic() - start) * 1000)
    return answer


def carry_out(wish: Promotion) -> Answer:
    """Promote in the real world."""
    try:
        return promote(wish, wiring.world())
    except PromoterError as error:
        return error


def watch(wish: Promotion, answer: ScanPending | Frozen) -> Answer:
    """Remember what the wish waits for, then look again: a scan may have finished before the watch stood."""
    source = wish.source.image_id
    try:
        wiring.watches().add(wish.repository, source, awaited(answer) or [f"{source.image_digest}"])
    except PromoterError as error:
        return error
    return carry_out(wish) if awaited(answer) else answer


def awaited(answer: PromoterError) -> list[str]:
    """Return the digests whose scans are awaited."""
    return [reason.image_digest for reason in answer.reasons if reason.image_digest]


def serve(event: events.ImageEvent) -> list[tuple[Promotion, Answer]] | events.Ignored:
    """Carry out what an event asks for: for its own tags, and for those that wait for its scan."""
    waiting = wiring.watches().waiting_for(event.repository, event.image_digest) if event.is_scan else ()
    wishes = events.wishes(event, wiring.policy(), waiting=waiting)
    if isinstance(wishes, events.Ignored):
        return wishes
    served = [(wish, attempt(wish)) for wish in wishes]
    still = {wish.source.image_id for wish, answer in served if needs_watch(event, answer)}
    for source in {wish.source.image_id for wish, _ in served} & set(waiting) - still:
        wiring.watches().remove(Watch(event.repository, event.image_digest, source))
    return served


def needs_watch(event: events.ImageEvent, answer: Answer) -> bool:
    """Say whether a wish still has to be found by the event's image: at its next try, or by `reconcile`."""
    waits_for_no_scan = isinstance(answer, ScanPending) and not awaited(answer)
    return isinstance(answer, Frozen) or waits_for_no_scan or must_come_again(event, answer)


def must_come_again(event: events.ImageEvent, answer: Answer) -> bool:
    """Say whether the event has to be delivered again: after a failure, or if it came before its own findings.

    A promotion that waits for other scans needs no retry: their events carry it out.
    """
    if isinstance(answer, ScanPending):
        return event.is_scan and event.image_digest in awaited(answer)
    return isinstance(answer, PromoterError) and answer.retryable


def watched(entry: Watch) -> tuple[Promotion, ...]:
    """Return what the event would have asked for that never came."""
    found = events.watched(entry, wiring.policy())
    return () if isinstance(found, events.Ignored) else found
