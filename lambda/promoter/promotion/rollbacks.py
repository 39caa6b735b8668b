"""Rollbacks: from what a caller wants to take back to the promotion that does it."""

from __future__ import annotations

from promoter.domain import rollback
from promoter.domain.decision import require_rollback_operator
from promoter.domain.errors import PromotionNotFound
from promoter.domain.model import Promotion, Repository
from promoter.domain.records import Record
from promoter.domain.rollback import Undo
from promoter.domain.waiting import as_of
from promoter.promotion.dependencies import Dependencies
from promoter.promotion.recovery import recover


def plan_rollback(promotion_id: str, undo: Undo, dependencies: Dependencies) -> Promotion:
    """Return the promotion that takes another one back; an interrupted one is recovered first.

    Raises PromotionNotFound, NotAllowed, InvalidRequest where there is nothing to take back, or TagBusy.
    """
    record = as_of(dependencies.history.promotion(promotion_id), dependencies.now())
    return _plan(record, undo, dependencies)


def plan_tag_rollback(
    repository: Repository,
    image_tag: str,
    expected_digest: str,
    undo: Undo,
    dependencies: Dependencies,
    *,
    is_repeat_possible: bool,
) -> Promotion:
    """Return the promotion that takes back the last promotion of a tag, which put it on `expected_digest`.

    `is_repeat_possible`: the call has an Idempotency-Key. A repeat takes back what the first call did, which is no
    longer the last promotion of the tag. Raises what `plan_rollback` raises, and TagChanged.
    """
    if is_repeat_possible and (record := _taken_back_before(undo.promotion_id, dependencies)):
        return _plan(record, undo, dependencies)
    head = dependencies.heads.head(repository, image_tag)
    if head is None:
        raise PromotionNotFound(f"No promotion of tag {image_tag} of {repository.name} is known.")
    record = dependencies.history.promotion(head.promotion_id)
    rollback.require_last(record, head, expected_digest)
    return _plan(record, undo, dependencies)


def _taken_back_before(promotion_id: str, dependencies: Dependencies) -> Record | None:
    try:
        earlier = dependencies.history.promotion(promotion_id)
        return dependencies.history.promotion(earlier.undoes) if earlier.undoes else None
    except PromotionNotFound:
        return None


def _plan(record: Record, undo: Undo, dependencies: Dependencies) -> Promotion:
    """Check that an operator asks where only one may; a rule's refusal is recorded, by the promotion itself."""
    require_rollback_operator(
        record.rule,
        undo.caller,
        policy=dependencies.policy,
        operators=dependencies.operators,
        is_override=undo.override is not None,
    )
    if record.outcome is None and recover(record.promotion_id, dependencies):
        record = dependencies.history.promotion(record.promotion_id)
    return rollback.promotion(record, undo)
