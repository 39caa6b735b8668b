"""The use case: put target tags on exactly the source's bytes, if the policy admits it; and keep a record.

A promotion goes through the same stages each time: resolve, decide, read, judge, lease, put, record.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from promoter.domain import documents
from promoter.domain.answers import Answer, NotPromoted
from promoter.domain.clock import spread_pause
from promoter.domain.decision import decide
from promoter.domain.errors import PromoterError, SourceNotFound, Superseded, TagBusy, TagChanged
from promoter.domain.leasing import Abandoned, Busy, MovedOn, Recorded, Replayed, Resumable, RolledBack, Stale
from promoter.domain.model import Promotion
from promoter.domain.records import Lease, Record
from promoter.promotion.dependencies import Dependencies
from promoter.promotion.execute import put_all, record_end, take_lease
from promoter.promotion.idempotency import record_noop, record_refusal, replay
from promoter.promotion.judge import judge
from promoter.promotion.plan import AttemptState, Plan, moved_on, read_state, resolve_digest
from promoter.promotion.recovery import recover_in_the_way


class Blocked(NamedTuple):
    """An attempt that has to be repeated: `error` is the answer if there is no time left for another one.

    `state` is what the next attempt has to know.
    """

    error: TagBusy
    state: AttemptState


def promote(promotion: Promotion, dependencies: Dependencies) -> Answer:
    """Carry out the promotion, or say why not. A repeat is not an error: it gets the first answer.

    One read for the source and all target tags, what the rule's gate asks for, then the lease of the tags that
    have to move, one write for each, and the record. Nothing is written before all checks have passed.
    """
    try:
        try:
            return _patiently(promotion, dependencies)
        except PromoterError as error:
            return record_refusal(promotion, error, dependencies)
    except PromoterError as error:
        return NotPromoted(error)


def rehearse(promotion: Promotion, dependencies: Dependencies) -> Answer:
    """Return how the promotion would end now, without a trace of it."""
    try:
        attempted = attempt(replace(promotion, dry_run=True), AttemptState(), dependencies)
    except PromoterError as error:
        return NotPromoted(error)
    return NotPromoted(attempted.error) if isinstance(attempted, Blocked) else attempted


def _patiently(promotion: Promotion, dependencies: Dependencies) -> Answer:
    """Attempt the promotion until no other one is in the way, or until `patience` is over."""
    state, deadline = AttemptState(), dependencies.now() + dependencies.patience
    while True:
        attempted = attempt(promotion, state, dependencies)
        if not isinstance(attempted, Blocked):
            return attempted
        if dependencies.now() > deadline:
            raise attempted.error
        state = attempted.state
        dependencies.pause(spread_pause(0.05, 0.3))


def attempt(promotion: Promotion, state: AttemptState, dependencies: Dependencies) -> Answer | Blocked:
    """Go through all stages once. Raises the PromoterError that ends the promotion before a tag was put."""
    resolved = resolve_digest(promotion, dependencies)
    decision = decide(
        resolved,
        dependencies.policy,
        now=dependencies.now(),
        freezes=() if promotion.is_override else dependencies.freezes.known(),
        operators=dependencies.operators,
    )
    try:
        plan = read_state(decision, state, dependencies)
    except SourceNotFound:
        if resolved is promotion:
            raise
        return Blocked(TagBusy("The source tag moved while the promotion was being checked. Retry."), state)
    blocked = _judged(plan, state, dependencies)
    if blocked or promotion.dry_run:
        return blocked or plan.answer(plan.moves)
    return _carried_out(plan, replace(state, passed=plan.manifest.digest), dependencies)


def _judged(plan: Plan, state: AttemptState, dependencies: Dependencies) -> Blocked | None:
    """Judge; return what the next attempt has to know, if somebody else was in the way."""
    try:
        judge(plan, state, dependencies)
    except TagBusy as busy:
        return Blocked(busy, state)
    except TagChanged:
        # Perhaps the tags are elsewhere because an earlier attempt of this promotion has put them.
        if state.earlier is None and (earlier := _unfinished(plan.promotion, dependencies)):
            return _blocked(Resumable(earlier), plan.promotion, state, dependencies)
        raise
    return None


def _carried_out(plan: Plan, state: AttemptState, dependencies: Dependencies) -> Answer | Blocked:
    """Lease, put and record; a promotion that has nothing to move is only recorded."""
    match take_lease(plan, state, dependencies) if plan.leased else record_noop(plan, state, dependencies):
        case Lease() as lease:
            puts = put_all(plan, lease, dependencies)
            return record_end(plan, lease, puts, dependencies)
        case Recorded():
            return plan.answer(plan.moves)
        case Replayed(record):
            return replay(record, dependencies)
        case in_the_way:
            return _blocked(in_the_way, plan.promotion, state, dependencies)


def _unfinished(promotion: Promotion, dependencies: Dependencies) -> Record | None:
    """Return the record of an earlier attempt of the promotion that may be carried on."""
    if promotion.dry_run:
        return None
    earlier = dependencies.ledger.earlier(documents.opened(promotion))
    return earlier if earlier and not documents.is_final(earlier) else None


def _blocked(
    in_the_way: Busy | Stale | Resumable | Abandoned | RolledBack | MovedOn,
    promotion: Promotion,
    state: AttemptState,
    dependencies: Dependencies,
) -> Blocked:
    """Return what the next attempt has to know. Raises Superseded or TagChanged where none can help."""
    match in_the_way:
        case Busy(detail):
            return Blocked(TagBusy(detail), state)
        case Stale(versions):
            busy = TagBusy(f"Tag {', '.join(versions)} changed while the promotion was being checked. Retry.")
            return Blocked(busy, replace(state, versions={**state.versions, **versions}))
        case Resumable(record):
            busy = TagBusy("Another attempt of this promotion is under way. Retry.")
            return Blocked(busy, replace(state, earlier=record))
        case Abandoned() as abandoned:
            recover_in_the_way(abandoned, promotion.repository, dependencies)
            return Blocked(TagBusy("An interrupted promotion of the tag is being recovered. Retry."), state)
        case RolledBack(image_tags):
            raise Superseded(
                f"Tag {', '.join(image_tags)} was rolled back from this image. Send a request to put it again."
            )
        case MovedOn(image_tags):
            raise moved_on(image_tags)
