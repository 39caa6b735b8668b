"""Carries promotions out for their callers: with the real adapters, timed, logged and counted."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from botocore.exceptions import BotoCoreError, ClientError

from promoter import telemetry, wiring
from promoter.domain import waiting
from promoter.domain.answers import Answer, NotPromoted, Waiting
from promoter.domain.errors import Frozen, LedgerError
from promoter.domain.model import Promotion
from promoter.entrypoints.due import FIRST_PAUSE, LONGEST_PAUSE, Due, messages
from promoter.promotion.promote import promote

FREEZES_KNOWN = 6
"""Seconds after which every execution environment knows that a freeze was lifted (`Freezes.known`)."""

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


def resume_due(due: Due, in_time: Callable[[], bool]) -> list[Resumed]:
    """Try promotions that are due, while there is time; the rest is due again at once."""
    resumed: list[Resumed] = []
    for number, promotion_id in enumerate(due.promotion_ids):
        if number and not in_time():
            wiring.event_queue().add(messages(due.promotion_ids[number:], due.pause))
            break
        if found := resume(promotion_id):
            (_, answer), pause = found, due.pause * 2
            if isinstance(answer, NotPromoted) and answer.error.retryable and pause <= LONGEST_PAUSE:
                _try_soon(
                    [promotion_id], pause, seconds=pause
                )  # the ledger has failed, so that it waits as before
            come_back(answer, pause)
            resumed.append(found)
    return resumed


def come_back(answer: Answer, pause: int) -> None:
    """Have a promotion tried again after so many seconds, if all that it waits for passes within seconds.

    `reconcile` tries one that has waited longer.
    """
    if isinstance(answer, Waiting) and pause <= LONGEST_PAUSE and waiting.passes_within_seconds(answer.record):
        _try_soon([answer.record.promotion_id], pause, seconds=pause)


def try_frozen_soon() -> None:
    """Have promotions that wait for the end of a freeze tried as soon as every environment knows the freezes.

    Page by page, so that those of one page come back whatever becomes of the next. If the ledger cannot be asked,
    `reconcile` tries the others.
    """
    token: str | None = None
    try:
        while True:
            page = wiring.history().waiting(limit=100, next_token=token)
            frozen = [each.promotion_id for each in page.entries if Frozen.code in each.waiting_for]
            _try_soon(frozen, FIRST_PAUSE, seconds=FREEZES_KNOWN)
            if (token := page.next_token) is None:
                return
    except LedgerError as error:
        telemetry.logger.warning("waiting promotions do not come back soon", cause=error.detail)


def _try_soon(promotion_ids: Sequence[str], pause: int, *, seconds: int) -> None:
    """Have promotions tried in so many seconds. If the queue cannot be reached, `reconcile` tries them."""
    try:
        wiring.event_queue().add(messages(promotion_ids, pause), seconds=seconds)
    except (BotoCoreError, ClientError) as error:
        telemetry.logger.warning("waiting promotions do not come back soon", cause=f"{error}")


def _since(start: float) -> float:
    """Return the milliseconds since then."""
    return (time.monotonic() - start) * 1000
