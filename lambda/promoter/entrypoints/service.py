"""Carries promotions out for their callers: with the real adapters, timed, logged and counted."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from promoter import telemetry, wiring
from promoter.domain.answers import Answer, NotPromoted
from promoter.domain.errors import Frozen, PromoterError, ScanPending
from promoter.domain.gate import FINISHED, NOT_YET
from promoter.domain.model import ImageId, Promotion, Trigger
from promoter.domain.records import DeferredPromotion
from promoter.entrypoints import image_events
from promoter.promotion.promote import promote


@dataclass(frozen=True)
class Served:
    """How an event was served: its answers, the sources that there was no time for, and those that failed.

    Those in `failed` have to be tried again; `error` is the first of their errors.
    """

    answers: tuple[tuple[Promotion, Answer], ...]
    left: tuple[ImageId, ...] = ()
    failed: tuple[ImageId, ...] = ()
    error: PromoterError | None = None


def carry_out(promotion: Promotion) -> Answer:
    """Promote, report, and return the answer.

    A promotion by event that has to wait, for scans or for the end of a freeze, is deferred: the last of the scans
    carries it out, or `reconcile` does.
    """
    start = time.monotonic()
    answer = promote(promotion, wiring.dependencies())
    if waits(promotion, answer):
        answer = defer(promotion, answer)
    milliseconds = (time.monotonic() - start) * 1000
    telemetry.report(promotion, answer, milliseconds=milliseconds, waits=waits(promotion, answer))
    return answer


def waits(promotion: Promotion, answer: Answer) -> bool:
    """Say whether the promotion waits, so that nobody has to ask for it again."""
    return promotion.trigger is Trigger.SCAN and isinstance(error_in(answer), ScanPending | Frozen)


def defer(promotion: Promotion, answer: Answer) -> Answer:
    """Remember what the promotion waits for. If that is new, promote again: a scan may have finished meanwhile."""
    source, digests = promotion.source.image_id, awaited(answer)
    try:
        new = wiring.deferred_promotions().add(promotion.repository, source, digests or [f"{source.image_digest}"])
    except PromoterError as error:
        return NotPromoted(error)
    if not new or not digests:
        return answer
    again = promote(promotion, wiring.dependencies())
    with contextlib.suppress(PromoterError):  # `reconcile` finds what is left
        for digest in no_longer_awaited(digests, again):
            wiring.deferred_promotions().remove(DeferredPromotion(promotion.repository, digest, source))
    return again


def error_in(answer: Answer) -> PromoterError | None:
    """Return why a promotion was not carried out; None: it was."""
    return answer.error if isinstance(answer, NotPromoted) else None


def awaited(answer: Answer) -> list[str]:
    """Return the digests whose scans are awaited."""
    error = error_in(answer)
    reasons = error.reasons if isinstance(error, ScanPending) else ()
    return list(dict.fromkeys(reason.image_digest for reason in reasons if reason.image_digest))


def no_longer_awaited(digests: Sequence[str], answer: Answer) -> list[str]:
    """Return those of the awaited digests that the second attempt does not wait for: their events are past."""
    error = error_in(answer)
    if isinstance(error, ScanPending):
        still = awaited(answer)
        return [digest for digest in digests if still and digest not in still]
    may_come_again = error is not None and (error.retryable or isinstance(error, Frozen))
    return [] if may_come_again else list(digests)


def serve(event: image_events.ImageEvent, in_time: Callable[[], bool]) -> Served | image_events.Ignored:
    """Carry out what an event asks for, while there is time: for its own tags, and for those that wait for it.

    The promotions of one source are carried out or left together. The first source is carried out in any case, so
    that every call leaves fewer.
    """
    waiting = deferred_by(event)
    promotions = image_events.promotions(event, wiring.policy(), waiting=waiting)
    if isinstance(promotions, image_events.Ignored):
        return promotions
    by_source: dict[ImageId, list[Promotion]] = {}
    for promotion in promotions:
        by_source.setdefault(promotion.source.image_id, []).append(promotion)
    answers: list[tuple[Promotion, Answer]] = []
    errors: dict[ImageId, PromoterError] = {}
    left: tuple[ImageId, ...] = ()
    for number, (source, asked) in enumerate(by_source.items()):
        served = serve_source(event, asked, in_time if number else lambda: True, is_deferred=source in waiting)
        if served is None:
            left = tuple(by_source)[number:]
            break
        answers += served
        for _, answer in served:
            if (error := error_in(answer)) and must_come_again(event, answer):
                errors.setdefault(source, error)
    return Served(tuple(answers), left, tuple(errors), next(iter(errors.values()), None))


def deferred_by(event: image_events.ImageEvent) -> tuple[ImageId, ...]:
    """Return the pinned tags whose promotions may wait for the event's image."""
    if not event.is_scan:
        return ()
    return event.rest or wiring.deferred_promotions().waiting_for(event.repository, event.image_digest)


def serve_source(
    event: image_events.ImageEvent,
    promotions: Sequence[Promotion],
    in_time: Callable[[], bool],
    *,
    is_deferred: bool,
) -> list[tuple[Promotion, Answer]] | None:
    """Carry out the promotions of one source, and forget that they wait when they are done; None: no time."""
    answers: list[tuple[Promotion, Answer]] = []
    deferred = DeferredPromotion(event.repository, event.image_digest, promotions[0].source.image_id)
    try:
        for promotion in promotions:
            if not in_time():
                return None
            if is_deferred and not answers and (other := awaited_beside(deferred)):
                telemetry.report_waiting(deferred, other)
                break
            answers.append((promotion, carry_out(promotion)))
        if is_deferred and not any(stays_deferred(event, answer) for _, answer in answers):
            wiring.deferred_promotions().remove(deferred)
    except PromoterError as error:
        answers.append((promotions[-1], NotPromoted(error)))
    return answers


def awaited_beside(deferred: DeferredPromotion) -> str | None:
    """Return another manifest whose scan the tag certainly waits for after this one's; None: it has to be tried.

    Reading these two scans is enough: otherwise each platform's scan would read the scans of all platforms. The
    promotion waits for the other scan too. That ends after this read, so that its event finds the promotion.
    """
    others, scan = wiring.deferred_promotions().besides(deferred), wiring.dependencies().image_facts.scan
    if not others:
        return None
    try:
        this, other = (scan(deferred.repository, digest).status for digest in (deferred.image_digest, others[0]))
    except PromoterError:  # the promotion meets the same error, and reports it
        return None
    return others[0] if this in FINISHED and other in {None, *NOT_YET} else None


def stays_deferred(event: image_events.ImageEvent, answer: Answer) -> bool:
    """Say whether the promotion stays deferred: for the event's next delivery, or for `reconcile`."""
    error = error_in(answer)
    waits_for_no_scan = isinstance(error, ScanPending) and not awaited(answer)
    return isinstance(error, Frozen) or waits_for_no_scan or must_come_again(event, answer)


def must_come_again(event: image_events.ImageEvent, answer: Answer) -> bool:
    """Say whether the event has to be delivered again: after a failure, or if it came before its findings.

    A promotion that waits for other scans needs no retry: their events carry it out.
    """
    error = error_in(answer)
    if isinstance(error, ScanPending):
        return event.is_scan and event.image_digest in awaited(answer)
    return error is not None and error.retryable


def promotions_of(deferred: DeferredPromotion) -> tuple[Promotion, ...]:
    """Return the promotions that the event of the awaited scan would ask for. That event may have been lost."""
    found = image_events.promotions_of(deferred, wiring.policy())
    return () if isinstance(found, image_events.Ignored) else found
