"""How promotions of one tag stand in each other's way, and how each is told the truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from promoter.domain.errors import (
    DigestMismatch,
    RegistryError,
    TagBusy,
    TagChanged,
)
from promoter.domain.findings import Scan
from promoter.domain.leasing import Begun, Stale
from promoter.domain.leasing import Busy as IsBusy
from promoter.domain.model import ImageId, Outcome, Repository
from promoter.domain.ports import Found
from promoter.domain.records import Record
from promoter.promotion.recovery import recover
from tests.support.answers import promote
from tests.support.ledgers import NOTHING, InMemoryLedger, dependencies
from tests.support.policies import gate, policy, rule
from tests.support.promotions import ANY_TAG, NEW, OLD, OTHER, Ticking, promotion
from tests.support.registries import InMemoryRegistry, KnownImageFacts, Silent


@pytest.fixture
def registry() -> InMemoryRegistry:
    return InMemoryRegistry({"new": NEW, "other": OTHER, "prod": OLD})


@dataclass
class Busy(InMemoryLedger):
    """A ledger in which somebody else has the lease for a while."""

    times: int = 0

    def begin(self, record: Record, seen: Any, versions: Any, after: Any = None, exact: Any = NOTHING) -> Begun:
        if self.times:
            self.times -= 1
            return IsBusy("Another promotion is moving prod. Retry.")
        return super().begin(record, seen, versions, after, exact)


def test_who_comes_second_waits_for_the_lease(registry: InMemoryRegistry) -> None:
    """And looks again before it goes on."""
    waited: list[float] = []
    ledger = Busy(times=3)

    answer = promote(promotion(), replace(dependencies(ANY_TAG, registry, ledger=ledger), pause=waited.append))

    assert answer.outcome is Outcome.PROMOTED
    assert len(waited) == 3
    assert len(registry.reads) == 4


def test_patience_ends(registry: InMemoryRegistry) -> None:
    """Then the caller is told when to come again; nothing was moved, and nothing recorded."""
    ledger = Busy(times=1000)

    with pytest.raises(TagBusy) as busy:
        promote(promotion(), dependencies(ANY_TAG, registry, ledger=ledger, now=Ticking()))

    assert (busy.value.http_status, busy.value.retry_after) == (409, 1)
    assert registry.puts == []
    assert ledger.announced == []


def test_the_gate_is_judged_once_while_waiting() -> None:
    """ImageFacts are read once, however often the tag is looked at."""
    image_facts = KnownImageFacts({NEW.digest: Scan("COMPLETE")})
    gated = policy(rule(gate=gate(findings={"CRITICAL": 0})))

    promote(promotion(), dependencies(gated, InMemoryRegistry({"new": NEW}), image_facts, ledger=Busy(times=5)))

    assert image_facts.asked == [NEW.digest]


@dataclass
class RacingLedger(InMemoryLedger):
    """A ledger in which another promotion takes place just before the first lease."""

    race: list[Callable[[], object]] = field(default_factory=list)

    def begin(self, record: Record, seen: Any, versions: Any, after: Any = None, exact: Any = NOTHING) -> Begun:
        if self.race:
            self.race.pop()()
        return super().begin(record, seen, versions, after, exact)


def test_what_was_expected_holds_when_the_tag_is_put(registry: InMemoryRegistry) -> None:
    """Compare-and-swap: another promotion between the look and the lease is noticed."""
    ledger = RacingLedger()
    inner = dependencies(ANY_TAG, registry, ledger=ledger)
    ledger.race.append(lambda: promote(promotion("other", promotion_id="p-2"), inner))

    with pytest.raises(TagChanged):
        promote(promotion(expected_digests={"prod": OLD.digest}), inner)

    assert registry.tags["prod"] == OTHER


def test_without_expectations_the_second_move_begins_where_the_first_ended(registry: InMemoryRegistry) -> None:
    """The answer tells the digest that the tag really had."""
    ledger = RacingLedger()
    inner = dependencies(ANY_TAG, registry, ledger=ledger)
    ledger.race.append(lambda: promote(promotion("other", promotion_id="p-2"), inner))

    answer = promote(promotion(), inner)

    assert [move.previous_digest for move in answer.moves] == [OTHER.digest]


def test_a_tag_that_somebody_moved_past_us_is_promoted_all_the_same(registry: InMemoryRegistry) -> None:
    """The ledger's head is out of date: it is looked at again, and goes on from where the tag is."""
    ledger = InMemoryLedger()
    inner = dependencies(ANY_TAG, registry, ledger=ledger)
    promote(promotion(), inner)
    registry.tags["prod"] = OTHER

    answer = promote(promotion(promotion_id="p-2"), inner)

    assert answer.moves[0].previous_digest == OTHER.digest


