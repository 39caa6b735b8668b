"""Watches that an event ends while reconcile looks at them."""

from __future__ import annotations

from promoter.domain.model import ImageId, Watch
from promoter.domain.ports import Watches
from tests.adapters.test_watches import INDEX, PLACE, A, either, watches

__all__ = ["either", "watches"]


def test_a_watch_that_its_event_has_ended_meanwhile_can_be_touched(either: Watches) -> None:
    """It stays ended. Two such runs in a row would raise the alarm ReconcileFailures."""
    watch = Watch(PLACE, A, ImageId("build-1", INDEX))
    either.add(PLACE, watch.waiting, [A])
    either.remove(watch)

    either.touch(watch, extend=True)

    assert either.waiting_for(PLACE, A) == ()


def test_a_watch_names_manifests_on_both_of_its_sides(either: Watches) -> None:
    """Scanners finish in the order of an index as well as in the opposite one.

    With those behind it alone, each of the last platforms' scans would look at all platforms: N of them a scan.
    """
    digests = [f"sha256:{n:064x}" for n in range(32)]
    waiting = ImageId("build-1", INDEX)
    either.add(PLACE, waiting, digests)

    for digest in reversed(digests[1:]):
        watch = Watch(PLACE, digest, waiting)
        assert either.besides(watch), f"nothing is known of what {waiting} waits for beside {digest}"
        either.remove(watch)
