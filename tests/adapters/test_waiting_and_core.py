"""Promotions that wait on both ledgers: what attempts before and beside them leave behind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from promoter.domain.answers import Answer, NotPromoted, Waiting
from promoter.domain.errors import Throttled
from promoter.domain.findings import Finding, Scan
from promoter.domain.model import (
    ImageId,
    Manifest,
    Outcome,
    Promoted,
    Promotion,
    Repository,
    Source,
    Trigger,
    Wait,
)
from promoter.domain.rule import Freeze
from promoter.promotion.dependencies import Dependencies
from promoter.promotion.promote import promote
from promoter.promotion.waiting import cancel, resume
from tests.adapters.killing import Killed, mortal
from tests.adapters.test_ledger import PLACE, Clock, clock, kept, roles
from tests.support.ledgers import dependencies
from tests.support.policies import gate, policy, rule
from tests.support.registries import FailingRegistry, KnownImageFacts, manifest

__all__ = ["clock", "kept", "roles"]

NEW, OLD, OTHER = manifest('{"new": 1}'), manifest('{"old": 1}'), manifest('{"other": 1}')
CLEAN, PENDING = Scan("COMPLETE"), Scan("IN_PROGRESS")
CRITICAL = Scan("COMPLETE", (Finding("CVE-1", "CRITICAL", ("openssl",)),))
GATE = gate(findings={"CRITICAL": 0})
POLICY = policy(
    rule(name="gated", to=["a", "b"], gate=GATE),
    rule(name="staging", on="scan", to=["a", "b"], gate=GATE, **{"from": "new"}),
)
DAY = timedelta(days=1)


@dataclass
class Stops:
    """The freezes that operators set."""

    stops: list[Freeze] = field(default_factory=list)

    def known(self) -> Sequence[Freeze]:
        return self.stops


@dataclass
class Meanwhile(KnownImageFacts):
    """Something else happens while a scan is read, once."""

    happens: Callable[[], None] | None = None

    def scan(self, repository: Repository, image_digest: str) -> Scan:
        found, happens = super().scan(repository, image_digest), self.happens
        self.happens = None
        if happens:
            happens()
        return found


@dataclass
class World:
    """Two tags on an old image, a new one that is scanned, and everything that may be in its way."""

    roles: dict[str, Any]
    clock: Clock
    stops: Stops = field(default_factory=Stops)
    facts: Meanwhile = field(default_factory=lambda: Meanwhile(scans={NEW.digest: CLEAN, OTHER.digest: CLEAN}))
    registry: FailingRegistry = field(
        default_factory=lambda: FailingRegistry({"a": OLD, "b": OLD, "new": NEW, "other": OTHER})
    )

    @property
    def here(self) -> Dependencies:
        made = dependencies(POLICY, self.registry, self.facts, now=self.clock, pause=self._pause)
        return replace(made, **self.roles | {"freezes": self.stops})

    def _pause(self, seconds: float) -> None:
        self.clock.time += timedelta(seconds=seconds)

    def half_done(self, promotion: Promotion) -> None:
        """Put `a`, and fail at `b`."""
        self.registry.failing_tag, self.registry.failure = "b", Throttled("slow down")
        answer = promote(promotion, self.here)
        assert isinstance(answer, NotPromoted), answer
        assert self.moves(promotion) == {"a": "PROMOTED"}
        self.registry.failure = None

    def moves(self, promotion: Promotion) -> dict[str, str]:
        """Return how each tag stands in the promotion's record."""
        record = self.here.history.promotion(promotion.promotion_id)
        return {move.image_tag: move.outcome for move in record.moves}


@pytest.fixture
def world(roles: dict[str, Any], clock: Clock) -> World:
    world = World(roles, clock)
    world.facts.pushes = {image.digest: clock.time - DAY for image in (NEW, OLD, OTHER)}
    return world


def request(world: World, name: str = "p-1", source: str = "new", **members: Any) -> Promotion:
    """Ask for both tags, to be waited for."""
    usual: dict[str, Any] = {"caller": "arn:x", "fingerprint": "f", "wait": Wait(world.clock() + DAY)}
    place: dict[str, Any] = {"repository": PLACE, "source": Source(ImageId(source)), "image_tags": ("a", "b")}
    return Promotion(name, Trigger.REQUEST, **(place | usual | members))


