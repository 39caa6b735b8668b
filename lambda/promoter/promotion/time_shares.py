"""Divides the time of a run: each kind of work gets a share, and the others get what it leaves unused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from promoter.domain.errors import InternalError, PromoterError

Step = Callable[[], None]


@dataclass
class Work:
    """Steps of one kind, each of which takes `longest` at most; `spent` is what they took until now."""

    name: str
    steps: Iterator[Step]
    longest: timedelta
    spent: timedelta = timedelta()


def share_time(
    kinds: Sequence[Work],
    *,
    in_time: Callable[[timedelta], bool],
    now: Callable[[], datetime],
    failed: Callable[[PromoterError], None],
) -> tuple[str, ...]:
    """Carry out steps, always of the kind that took the least time; return the kinds that are not done.

    `in_time` says whether something that takes so long may still begin. `failed` gets the error of a step, and of
    a kind that cannot name its next step. It gets unexpected errors too: otherwise one item of the table that
    cannot be read would end every run.
    """
    waiting, unfinished = list(kinds), []
    while waiting:
        work = min(waiting, key=lambda each: each.spent)
        began = now()
        try:
            step = next(work.steps, None)
        except Exception as error:  # noqa: BLE001 - as above
            failed(_as_promoter_error(error))
            step = None
        if step and in_time(work.longest):
            _carry_out(step, failed)
        else:
            waiting.remove(work)
            unfinished += [work.name] if step else []
        work.spent += now() - began
    return tuple(unfinished)


def _carry_out(step: Step, failed: Callable[[PromoterError], None]) -> None:
    try:
        step()
    except Exception as error:  # noqa: BLE001 - as above
        failed(_as_promoter_error(error))


def _as_promoter_error(error: Exception) -> PromoterError:
    return error if isinstance(error, PromoterError) else InternalError(f"{type(error).__name__}: {error}")
