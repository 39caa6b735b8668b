"""Deferred promotions that an event ends while reconcile tries them."""

from __future__ import annotations

from promoter.domain.model import ImageId
from promoter.domain.ports import DeferredPromotions
from promoter.domain.records import DeferredPromotion
from tests.adapters.test_deferred import INDEX, PLACE, A, deferred_promotions, either

__all__ = ["deferred_promotions", "either"]


def test_a_deferred_promotion_that_its_event_has_ended_meanwhile_can_be_touched(
    either: DeferredPromotions,
) -> None:
    """It stays ended. Two such runs in a row would raise the alarm ReconcileFailures."""
    deferred = DeferredPromotion(PLACE, A, ImageId("build-1", INDEX))
    either.add(PLACE, deferred.waiting, [A])
    either.remove(deferred)

    either.touch(deferred, extend=True)

    assert either.waiting_for(PLACE, A) == ()


def test_a_deferred_promotion_names_manifests_on_both_of_its_sides(either: DeferredPromotions) -> None:
    """Scanners finish in the order of an index as well as in the opposite one.

    With those behind it alone, each of the last platforms' scans would look at all platforms: N of them a scan.
    """
    digests = [f"sha256:{n:064x}" for n in range(32)]
    waiting = ImageId("build-1", INDEX)
    either.add(PLACE, waiting, digests)

    for digest in reversed(digests[1:]):
        deferred = DeferredPromotion(PLACE, digest, waiting)
        assert either.besides(deferred), f"nothing is known of what {waiting} waits for beside {digest}"
        either.remove(deferred)
