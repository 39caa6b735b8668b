"""One attempt of a promotion, stage by stage: resolve, decide, read, judge, lease, put, record."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from promoter.domain import documents, waiting
from promoter.domain.answers import Answer
from promoter.domain.clock import spread_pause
from promoter.domain.decision import Decision, admit, freeze_of
from promoter.domain.errors import (
    Frozen,
    PromoterError,
    ScanPending,
    SourceNotFound,
    Superseded,
    TagBusy,
    TagChanged,
    Throttled,
)
from promoter.domain.leasing import (
    Abandoned,
    Busy,
    MovedOn,
    Overtaken,
    Recorded,
    Replayed,
    Resumable,
    RolledBack,
    Stale,
    Waits,
)
from promoter.domain.model import Outcome, Promotion, Trigger
from promoter.domain.records import Lease, Record
from promoter.promotion.dependencies import Dependencies
from promoter.promotion.execute import put_all, record_end, take_lease
from promoter.promotion.idempotency import record_noop, replay
from promoter.promotion.judge import judge
from promoter.promotion.plan import AttemptState, Plan, moved_on, read_state, resolve_digest
from promoter.promotion.recovery import recover_in_the_way


class Blocked(NamedTuple):
    """An attempt that has to be repeated: `error` is the answer if there is no time left for another one.

    `state` is what the next attempt has to know, `plan` what this one had planned.
    """

    error: TagBusy
    state: AttemptState
    plan: Plan | None = None


class Held(NamedTuple):
    """A promotion that may wait, and only what passes with time is in its way; `plan` as far as there is one."""

    errors: tuple[PromoterError, ...]
    plan: Plan | None = None


Attempted = Answer | Waits | Held
"""How attempts end: with an answer; with the finding that the promotion waits already; or held."""


def attempt_patiently(promotion: Promotion, state: AttemptState, dependencies: Dependencies) -> Attempted:
    """Attempt the promotion until no other one is in the way, or until `patience` is over."""
    deadline = dependencies.now() + dependencies.patience
    while True:
        attempted = attempt(promotion, state, dependencies)
        if not isinstance(attempted, Blocked):
            return attempted
        if dependencies.now() > deadline:
            if promotion.wait and attempted.plan:
                return Held((attempted.error,), attempted.plan)
            raise attempted.error
        state = attempted.state
        dependencies.pause(spread_pause(0.05, 0.3))


def attempt(promotion: Promotion, state: AttemptState, dependencies: Dependencies) -> Attempted | Blocked:
    """Go through all stages once. Raises the PromoterError that ends the promotion before a tag was put."""
    resolved = resolve_digest(promotion, dependencies)
    decision = admit(resolved, dependencies.policy, operators=dependencies.operators)
    frozen = _freeze_of(decision, dependencies)
    if frozen and promotion.wait is None:
        if promotion.trigger is Trigger.SCAN and not promotion.dry_run:
            return Held((frozen,))
        raise frozen
    try:
        plan = read_state(decision, state, dependencies)
    except SourceNotFound:
        if resolved is promotion:
            raise
        return Blocked(TagBusy("The source tag moved while the promotion was being checked. Retry."), state)
    in_the_way = _judged(plan, state, dependencies, frozen)
    if in_the_way or promotion.dry_run:
        return in_the_way or plan.answer(plan.moves)
    if state.earlier and (over := waiting.end_of(state.earlier, dependencies.now())):
        raise over  # it has been read as expired since
    return _carried_out(plan, replace(state, passed=plan.manifest.digest), dependencies)


def _freeze_of(decision: Decision, dependencies: Dependencies) -> Frozen | None:
    freezes = () if decision.promotion.is_override else dependencies.freezes.known()
    return freeze_of(decision, dependencies.policy, now=dependencies.now(), freezes=freezes)


def _judged(
    plan: Plan, state: AttemptState, dependencies: Dependencies, frozen: Frozen | None
) -> Blocked | Held | None:
    """Judge; return what the promotion has to wait for, or what the next attempt has to know.

    A promotion that waits for the end of a freeze is judged too: what its gate refuses does not wait.
    """
    try:
        judge(plan, state, dependencies)
    except (ScanPending, Throttled) as error:
        if not _may_wait_for(error, plan.promotion):
            raise
        return Held((frozen, error) if frozen else (error,), plan)
    except TagBusy as busy:
        return Blocked(busy, state, plan)
    except TagChanged:
        # Perhaps the tags are elsewhere because an earlier attempt of this promotion has put them.
        if state.earlier is None and (earlier := _unfinished(plan.promotion, dependencies)):
            return _again(Resumable(earlier), plan, state, dependencies)
        raise
    return Held((frozen,), plan) if frozen else None


def _may_wait_for(error: PromoterError, promotion: Promotion) -> bool:
    """Say whether a promotion waits for this. An event that is throttled comes again by itself."""
    is_waited_for = promotion.wait is not None or (promotion.may_wait and isinstance(error, ScanPending))
    return is_waited_for and not promotion.dry_run


def _carried_out(plan: Plan, state: AttemptState, dependencies: Dependencies) -> Answer | Waits | Blocked:
    """Lease, put and record; a promotion that has nothing to move is only recorded."""
    match take_lease(plan, state, dependencies) if plan.leased else record_noop(plan, state, dependencies):
        case Lease() as lease:
            puts = put_all(plan, lease, dependencies)
            return record_end(plan, lease, puts, dependencies)
        case Recorded():
            return plan.answer(plan.moves)
        case Replayed(record):
            return replay(record, dependencies)
        case Resumable(record) if state.earlier and state.earlier.outcome is Outcome.WAITING:
            return replay(record, dependencies)  # it has ended while it was tried: cancelled, for one
        case Waits() as waits:
            return waits
        case in_the_way:
            return _again(in_the_way, plan, state, dependencies)


def _unfinished(promotion: Promotion, dependencies: Dependencies) -> Record | None:
    """Return the record of an earlier attempt of the promotion that may be carried on."""
    if promotion.dry_run:
        return None
    earlier = dependencies.ledger.earlier(documents.opened(promotion))
    waits = earlier is not None and earlier.outcome is Outcome.WAITING
    return earlier if earlier and not waits and not documents.is_final(earlier) else None


def _again(
    in_the_way: Busy | Stale | Resumable | Abandoned | RolledBack | MovedOn | Overtaken,
    plan: Plan,
    state: AttemptState,
    dependencies: Dependencies,
) -> Blocked:
    """Return what the next attempt has to know. Raises Superseded or TagChanged where none can help."""
    match in_the_way:
        case Busy(detail):
            return Blocked(TagBusy(detail), state, plan)
        case Stale(versions):
            busy = TagBusy(f"Tag {', '.join(versions)} changed while the promotion was being checked. Retry.")
            return Blocked(busy, replace(state, versions={**state.versions, **versions}), plan)
        case Resumable(record):
            busy = TagBusy("Another attempt of this promotion is under way. Retry.")
            return Blocked(busy, replace(state, earlier=record), plan)
        case Abandoned() as abandoned:
            recover_in_the_way(abandoned, plan.promotion.repository, dependencies)
            busy = TagBusy("An interrupted promotion of the tag is being recovered. Retry.")
            return Blocked(busy, state, plan)
        case RolledBack(image_tags):
            raise Superseded(
                f"Tag {', '.join(image_tags)} was rolled back from this image. Send a request to put it again."
            )
        case Overtaken(image_tags):
            raise waiting.overtaken(image_tags)
        case MovedOn(image_tags):
            raise moved_on(image_tags)