@dataclass
class Interfering(InMemoryRegistry):
    """A registry at whose next read something happens."""

    happens: Callable[[], object] | None = None

    def read(self, repository: Repository, image_ids: Sequence[ImageId]) -> dict[ImageId, Found]:
        happens, self.happens = self.happens, None
        if happens:
            happens()
        return super().read(repository, image_ids)


def interrupted(now: Ticking) -> tuple[InMemoryLedger, Interfering]:
    """Return a ledger in which p-1 has stopped in the middle, and whose lease is over."""
    ledger = InMemoryLedger(now)
    silent = Silent({"new": NEW, "other": OTHER})
    with pytest.raises(RegistryError):
        promote(promotion(), dependencies(ANY_TAG, silent, ledger=ledger, now=now))
    now.at += timedelta(minutes=1)
    return ledger, Interfering(silent.tags)


def test_two_that_settle_the_same_promotion_both_go_on() -> None:
    """Who comes second finds that it is done: that is no failure of his."""
    ledger, registry = interrupted(now := Ticking())
    here = dependencies(ANY_TAG, registry, ledger=ledger, now=now)
    lease = ledger.leases["p-1"]
    registry.happens = lambda: recover("p-1", here)

    recover("p-1", here)

    assert lease.record.promotion_id not in ledger.leases
    assert ledger.outcomes() == ["FAILED"]


def test_what_stands_in_the_way_is_for_waiting() -> None:
    """That somebody else's promotion cannot be settled is no final answer for this one."""
    ledger, registry = interrupted(now := Ticking())

    def broken() -> None:
        raise DigestMismatch("damaged")

    here = dependencies(ANY_TAG, registry, ledger=ledger, now=now)
    first_read = registry.read

    def after_the_read() -> None:
        registry.happens = broken

    registry.happens = after_the_read
    with pytest.raises(TagBusy, match="damaged"):
        promote(promotion("other", promotion_id="p-2"), here)
    assert first_read is not None


@dataclass
class OneAtATime(InMemoryLedger):
    """A ledger that tells of one head that has moved at a time."""

    told: list[str] = field(default_factory=list)

    def begin(self, record: Record, seen: Any, versions: Any, after: Any = None, exact: Any = NOTHING) -> Begun:
        begun = super().begin(record, seen, versions, after, exact)
        if not isinstance(begun, Stale):
            return begun
        tag = next(tag for tag in begun.versions if tag not in versions)
        self.told.append(tag)
        return Stale({tag: begun.versions[tag]})


def test_heads_that_are_told_of_one_by_one_are_all_remembered(registry: InMemoryRegistry) -> None:
    """Two tags that somebody moved past the ledger do not take turns for ever."""
    ledger = OneAtATime()
    inner = dependencies(ANY_TAG, registry, ledger=ledger, now=Ticking())
    promote(promotion(image_tags=("a", "b")), inner)
    registry.tags |= {"a": OLD, "b": OLD}

    assert (
        promote(promotion("other", promotion_id="p-2", image_tags=("a", "b")), inner).outcome is Outcome.PROMOTED
    )
    assert sorted(ledger.told) == ["a", "b"]


@pytest.mark.parametrize(("asked", "calls"), [("new", ["begin", "finish"]), ("prod", ["record"])])
def test_two_calls_of_the_ledger_for_a_promotion_and_one_where_all_is_done(
    registry: InMemoryRegistry, asked: str, calls: list[str]
) -> None:
    """However many tags there are."""
    ledger = InMemoryLedger()
    registry.tags["v1"] = OLD

    promote(promotion(asked, image_tags=("prod", "v1")), dependencies(ANY_TAG, registry, ledger=ledger))

    assert ledger.calls == calls