def event(name: str = "p-1") -> Promotion:
    source = Source(ImageId("new", NEW.digest))
    return Promotion(name, Trigger.SCAN, PLACE, source, rule="staging")


def by_scan(world: World, image: Manifest = NEW) -> None:
    """The registry scans the image anew."""
    world.facts.scans[image.digest] = PENDING


def by_freeze(world: World) -> None:
    world.stops.stops.append(Freeze(world.clock(), None, "incident", None, None))


def passes(world: World) -> None:
    """Nothing is in the way any longer."""
    world.facts.scans[NEW.digest] = CLEAN
    world.stops.stops.clear()


def wait(promotion: Promotion, world: World) -> Waiting:
    """Promote; it waits."""
    answer = promote(promotion, world.here)
    assert isinstance(answer, Waiting), answer
    return answer


def woken(promotion: Promotion, world: World) -> Answer:
    """Try it again."""
    resumed = resume(promotion.promotion_id, world.here)
    assert resumed is not None
    return resumed[1]


@pytest.mark.parametrize("held", [by_scan, by_freeze])
@pytest.mark.parametrize("trigger", [Trigger.REQUEST, Trigger.SCAN])
def test_what_an_attempt_before_has_put_stays_in_the_record_of_the_wait(
    world: World, trigger: Trigger, held: Callable[[World], None]
) -> None:
    """The same call comes again, and has to wait. Its record says what it has put, until its end and after it."""
    again = request(world) if trigger is Trigger.REQUEST else event()
    world.half_done(replace(again, wait=None))
    held(world)

    wait(again, world)

    assert world.moves(again)["a"] == "PROMOTED"
    passes(world)
    assert isinstance(woken(again, world), Promoted)
    assert world.moves(again) == {"a": "PROMOTED", "b": "PROMOTED"}


@pytest.mark.parametrize("held", [by_scan, by_freeze])
def test_what_an_attempt_before_has_put_stays_in_the_record_of_a_cancelled_wait(
    world: World, held: Callable[[World], None]
) -> None:
    """Somebody may want to roll that back."""
    again = request(world)
    world.half_done(replace(again, wait=None))
    held(world)
    wait(again, world)

    cancel(world.here.history.promotion("p-1"), "arn:x", world.here)

    assert world.moves(again) == {"a": "PROMOTED"}


def test_two_tries_at_once_are_not_both_carried_out(world: World) -> None:
    """One finds that the scan is not finished, and then that the other one has begun: it says so."""
    by_scan(world)
    wait(request(world), world)

    def other_try() -> None:
        passes(world)
        ports = mortal({"ledger": world.here.ledger, "registry": world.registry}, (0, "after"))
        with pytest.raises(Killed):
            resume("p-1", replace(world.here, **ports))

    world.facts.happens = other_try
    answer = woken(request(world), world)

    assert isinstance(answer, NotPromoted), answer
    assert answer.error.code == "tag_busy"
    assert world.registry.tags["a"] == OLD


def test_a_refusal_at_the_second_look_is_recorded(world: World) -> None:
    """A tag moved while the promotion was being accepted; by then its scan has finished, with a finding."""
    by_scan(world)

    def tag_moves() -> None:
        other = promote(request(world, "p-2", "other", wait=None, fingerprint=""), world.here)
        assert isinstance(other, Promoted)
        world.facts.scans[NEW.digest] = CRITICAL

    world.facts.happens = tag_moves
    answer = promote(request(world), world.here)

    assert isinstance(answer, NotPromoted)
    assert answer.error.code == "gate_refused"
    record = world.here.history.promotion("p-1")
    assert (record.outcome, record.code) == (Outcome.REFUSED, "gate_refused")


def test_a_tag_that_moves_while_the_promotion_is_accepted_is_seen_where_it_is(world: World) -> None:
    """The move came first: it does not supersede the promotion."""
    by_scan(world)

    def tag_moves() -> None:
        other = promote(request(world, "p-2", "other", wait=None, fingerprint=""), world.here)
        assert isinstance(other, Promoted)

    world.facts.happens = tag_moves
    wait(request(world), world)
    passes(world)

    assert isinstance(woken(request(world), world), Promoted)
    assert world.registry.tags["a"] == world.registry.tags["b"] == NEW
