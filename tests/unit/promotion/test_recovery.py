"""How promotions that were interrupted end."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from promoter.domain.errors import RegistryError
from promoter.domain.model import ImageId, Manifest, Outcome, Promotion, Repository, Source, Trigger
from promoter.promotion.dependencies import Dependencies
from promoter.promotion.recovery import recover
from tests.support.answers import promote
from tests.support.ledgers import InMemoryLedger, dependencies
from tests.support.policies import policy, rule
from tests.support.registries import REPOSITORY, InMemoryRegistry, manifest

OLD, NEW, OTHER = manifest('{"old": 1}'), manifest('{"new": 1}'), manifest('{"other": 1}')
ANY_TAG = policy(rule(to_matching=[".*"]))
ELSEWHERE = policy(rule(repositories=["other/*"]))


@dataclass
class Clock:
    """A clock that stands still until a test turns it."""

    time: datetime = field(default_factory=lambda: datetime(2026, 11, 24, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.time


@dataclass
class Dying(InMemoryRegistry):
    """A registry that gives no answer to the put of one tag, and does not carry it out."""

    dies_at: str = ""

    def put(self, repository: Repository, manifest: Manifest, image_tag: str) -> bool:
        if image_tag == self.dies_at:
            raise RegistryError("no answer", unanswered=True)
        return super().put(repository, manifest, image_tag)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry() -> Dying:
    return Dying({"new": NEW, "other": OTHER, "a": NEW, "b": OLD}, dies_at="b")


@pytest.fixture
def here(registry: Dying, clock: Clock) -> Dependencies:
    """Return dependencies with which p-1 was interrupted before `b` was put; `a` was there already."""
    here = dependencies(ANY_TAG, registry, ledger=InMemoryLedger(clock))
    with pytest.raises(RegistryError):
        promote(promotion("p-1", "new", "a", "b"), here)
    return here


def promotion(promotion_id: str, source: str, *tags: str) -> Promotion:
    return Promotion(promotion_id, Trigger.REQUEST, REPOSITORY, Source(ImageId(source)), tags, fingerprint="f")


def record(here: Dependencies) -> Any:
    assert isinstance(here.ledger, InMemoryLedger)
    return here.ledger.records["p-1"]


def test_only_tags_that_were_held_are_judged(here: Dependencies, registry: Dying, clock: Clock) -> None:
    """`a` was on the image and not taken: that another promotion has moved it since says nothing of this one."""
    registry.tags["b"] = NEW  # the put arrived after all
    promote(promotion("p-2", "other", "a"), here)
    clock.time += timedelta(minutes=1)

    assert recover("p-1", here)

    moves = [(move.image_tag, move.outcome) for move in record(here).moves]
    assert (record(here).outcome, moves) == (Outcome.PROMOTED, [("a", Outcome.UNCHANGED), ("b", Outcome.PROMOTED)])
    promote(promotion("p-1", "new", "a", "b"), here)
    assert registry.tags["a"] == OTHER


def test_a_promotion_that_put_nothing_is_interrupted(here: Dependencies, clock: Clock) -> None:
    """Its caller may promote again."""
    clock.time += timedelta(minutes=1)

    recover("p-1", here)

    assert (record(here).outcome, record(here).code, record(here).moves) == (Outcome.FAILED, "interrupted", ())


def test_a_repository_that_left_the_policy_ends_the_promotion(
    here: Dependencies, registry: Dying, clock: Clock
) -> None:
    """There is no right to read its tags any longer, so waiting would not help."""
    clock.time += timedelta(minutes=1)
    registry.reads.clear()

    recover("p-1", replace(here, policy=ELSEWHERE))

    assert record(here).code == "interrupted"
    assert "could not be read" in record(here).detail
    assert registry.reads == []
    assert promote(promotion("p-2", "other", "a"), here).outcome is Outcome.PROMOTED


def test_tags_that_cannot_be_read_are_tried_for_a_day(here: Dependencies, registry: Dying, clock: Clock) -> None:
    """Then the promotion ends without them: it must not be in the way for ever."""
    registry.unreadable = frozenset({"b"})
    clock.time += timedelta(minutes=1)
    with pytest.raises(RegistryError, match="archived"):
        recover("p-1", here)
    assert record(here).outcome is None

    clock.time += timedelta(days=1)
    recover("p-1", here)

    assert record(here).code == "interrupted"


def test_a_tag_held_for_a_promotion_that_has_ended_is_freed(
    here: Dependencies, registry: Dying, clock: Clock
) -> None:
    """As after a restore, which may bring back a tag's item and not the record that goes with it."""
    ledger = here.ledger
    assert isinstance(ledger, InMemoryLedger)
    clock.time += timedelta(minutes=1)
    held = dict(ledger.held)
    recover("p-1", here)
    ledger.held |= held
    registry.dies_at, paused = "", list[float]()
    waiting = replace(here, pause=paused.append)

    assert promote(promotion("p-2", "other", "b"), waiting).outcome is Outcome.PROMOTED
    assert len(paused) == 1
