"""The last promotion of an event that an invocation begins."""

from __future__ import annotations

from datetime import timedelta

from promoter.domain.limits import PATIENCE_SECONDS
from promoter.handler import ENOUGH_TO_PROMOTE
from promoter.promotion.reconcile import CALLS


def test_a_promotion_is_begun_only_where_its_waits_fit_in() -> None:
    """It may wait twice, for the lease of its tags and for PutImage's quota: as long as `reconcile` reckons with.

    One that begins with less is cut off by the time-out in the middle of its lease, the event comes again as a
    whole after three minutes, and after five such tries it is a dead letter without a cause: in a burst, when all
    promotions wait, that is what happens to the events with many tags.
    """
    assert timedelta(milliseconds=ENOUGH_TO_PROMOTE) >= 2 * timedelta(seconds=PATIENCE_SECONDS) + CALLS
