"""The use case: put target tags on exactly the source's bytes, if the policy admits it; and keep a record."""

from __future__ import annotations

from promoter.domain.answers import Answer, NotPromoted, Waiting
from promoter.domain.errors import Expired, PromoterError
from promoter.domain.leasing import Waits
from promoter.domain.model import Promotion
from promoter.domain.waiting import has_expired
from promoter.promotion.attempt import Held, attempt_patiently
from promoter.promotion.dependencies import Dependencies
from promoter.promotion.idempotency import record_refusal
from promoter.promotion.plan import AttemptState


def promote(promotion: Promotion, dependencies: Dependencies) -> Answer:
    """Carry out the promotion, accept it to wait, or say why not. A repeat gets the first answer.

    One read for the source and all target tags, what the rule's gate asks for, then the lease of the tags that
    have to move, one write for each, and the record. Nothing is written before all checks have passed.
    """
    try:
        answer = _promote(promotion, dependencies)
        if _record_expiry(answer, dependencies) and not _is_over(promotion, dependencies):
            answer = _promote(promotion, dependencies)
    except PromoterError as error:
        return NotPromoted(error)
    return answer


def _promote(promotion: Promotion, dependencies: Dependencies) -> Answer:
    try:
        return _attempted(promotion, dependencies)
    except PromoterError as error:
        return record_refusal(promotion, error, dependencies)


def _attempted(promotion: Promotion, dependencies: Dependencies) -> Answer:
    attempted = attempt_patiently(promotion, AttemptState(), dependencies)
    if not isinstance(attempted, Held | Waits):
        return attempted
    from promoter.promotion import acceptance, waiting  # loaded where something waits

    if isinstance(attempted, Held):
        return acceptance.accept(promotion, attempted, dependencies)
    return waiting.carry_on(attempted.record, dependencies)


def _record_expiry(answer: Answer, dependencies: Dependencies) -> bool:
    """If this is the answer of an earlier call whose wait has expired, have that recorded; say whether it is.

    Such an answer is not kept under its Idempotency-Key: the same key runs the promotion again.
    """
    if isinstance(answer, Waiting) and has_expired(answer.record, dependencies.now()):
        from promoter.promotion import waiting

        answer = waiting.carry_on(answer.record, dependencies)
    return isinstance(answer, NotPromoted) and isinstance(answer.error, Expired)


def _is_over(promotion: Promotion, dependencies: Dependencies) -> bool:
    """Say whether the time is over for which the promotion itself may wait."""
    return promotion.wait is not None and promotion.wait.until <= dependencies.now()
