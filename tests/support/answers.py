"""Promotions for tests that expect either the success or one certain error."""

from __future__ import annotations

from promoter.domain.answers import NotPromoted, Waiting
from promoter.domain.model import Promoted, Promotion
from promoter.domain.records import Record
from promoter.promotion import promote as use_case
from promoter.promotion.dependencies import Dependencies


def promote(promotion: Promotion, dependencies: Dependencies) -> Promoted:
    """Carry out the promotion. Raises the error of one that was refused or failed."""
    answer = use_case.promote(promotion, dependencies)
    if isinstance(answer, NotPromoted):
        raise answer.error
    assert isinstance(answer, Promoted), f"it waits: {answer}"
    return answer


def stopped(promotion: Promotion, dependencies: Dependencies) -> NotPromoted:
    """Return the answer of a promotion that is expected to be refused or to fail."""
    answer = use_case.promote(promotion, dependencies)
    assert isinstance(answer, NotPromoted), f"carried out: {answer}"
    return answer


def held(promotion: Promotion, dependencies: Dependencies) -> Record:
    """Return the record of a promotion that is expected to wait."""
    answer = use_case.promote(promotion, dependencies)
    assert isinstance(answer, Waiting), f"it does not wait: {answer}"
    return answer.record
