"""Accepts promotions to wait: the record first, then what wakes it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from promoter.domain import documents, waiting
from promoter.domain.answers import Answer, Waiting
from promoter.domain.clock import spread_pause
from promoter.domain.errors import PromoterError, TagBusy
from promoter.domain.leasing import (
    Abandoned,
    Accepted,
    Busy,
    Overtaken,
    Recorded,
    Replayed,
    Resumable,
    Stale,
    Waits,
)
from promoter.domain.model import Outcome, Promotion, Seen, Trigger, Wait
from promoter.domain.records import Position, Record
from promoter.promotion.attempt import Held, attempt_patiently
from promoter.promotion.dependencies import Dependencies
from promoter.promotion.idempotency import inheriting, replay
from promoter.promotion.judge import reached_at
from promoter.promotion.plan import AttemptState, Plan
from promoter.promotion.recovery import recover_in_the_way
from promoter.promotion.waiting import answer_of, wake_by_events

TRIES = 5
NOT_ACCEPTED = "The promotion could not be accepted because its tags are being moved. Retry."


def accept(promotion: Promotion, held: Held, dependencies: Dependencies) -> Answer:
    """Have the promotion wait, and say for what. A promotion of the same image by event that waits is the same.

    It is tried once more when its wake-ups are written: an event may have come before them. It has been patient
    before this, and its caller has no time for more.
    """
    state, at_once = AttemptState(), replace(dependencies, patience=timedelta())
    for number in range(TRIES):
        record = _accepted(promotion, held, state.earlier, dependencies, is_first=number == 0)
        match _accept(promotion, record, state.earlier, dependencies):
            case Recorded() if record:
                return _look_again(record, dependencies)
            case Replayed(standing) | Waits(standing):
                return replay(standing, dependencies)
            case Abandoned() as abandoned:
                recover_in_the_way(abandoned, promotion.repository, dependencies)
            case Overtaken(image_tags):
                raise waiting.overtaken(image_tags)
            case Busy():
                dependencies.pause(spread_pause(0.05, 0.3))
            case in_the_way:  # a tag has moved since it was read, or an earlier attempt has put some
                state = AttemptState(earlier=in_the_way.record) if isinstance(in_the_way, Resumable) else state
                attempted = attempt_patiently(promotion, state, at_once)
                if not isinstance(attempted, Held):
                    return answer_of(attempted)
                held = attempted
    raise TagBusy(NOT_ACCEPTED)


def _look_again(record: Record, dependencies: Dependencies) -> Answer:
    """Write what wakes a promotion that was accepted. If that fails it is accepted still: `reconcile` tries it."""
    try:
        return wake_by_events(record, dependencies)
    except PromoterError:
        return Waiting(record)


def _accept(
    promotion: Promotion, record: Record | None, earlier: Record | None, dependencies: Dependencies
) -> Accepted:
    if record is None:
        return Stale({})
    next_try = waiting.next_try(record, dependencies.now())
    return dependencies.waiting.accept(record, promotion.source.manifest, next_try, earlier)


def _accepted(
    promotion: Promotion, held: Held, earlier: Record | None, dependencies: Dependencies, *, is_first: bool
) -> Record | None:
    """Return the record with which a promotion is accepted; for a request, with where its tags are now.

    None: the ledger has a tag elsewhere than it was read. It has moved just now, unless it stays so.
    """
    now, reasons = dependencies.now(), waiting.reasons_of(held.errors)
    asked = promotion.wait.until if promotion.wait else None
    wait = Wait(waiting.first_until(promotion.trigger, asked, now))
    plan, opened = held.plan, _opened(promotion, earlier)
    if plan is None:
        return documents.waits(opened, wait, reasons)
    record = replace(
        opened,
        rule=plan.rule.name,
        image_digest=plan.manifest.digest,
        media_type=plan.manifest.media_type,
        image_tags=tuple(plan.current_digests),
    )
    if promotion.trigger is Trigger.SCAN:
        return documents.waits(record, wait, reasons)
    positions = dependencies.heads.positions(promotion.repository, record.image_tags)
    if is_first and any(_differs(position, plan.current_digests[tag]) for tag, position in positions.items()):
        return None
    seen = {tag: Seen(plan.current_digests[tag], each.version, each.holder) for tag, each in positions.items()}
    wait = Wait(wait.until, seen, promotion.expected_digests, _reached(plan, dependencies))
    return documents.waits(record, wait, reasons, plan.moves)


def _opened(promotion: Promotion, earlier: Record | None) -> Record:
    """Return the record of a promotion, with the tags that an earlier attempt has put."""
    opened = documents.opened(promotion)
    if earlier is None:
        return opened
    put = tuple(move for move in earlier.moves if move.outcome is Outcome.PROMOTED)
    return replace(inheriting(opened, earlier), moves=put)


def _differs(position: Position, current_digest: str | None) -> bool:
    return position.holder is None and position.image_digest not in (None, current_digest)


def _reached(plan: Plan, dependencies: Dependencies) -> datetime | None:
    """Return when the image had reached its source tag, where the rule's gate asks for that."""
    gate = plan.rule.gate
    return reached_at(plan, dependencies) if gate and gate.soak and not plan.promotion.undoes else None
