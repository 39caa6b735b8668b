"""A waiting promotion that is killed at any step: it ends once, and is not lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from local.aws import LocalAws
from promoter.domain.answers import Answer, Waiting
from promoter.domain.findings import Scan
from promoter.domain.model import Outcome, Wait
from promoter.domain.ports import WakeUps
from promoter.domain.records import Record
from promoter.promotion import waiting
from promoter.promotion.dependencies import Dependencies
from promoter.promotion.promote import promote
from promoter.promotion.recovery import recover
from tests.adapters.killing import Killed, dying
from tests.adapters.test_crashes import NEW, NEXT, OLD, Kept, promotion, reconcile
from tests.adapters.test_ledger import Clock
from tests.support.ledgers import dependencies
from tests.support.policies import gate, policy, rule
from tests.support.registries import REPOSITORY, InMemoryRegistry, KnownImageFacts

GATED = policy(rule(to_matching=[".*"], gate=gate(findings={"CRITICAL": 0})))
ACCEPTING = [(number, when) for number in range(2) for when in ("before", "after")]  # accept, add
RESUMING = [(number, when) for number in range(4) for when in ("before", "after")]  # begin, put, put, finish
CLEAN = Scan("COMPLETE")
DAY = timedelta(days=1)
Point = tuple[int, str]


class World:
    """A request that waits for the scan of its image, in a table of its own."""

    def __init__(self, kept: Kept) -> None:
        self.kept = kept
        self.registry = InMemoryRegistry({"a": OLD, "new": NEW, "next": NEXT})
        self.facts = KnownImageFacts(scans={NEW.digest: Scan("IN_PROGRESS"), NEXT.digest: CLEAN})
        self.facts.pushes = {image.digest: kept.clock.time - DAY for image in (OLD, NEW, NEXT)}
        self.asked = promotion("new", wait=Wait(kept.clock() + DAY), caller="arn:x", fingerprint="f")

    @property
    def here(self) -> Dependencies:
        """The dependencies, as a process of its own has them."""
        made = dependencies(GATED, self.registry, self.facts, now=self.kept.clock, pause=self.pause)
        return replace(made, **self.kept.roles)

    def pause(self, seconds: float) -> None:
        self.kept.clock.time += timedelta(seconds=seconds)

    @property
    def record(self) -> Record:
        return self.kept.history.promotion(self.asked.promotion_id)

    def accepted(self) -> None:
        assert isinstance(promote(self.asked, self.here), Waiting)

    def scanned(self) -> None:
        self.facts.scans[NEW.digest] = CLEAN

    def killed(self, point: Point, act: Callable[[Dependencies], object]) -> None:
        """Act in a process that is killed at this point."""
        with suppress(Killed):
            act(dying(self.here, point))
            pytest.fail("it was to be killed")

    def resume(self, here: Dependencies | None = None) -> Answer | None:
        resumed = waiting.resume(self.asked.promotion_id, here or self.here)
        return resumed[1] if resumed else None

    def put(self) -> list[str]:
        return [tag for tag in ("a", "b") if self.registry.tags.get(tag) == NEW]

    def moved(self) -> list[str]:
        """Return the tags that the record says were put."""
        return [move.image_tag for move in self.record.moves if move.outcome is Outcome.PROMOTED]

    def announced(self) -> Counter[str]:
        """Return what was announced of the request."""
        return Counter(outcome for name, outcome in self.kept.announced() if name == self.asked.promotion_id)

    def time_passes(self, time: timedelta = timedelta(minutes=31)) -> None:
        """No lease and no pause is as long."""
        self.kept.clock.time += time
        reconcile(self.here)


@pytest.fixture
def world(local_aws: LocalAws, table: str) -> World:
    return World(Kept(local_aws, table, Clock(datetime.now(UTC))))


def by_event(world: World) -> None:
    """The event of the scan wakes it, if it has got as far as that; and reconcile runs."""
    wake_ups: WakeUps = world.here.wake_ups
    for wake_up in wake_ups.of(REPOSITORY, NEW.digest):
        assert wake_up.promotion_id == world.asked.promotion_id
        world.resume()
    world.time_passes()
    world.time_passes()


def by_schedule(world: World) -> None:
    """No event comes."""
    world.time_passes()
    world.time_passes()


def by_repeat(world: World) -> None:
    """The pipeline sends its request again under its Idempotency-Key, with or without `wait`."""
    world.pause(31)
    for wait in (None, world.asked.wait):
        promote(replace(world.asked, wait=wait), world.here)


WAYS = [by_event, by_schedule, by_repeat]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("point", ACCEPTING, ids=str)
def test_a_request_that_was_accepted_is_carried_out_once(
    world: World, point: Point, way: Callable[[World], None]
) -> None:
    """Killed when it was accepted; one that was not accepted yet is as if it had never been sent."""
    world.killed(point, lambda here: promote(world.asked, here))
    world.scanned()
    assert world.put() == []

    way(world)

    if point == (0, "before") and way is not by_repeat:
        assert (world.put(), world.announced()) == ([], {})
        return
    assert world.put() == world.moved() == ["a", "b"]
    waited = point != (0, "before")
    assert world.announced() == Counter(["PROMOTED"] + ["WAITING"] * waited)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("point", RESUMING, ids=str)
def test_a_waiting_promotion_that_is_killed_while_it_is_carried_out_ends_once(
    world: World, point: Point, way: Callable[[World], None]
) -> None:
    """Whatever finds it then: its tags are put, and its record says so."""
    world.accepted()
    world.scanned()
    world.killed(point, world.resume)

    way(world)

    assert world.put() == world.moved() == ["a", "b"]
    assert world.record.outcome is Outcome.PROMOTED
    assert world.announced() == {"WAITING": 1, "PROMOTED": 1}
    assert list(world.here.ledger.abandoned()) == []
    assert world.resume() is None


@pytest.mark.parametrize("wait", [True, False])
@pytest.mark.parametrize("point", RESUMING, ids=str)
def test_a_newer_promotion_after_a_crash_is_not_taken_back(world: World, point: Point, wait: bool) -> None:
    """The older one ends without another tag; what it had put stays in its record."""
    world.accepted()
    world.scanned()
    world.killed(point, world.resume)
    put = world.put()
    world.pause(31)
    newer = promotion("next", wait=Wait(world.kept.clock() + DAY) if wait else None)

    assert promote(newer, world.here).outcome is Outcome.PROMOTED
    by_event(world)

    assert world.registry.tags["a"] == world.registry.tags["b"] == NEXT
    assert set(world.moved()) == set(put)
    ended = Outcome.PROMOTED if put == ["a", "b"] else Outcome.REFUSED
    assert (world.record.outcome, world.announced()) == (ended, {"WAITING": 1, ended: 1})


@pytest.mark.parametrize("point", RESUMING, ids=str)
def test_a_cancelled_promotion_moves_no_tag_after_a_crash(world: World, point: Point) -> None:
    """Once it waits again it can be cancelled; then nothing wakes it."""
    world.accepted()
    world.scanned()
    world.killed(point, world.resume)
    put = world.put()
    world.kept.clock.time += timedelta(seconds=31)
    for promotion_id in world.here.ledger.abandoned():
        recover(promotion_id, world.here)
    if world.record.outcome is not Outcome.WAITING:
        assert put == ["a", "b"]
        return

    waiting.cancel(world.record, "arn:x", world.here)
    by_event(world)

    assert world.put() == world.moved() == put
    assert world.record.code == "cancelled"
    assert world.announced() == {"WAITING": 1, "REFUSED": 1}


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_cancel_that_is_killed_can_be_repeated(world: World, when: str) -> None:
    """It is recorded once."""
    world.accepted()
    record = world.record
    world.killed((0, when), lambda here: waiting.cancel(record, "arn:x", here))

    cancelled = waiting.cancel(world.record, "arn:x", world.here)

    world.scanned()
    by_event(world)
    assert cancelled.code == world.record.code == "cancelled"
    assert (world.put(), world.announced()) == ([], {"WAITING": 1, "REFUSED": 1})


@pytest.mark.parametrize("point", RESUMING, ids=str)
def test_a_promotion_that_expires_after_a_crash_keeps_what_it_has_put(world: World, point: Point) -> None:
    """Nobody came for a day. It ends once, and no tag moves any more."""
    world.accepted()
    world.scanned()
    world.killed(point, world.resume)
    put = world.put()

    world.time_passes(2 * DAY)
    world.time_passes()

    assert world.put() == world.moved() == put
    done = put == ["a", "b"]
    assert world.record.code == (None if done else "expired")
    assert world.announced() == {"WAITING": 1, "PROMOTED" if done else "REFUSED": 1}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(6))
def test_a_try_that_finds_it_still_waiting_may_be_killed(world: World, number: int, when: str) -> None:
    """It is tried again: by the event, or by the schedule."""
    world.accepted()
    for wake_up in world.here.wake_ups.of(REPOSITORY, NEW.digest):
        world.here.wake_ups.mark_served(wake_up)
    with suppress(Killed):
        world.resume(dying(world.here, (number, when)))
    assert (world.put(), world.record.outcome) == ([], Outcome.WAITING)
    world.scanned()

    by_event(world)

    assert world.put() == world.moved() == ["a", "b"]
    assert world.announced() == {"WAITING": 1, "PROMOTED": 1}
