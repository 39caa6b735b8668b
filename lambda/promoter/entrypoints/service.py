"""Carries promotions out for their callers: with the real adapters, timed, logged and counted."""

from __future__ import annotations

import time

from promoter import telemetry, wiring
from promoter.domain import waiting
from promoter.domain.answers import Answer, Waiting
from promoter.domain.model import Promotion
from promoter.entrypoints.due import FIRST_PAUSE, LONGEST_PAUSE, Due, message
from promoter.promotion.promote import promote

Resumed = tuple[Promotion, Answer]
"""A promotion that has waited, and how it ended, or that it waits on."""


def carry_out(promotion: Promotion) -> Answer:
    """Promote, report, and return the answer. What passes within seconds is tried again soon."""
    start = time.monotonic()
    answer = promote(promotion, wiring.dependencies())
    telemetry.report(promotion, answer, milliseconds=_since(start))
    come_back(answer, FIRST_PAUSE)
    return answer


def resume(promotion_id: str) -> Resumed | None:
    """Try a promotion that waits, report, and return the answer; None: it does not wait, or no longer."""
    from promoter.promotion import waiting as use_case  # most events find nothing that waits

    start = time.monotonic()
    resumed = use_case.resume(promotion_id, wiring.dependencies())
    if resumed:
        telemetry.report(*resumed, milliseconds=_since(start))
    return resumed


def resume_due(due: Due) -> Resumed | None:
    """Try a promotion that was waiting for what passes within seconds."""
    resumed = resume(due.promotion_id)
    if resumed:
        come_back(resumed[1], due.pause * 2)
    return resumed


def come_back(answer: Answer, pause: int) -> None:
    """Have a promotion tried again after so many seconds, if all that it waits for passes within seconds.

    `reconcile` tries one that has waited longer.
    """
    if isinstance(answer, Waiting) and pause <= LONGEST_PAUSE and waiting.passes_within_seconds(answer.record):
        wiring.event_queue().add([message(Due(answer.record.promotion_id, pause))], seconds=pause)


def _since(start: float) -> float:
    """Return the milliseconds since then."""
    return (time.monotonic() - start) * 1000
