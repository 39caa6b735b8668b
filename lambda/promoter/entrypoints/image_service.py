"""Serves events of images: carries out what they ask for, and what they wake."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from promoter import telemetry, wiring
from promoter.domain import waiting
from promoter.domain.answers import Answer, NotPromoted, Waiting
from promoter.domain.errors import PromoterError, PromotionNotFound, ScanPending
from promoter.domain.gate import FINISHED, NOT_YET, PENDING
from promoter.domain.manifest import subject_of
from promoter.domain.model import ImageId, Manifest, Promotion, Source
from promoter.domain.records import WakeUp
from promoter.entrypoints import image_events, service
from promoter.entrypoints.due import FIRST_PAUSE
from promoter.entrypoints.image_events import Ignored, ImageEvent, Rest
from promoter.promotion.recovery import read_or_missing

Task = WakeUp | list[Promotion]
"""What is carried out or left as a whole: a promotion that waits, or the promotions of one source."""

NOTHING = Rest()


@dataclass
class Served:
    """How an event was served: its answers, what there was no time for, and what has to be tried again.

    `event` is the event with the image that it wakes. `error` is the first error of what failed. `woken` are rules
    and sources of the promotions that it has woken, now or when it was delivered before.
    """

    event: ImageEvent
    answers: list[tuple[Promotion, Answer]] = field(default_factory=list)
    left: Rest = NOTHING
    failed: Rest = NOTHING
    error: PromoterError | None = None
    woken: set[tuple[str | None, Source]] = field(default_factory=set)

    def note_earlier(self, wake_up: WakeUp) -> None:
        """Note a promotion that another delivery of the event, or a later event, has carried on."""
        try:
            record = wiring.history().promotion(wake_up.promotion_id)
        except PromotionNotFound:
            return
        if record.ended_at is None or record.ended_at >= self.event.happened_at:
            self.woken.add((record.rule, Source(record.source)))

    def fail(self, task: Task, error: PromoterError) -> None:
        """Note that a task has to be tried again."""
        self.failed = image_events.with_task(self.failed, task)
        self.error = self.error or error


def serve(event: ImageEvent, in_time: Callable[[], bool]) -> Served | Ignored:
    """Carry out what an event asks for, while there is time: what it wakes, then the promotions of its own tags.

    The first task is carried out in any case, so that every call leaves fewer.
    """
    if event.is_referrer:
        event = event._replace(wakes=read_subject(event))
    found = woken_by(event)
    wake_ups = [each for each in found if not each.is_served]
    promotions = image_events.promotions(event, wiring.policy())
    if isinstance(promotions, Ignored) and not wake_ups:
        return promotions
    own = () if isinstance(promotions, Ignored) else promotions
    served = Served(event)
    for each in found if own else ():
        if each.is_served:
            served.note_earlier(each)
    serve_tasks([*wake_ups, *_by_source(own)], served, in_time)
    return served


def serve_tasks(tasks: Sequence[Task], served: Served, in_time: Callable[[], bool]) -> None:
    """Carry out tasks, while there is time; note what is left."""
    for number, task in enumerate(tasks):
        if number and not in_time():
            for left in tasks[number:]:
                served.left = image_events.with_task(served.left, left)
            return
        if isinstance(task, WakeUp):
            serve_wake_up(served.event, task, served)
        else:
            serve_source(served.event, task, served)


def woken_by(event: ImageEvent) -> Sequence[WakeUp]:
    """Return what the event wakes."""
    if event.wakes is None:
        return ()
    if event.rest is not None:
        return [WakeUp(event.repository, event.wakes, promotion_id) for promotion_id in event.rest.promotion_ids]
    return wiring.dependencies().wake_ups.of(event.repository, event.wakes)


def read_subject(event: ImageEvent) -> str | None:
    """Return the image that a referrer says it refers to; None: it is gone, or refers to nothing."""
    referrer = ImageId(image_digest=event.image_digest)
    found = read_or_missing(wiring.dependencies(), event.repository, [referrer])[referrer]
    return subject_of(found.body) if isinstance(found, Manifest) else None


def serve_source(event: ImageEvent, promotions: list[Promotion], served: Served) -> None:
    """Carry out the promotions of one source, but for those that the event has woken."""
    for promotion in promotions:
        if (promotion.rule, promotion.source) in served.woken:
            continue
        answer = service.carry_out(promotion)
        served.answers.append((promotion, answer))
        if error := must_come_again(event, answer):
            served.fail(promotions, error)


def serve_wake_up(event: ImageEvent, wake_up: WakeUp, served: Served) -> None:
    """Try a promotion that waits. The image's next event wakes it no more, unless it waits for that still.

    If the event has to come again, the wake-up stays: without it the event would wake nothing.
    """
    try:
        if other := awaited_beside(wake_up):
            telemetry.report_waiting(wake_up, other)
        elif resumed := service.resume(wake_up.promotion_id):
            promotion, answer = resumed
            served.answers.append(resumed)
            served.woken.add((promotion.rule, promotion.source))
            service.come_back(answer, FIRST_PAUSE)
            if error := must_come_again(event, answer):
                served.fail(wake_up, error)
                return
            if isinstance(answer, Waiting) and wake_up.image_digest in waiting.awaited(answer.record):
                return
        else:
            served.note_earlier(wake_up)
        wiring.dependencies().wake_ups.mark_served(wake_up)
    except PromoterError as error:
        served.fail(wake_up, error)


def awaited_beside(wake_up: WakeUp) -> str | None:
    """Return another image whose scan the promotion waits for after this one's; None: it has to be tried.

    Reading these two scans is enough: otherwise each platform's scan would read the scans of all platforms. The
    promotion waits for the other scan too. That ends after this read, so that its event finds the promotion.
    """
    dependencies = wiring.dependencies()
    others = dependencies.wake_ups.beside(wake_up) if wake_up.others else ()
    if not others:
        return None
    try:
        this, other = (
            dependencies.image_facts.scan(wake_up.repository, digest).status
            for digest in (wake_up.image_digest, others[0])
        )
    except PromoterError:  # the promotion meets the same error, and reports it
        return None
    return others[0] if this in FINISHED and other in {None, *NOT_YET} else None


def must_come_again(event: ImageEvent, answer: Answer) -> PromoterError | None:
    """Return why the event has to be delivered again: after a failure, or if it came before its findings.

    A promotion that waits for other scans needs no retry: their events wake it.
    """
    if isinstance(answer, NotPromoted):
        return answer.error if answer.error.retryable else None
    if not isinstance(answer, Waiting) or not event.is_scan:
        return None
    reasons = answer.record.reasons
    if any(each.code == PENDING and each.image_digest == event.image_digest for each in reasons):
        return ScanPending(answer.record.detail or "", reasons=reasons)
    return None


def _by_source(promotions: Sequence[Promotion]) -> Iterator[list[Promotion]]:
    by_source: dict[ImageId, list[Promotion]] = {}
    for promotion in promotions:
        by_source.setdefault(promotion.source.image_id, []).append(promotion)
    yield from by_source.values()
