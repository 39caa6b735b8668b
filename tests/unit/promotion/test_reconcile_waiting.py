"""Promotions that wait are tried by reconcile when they are due, and end with what they waited for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from promoter.domain import rollback
from promoter.domain.errors import RegistryError, Superseded
from promoter.domain.findings import Finding, Scan
from promoter.domain.model import Outcome
from promoter.domain.rule import Freeze
from promoter.domain.waiting import LONGEST
from promoter.promotion.reconcile import Reconciled
from tests.support.answers import promote
from tests.support.ledgers import InMemoryWaiting
from tests.support.policies import gate, policy, rule
from tests.unit.promotion.test_reconcile import EVERY, IMAGE, NOW, OTHER, Resumed, World, promotions_of, reconcile


@pytest.fixture
def world() -> World:
    return World()


def test_a_scan_whose_event_never_came_is_found(world: World) -> None:
    """Events are best effort; the promotion is carried out, recorded and announced, and waits no longer."""
    waits = world.wait()
    assert world.run() == Reconciled(waiting=1)
    world.scanned()

    assert world.run() == Reconciled(finished=1)

    assert world.registry.tags["staging"] == IMAGE
    assert world.ledger.records[waits.promotion_id].outcome is Outcome.PROMOTED
    assert world.ledger.outcomes() == ["PROMOTED"]
    assert world.run() == Reconciled()


def test_a_promotion_that_waits_is_tried_less_often_the_longer_it_waits(world: World) -> None:
    """At first after ten minutes, in which its event may still arrive; never more than half an hour apart."""
    world.policy = policy(
        rule(name="staging", on="scan", to=["staging"], gate=gate(signed=True), **{"from": "b.*"})
    )
    world.wait()

    tried = [minute for minute in range(1, 24 * 60) if world.run(after=timedelta(minutes=1)).waiting]

    pauses = [later - earlier for earlier, later in pairwise(tried)]
    assert tried[0] == 10
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (10, 30)


def test_what_is_not_due_is_not_tried(world: World) -> None:
    """Its event has time to come: a run right after the push asks for no findings."""
    world.wait()
    asked = len(world.facts.asked)

    assert world.run(after=timedelta(minutes=5)) == Reconciled()

    assert len(world.facts.asked) == asked


def test_a_waiting_promotion_ends_as_unchanged_where_all_is_done(world: World) -> None:
    """Somebody else has put the tags: its record has to end, and says that nothing was moved."""
    waits = world.wait()
    world.scanned()
    world.registry.tags["staging"] = IMAGE

    assert world.run() == Reconciled(finished=1)

    assert world.registry.puts == []
    assert world.ledger.records[waits.promotion_id].outcome is Outcome.UNCHANGED


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("refused", "gate_refused"),
        ("moved on", "superseded"),
        ("deleted", "superseded"),
        ("no rule", "not_allowed"),
    ],
)
def test_a_waiting_promotion_ends_where_there_is_nothing_to_wait_for(world: World, change: str, code: str) -> None:
    """The image is refused, its tag has moved on, or no rule serves it: told as its event would have been."""
    waits = world.wait()
    if change == "refused":
        world.scanned(Scan("COMPLETE", (Finding("CVE-1", "HIGH", ("a",)),)))
    if change == "moved on":
        world.registry.tags["build-1"] = OTHER
    if change == "deleted":
        del world.registry.tags["build-1"]
    if change == "no rule":
        world.policy = policy(rule(name="prod", to=["prod"]))

    assert world.run() == Reconciled(finished=1)

    record = world.ledger.records[waits.promotion_id]
    assert (record.outcome, record.code) == ("REFUSED", code)
    assert world.ledger.outcomes() == ["REFUSED"]
    assert "staging" not in world.registry.tags


def test_a_freeze_is_waited_for_however_long_it_lasts(world: World) -> None:
    """What waited for its end is carried out then; until then nothing is announced."""
    world.scanned()
    world.ledger.stops.append(Freeze(NOW - timedelta(days=1), None, "incident", None, None, by="ann"))
    waits = world.wait()

    for _ in range(30):
        assert world.run(after=timedelta(days=1)) == Reconciled(waiting=1)
        wait = world.ledger.records[waits.promotion_id].wait
        assert wait is not None
        assert wait.until >= world.now + LONGEST / 2
    assert world.ledger.announced == []

    world.ledger.stops.clear()
    assert world.run(after=timedelta(minutes=30)) == Reconciled(finished=1)
    assert world.ledger.outcomes() == ["PROMOTED"]


def test_a_promotion_is_tried_when_its_freeze_ends(world: World) -> None:
    """That is known beforehand."""
    world.scanned()
    world.ledger.stops.append(Freeze(NOW, NOW + timedelta(minutes=4), "deployment", None, None))
    world.wait()

    assert world.run(after=timedelta(minutes=3)) == Reconciled()
    assert world.run(after=timedelta(minutes=2)) == Reconciled(finished=1)
    assert world.registry.tags["staging"] == IMAGE


def test_a_frozen_promotion_that_its_gate_refuses_does_not_wait_for_the_freeze(world: World) -> None:
    """Waiting would not help it, and its findings are news."""
    world.ledger.stops.append(Freeze(NOW - timedelta(days=1), None, "incident", None, None))
    world.wait()
    world.scanned(Scan("COMPLETE", (Finding("CVE-1", "HIGH", ("a",)),)))

    assert world.run() == Reconciled(finished=1)
    assert [record.code for record in world.ledger.announced] == ["gate_refused"]


def test_what_has_waited_for_as_long_as_it_may_ends_as_expired(world: World) -> None:
    """After fourteen days without a signature; whoever reads it before that run is told so already."""
    world.policy = policy(
        rule(name="staging", on="scan", to=["staging"], gate=gate(signed=True), **{"from": "b.*"})
    )
    waits = world.wait()
    assert world.run(after=LONGEST - timedelta(minutes=1)) == Reconciled(waiting=1)
    assert world.ledger.announced == []

    assert world.run(after=timedelta(minutes=2)) == Reconciled(finished=1)

    record = world.ledger.records[waits.promotion_id]
    assert (record.outcome, record.code) == ("REFUSED", "expired")
    assert [reason.code for reason in record.reasons] == ["unsigned"]
    assert f"until {NOW + LONGEST:%Y-%m-%dT%H:%M:%SZ} for unsigned" in f"{record.detail}"
    assert world.ledger.outcomes() == ["REFUSED"]


def test_a_run_says_how_long_the_oldest_has_waited_for_what_may_never_come(world: World) -> None:
    """A scan or a signature may never come: the alarm rings. The end of a freeze is certain."""
    world.wait()
    assert world.run().longest_wait == EVERY
    assert world.run(after=timedelta(minutes=31)).longest_wait == EVERY + timedelta(minutes=31)

    world.scanned()
    world.ledger.stops.append(Freeze(NOW, None, "incident", None, None))
    assert world.run(after=timedelta(minutes=31)).longest_wait == timedelta()


def test_what_was_taken_back_stays_taken_back(world: World) -> None:
    """A promotion that waits, or a scan that comes late, does not bring the image again; a request does."""
    registry, facts, ledger = world.registry, world.facts, world.ledger
    registry.tags |= {"staging": OTHER, "build-0": OTHER}
    facts.pushes[OTHER.digest] = NOW - timedelta(days=1)
    waits = world.wait()
    facts.scans |= {IMAGE.digest: Scan("COMPLETE"), OTHER.digest: Scan("COMPLETE")}
    (promotion,) = promotions_of("event-1")
    assert promote(promotion, world.here).outcome is Outcome.PROMOTED
    promote(
        rollback.promotion(ledger.records[promotion.promotion_id], rollback.Undo("p-back", "ann", None)),
        world.here,
    )
    assert registry.tags["staging"] == OTHER

    assert world.run() == Reconciled(finished=1)
    assert ledger.records[waits.promotion_id].code == "superseded"
    (late,) = promotions_of("event-2")
    with pytest.raises(Superseded, match="rolled back"):
        promote(late, world.here)

    assert registry.tags["staging"] == OTHER
    assert ledger.outcomes() == ["PROMOTED", "PROMOTED", "REFUSED", "REFUSED"]


def test_a_promotion_that_waits_is_not_announced(world: World) -> None:
    """However often it is tried: it has not ended."""
    world.wait()
    for _ in range(3):
        world.run()

    assert world.ledger.announced == []


def test_a_waiting_promotion_that_fails_is_a_failure_of_the_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits on and is tried again, for days: somebody has to know."""
    waits = world.wait()
    world.scanned()

    def put(*_: Any) -> bool:
        raise RegistryError("AccessDenied")

    monkeypatch.setattr(world.registry, "put", put)

    for _ in range(2):
        assert world.run() == Reconciled(waiting=1, failures=("AccessDenied",), failed=1)
    assert world.ledger.records[waits.promotion_id].waiting_for == ("registry_error",)
    assert world.ledger.announced == []


def test_waiting_promotions_that_fail_do_not_hide_those_behind_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are, and whatever it is that fails."""
    monkeypatch.setattr(InMemoryWaiting, "due", lambda *_: iter(f"p-{number}" for number in range(250)))
    (promotion,) = promotions_of("push-1")

    def resume(promotion_id: str) -> Resumed:
        if promotion_id != "p-249":
            raise RegistryError("stuck")
        return promotion, promote(promotion, world.here)

    world.scanned()
    done = reconcile(world.here, resume)

    assert (done.finished, done.failed, done.failures) == (1, 249, ("stuck",))


def test_a_waiting_promotion_that_somebody_else_has_ended_is_not_counted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event was faster."""

    def due(*_: Any) -> Iterator[str]:
        yield "p-gone"

    monkeypatch.setattr(InMemoryWaiting, "due", due)

    assert world.run() == Reconciled()
