"""The use case: put target tags on exactly the source's bytes, if the policy admits it; and keep a record."""

from __future__ import annotations

import random

from promoter.domain import documents
from promoter.domain.errors import (
    Frozen,
    InvalidRequest,
    LedgerError,
    PromoterError,
    SourceNotFound,
    Superseded,
    TagBusy,
    TagChanged,
)
from promoter.domain.model import Promoted, Promotion, Trigger
from promoter.domain.policy import Rule
from promoter.domain.ports import AbandonedError, HeadMovedError, MovedOnError, PartlyDoneError, RolledBackError
from promoter.promotion.dependencies import Dependencies
from promoter.promotion.execute import AttemptState, put_under_lease
from promoter.promotion.idempotency import first_answer, replay
from promoter.promotion.preflight import (
    Plan,
    check_expectations,
    keep_order,
    pass_gate,
    read_state,
    resolve_digest,
    resumable_moves,
    still_ours,
    to_lease,
)
from promoter.promotion.recovery import recover_in_the_way


def promote(promotion: Promotion, dependencies: Dependencies) -> Promoted:
    """Carry out the promotion, or say why not. A repeat is not an error: it gets the first answer.

    One read for the source and all target tags, what the rule's gate asks for, then the lease of the tags that
    have to move, one write for each, and the record. Raises an InvalidRequest or a Refusal before anything is
    written, or a Failure whose `moves` are the tags that were put before it happened. Final outcomes are recorded.
    Retryable failures are recorded only after the lease was taken. A promotion by event waits for the end of a
    freeze: it has not ended, and is not recorded.
    """
    try:
        return patiently(promotion, dependencies)
    except PromoterError as error:
        if error.recorded or error.unsettled or promotion.dry_run or isinstance(error, InvalidRequest):
            raise  # what is unsettled has a record already, which is recovered when its lease is over
        if error.retryable or (isinstance(error, Frozen) and promotion.trigger is Trigger.SCAN):
            return replay_or_raise(promotion, error, dependencies)
        return first_answer(documents.opened(promotion), error, dependencies)


def replay_or_raise(promotion: Promotion, error: PromoterError, dependencies: Dependencies) -> Promoted:
    """Replay the first answer of a request whose Idempotency-Key was used before; otherwise raise the error."""
    if promotion.fingerprint and promotion.trigger is Trigger.REQUEST and not isinstance(error, LedgerError):
        earlier = dependencies.ledger.earlier(documents.opened(promotion))
        if earlier is not None and documents.is_final(earlier):
            return replay(earlier, dependencies)
    raise error


def patiently(promotion: Promotion, dependencies: Dependencies) -> Promoted:
    """Attempt the promotion until no other one is in the way, or until `patience` is over."""
    state, deadline = AttemptState(), dependencies.now() + dependencies.patience
    while True:
        try:
            return attempt(promotion, state, dependencies)
        except HeadMovedError as moved:
            state.versions = {**state.versions, **moved.versions}
            in_the_way = TagBusy(f"{moved} while it was looked at; try again")
        except PartlyDoneError as partly:
            state.earlier = partly.record
            in_the_way = TagBusy("another try of this promotion is under way; try again")
        except RolledBackError as back:
            raise Superseded(
                f"tag {back} was rolled back from this image; send a request to put it again"
            ) from None
        except MovedOnError as moved_on:
            raise TagChanged(
                f"tag {moved_on} was promoted again since: a rollback takes back only its last promotion. "
                "Look again before you roll back"
            ) from None
        except AbandonedError as abandoned:
            recover_in_the_way(abandoned, promotion.repository, dependencies)
            in_the_way = TagBusy("an interrupted promotion of the tag is being settled; try again")
        except TagBusy as busy:
            in_the_way = busy
        if dependencies.now() > deadline:
            raise in_the_way
        dependencies.pause(random.uniform(0.05, 0.3))  # noqa: S311 - spreads those who wait


def attempt(promotion: Promotion, state: AttemptState, dependencies: Dependencies) -> Promoted:
    """Read, judge, lease and put, once."""
    pinned = resolve_digest(promotion, dependencies)
    rule, tags = admit(pinned, dependencies)
    try:
        manifest, images, current_digests = read_state(pinned, tags, dependencies)
    except SourceNotFound:
        if pinned is not promotion:  # we have pinned it ourselves, a moment ago
            raise TagBusy("the source tag moved while it was read; try again") from None
        raise
    resumed_moves = still_ours(resumable_moves(state.earlier, images, current_digests), pinned, dependencies)
    plan = Plan(
        rule,
        manifest,
        images,
        current_digests,
        resumed_moves,
        to_lease(pinned, images, current_digests, resumed_moves, dependencies),
    )
    try:
        check(pinned, plan, state, dependencies)
    except SourceNotFound:
        if pinned.source.manifest is not None:  # brought along, and never pushed
            raise
        # It was there a moment ago: what that means, the next read says.
        raise TagBusy("an image was deleted while it was looked at; try again") from None
    if promotion.dry_run or not plan.leased:
        return record_noop(pinned, plan, state, dependencies)
    return put_under_lease(pinned, plan, state, dependencies)


def check(promotion: Promotion, plan: Plan, state: AttemptState, dependencies: Dependencies) -> None:
    """Check expectations, gate and order before tags move. The gate judges the same image only once."""
    try:
        check_expectations(promotion, plan)
    except TagChanged:
        check_not_partly_done(promotion, state, dependencies)
        raise
    if plan.rule.gate is not None and not promotion.undoes and state.passed != plan.manifest.digest:
        pass_gate(plan.rule, plan.rule.gate, promotion, plan.manifest, dependencies)
        state.passed = plan.manifest.digest
    keep_order(promotion, plan.manifest, plan.current_digests, dependencies)


def admit(promotion: Promotion, dependencies: Dependencies) -> tuple[Rule, tuple[str, ...]]:
    """Return the rule to go by and the tags to put. Raises NotAllowed, InvalidRequest or Frozen."""
    if promotion.undoes:
        rule, tags = dependencies.policy.admit_rollback(promotion), promotion.image_tags or ()
    else:
        rule, tags = dependencies.policy.admit(promotion)
    if promotion.override is None:
        dependencies.policy.check_not_frozen(
            rule, promotion, now=dependencies.now(), stops=dependencies.ledger.freezes()
        )
    return rule, tags


def check_not_partly_done(promotion: Promotion, state: AttemptState, dependencies: Dependencies) -> None:
    """Raise PartlyDoneError if the tags are elsewhere because an earlier try of this promotion has put them."""
    if state.earlier is None and not promotion.dry_run:
        earlier = dependencies.ledger.earlier(documents.opened(promotion))
        if earlier is not None and not documents.is_final(earlier):
            raise PartlyDoneError(earlier)


def record_noop(promotion: Promotion, plan: Plan, state: AttemptState, dependencies: Dependencies) -> Promoted:
    """Answer and record a promotion that moves nothing; a dry run is only answered."""
    moves = tuple(plan.resumed_moves.get(tag) or plan.planned(tag) for tag in plan.current_digests)
    answer = Promoted(
        promotion.promotion_id, plan.rule.name, promotion.repository, plan.manifest, moves, others=plan.others
    )
    if promotion.dry_run:
        return answer
    return first_answer(documents.opened(promotion), answer, dependencies, state.earlier)
