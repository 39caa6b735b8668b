"""What is known of a tag after its put: done, not done, or perhaps still to come."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from promoter.domain.errors import (
    Interrupted,
    RegistryError,
    TagBusy,
    Throttled,
)
from promoter.domain.model import Manifest, Outcome, Repository
from promoter.promotion.recovery import recover
from tests.support.answers import promote, stopped
from tests.support.ledgers import InMemoryLedger, dependencies
from tests.support.promotions import ANY_TAG, NEW, NOW, OLD, OTHER, Ticking, promotion
from tests.support.registries import InMemoryRegistry, LostAnswers, Silent


@pytest.mark.parametrize("done", [True, False])
def test_after_a_lost_answer_the_tag_tells_what_happened(*, done: bool) -> None:
    """Put or not: the record says the same as the registry."""
    ledger = InMemoryLedger()
    lossy = LostAnswers({"new": NEW}, done=done)

    if done:
        assert promote(promotion(), dependencies(ANY_TAG, lossy, ledger=ledger)).outcome is Outcome.PROMOTED
    else:
        with pytest.raises(RegistryError):
            promote(promotion(), dependencies(ANY_TAG, lossy, ledger=ledger))
    assert ledger.outcomes() == ["PROMOTED" if done else "FAILED"]


def test_what_nobody_can_tell_is_left_to_be_settled() -> None:
    """Nothing is recorded that is not known: the lease stays until its time is over."""
    ledger = InMemoryLedger(now := Ticking())
    blind = LostAnswers({"new": NEW, "other": OTHER}, blind=True)

    with pytest.raises(RegistryError):
        promote(promotion(), dependencies(ANY_TAG, blind, ledger=ledger, now=now))
    assert ledger.announced == []

    now.at += timedelta(minutes=1)
    seeing = InMemoryRegistry(blind.tags)
    promote(promotion("other", promotion_id="p-2"), dependencies(ANY_TAG, seeing, ledger=ledger, now=now))
    assert [(each.promotion_id, each.outcome) for each in ledger.announced] == [
        ("p-1", "PROMOTED"),
        ("p-2", "PROMOTED"),
    ]


def test_a_put_that_may_still_arrive_keeps_the_lease() -> None:
    """Or it could overtake the next promotion; when the lease is over the tag is looked at once more."""
    ledger = InMemoryLedger(now := Ticking())
    silent = Silent({"new": NEW, "other": OTHER})

    with pytest.raises(RegistryError):
        promote(promotion(), dependencies(ANY_TAG, silent, ledger=ledger, now=now))
    with pytest.raises(TagBusy):
        promote(promotion("other", promotion_id="p-2"), dependencies(ANY_TAG, silent, ledger=ledger, now=now))

    now.at += timedelta(minutes=1)
    recover("p-1", dependencies(ANY_TAG, silent, ledger=ledger, now=now))
    assert [(each.promotion_id, each.code) for each in ledger.announced] == [("p-1", "interrupted")]


@dataclass
class LostThenThrottled(InMemoryRegistry):
    """A registry that puts without saying so, and then asks for patience, so often."""

    times: int = 1

    def put(self, repository: Repository, manifest: Manifest, image_tag: str) -> bool:
        there = self.tags.get(image_tag) == manifest
        self.tags[image_tag] = manifest
        if self.times:
            self.times -= 1
            raise Throttled("after a time-out")
        return not there


@pytest.mark.parametrize("times", [1, 1000])
def test_throttling_after_a_lost_answer_hides_no_move(times: int) -> None:
    """Whether the next try finds the tag there, or there is no time for one."""
    ledger = InMemoryLedger()
    registry = LostThenThrottled({"new": NEW, "prod": OLD}, times=times)

    answer = promote(promotion(), dependencies(ANY_TAG, registry, ledger=ledger, now=Ticking()))

    assert [(move.outcome, move.previous_digest) for move in answer.moves] == [("PROMOTED", OLD.digest)]
    assert ledger.outcomes() == ["PROMOTED"]


@dataclass
class ThrottledAfterSilence(InMemoryRegistry):
    """A registry whose first put gets no answer, and that then only asks for patience."""

    tries: int = 0

    def put(self, repository: Repository, manifest: Manifest, image_tag: str) -> bool:
        self.tries += 1
        raise Throttled("10 a second", unanswered=self.tries == 1)


def test_throttling_after_silence_leaves_open_what_was_done() -> None:
    """The first put may still be carried out: the lease is kept, and nothing is recorded that is not known."""
    ledger = InMemoryLedger(now := Ticking())
    registry = ThrottledAfterSilence({"new": NEW})

    with pytest.raises(Throttled):
        promote(promotion(), dependencies(ANY_TAG, registry, ledger=ledger, now=now))

    assert registry.tries > 1
    assert ledger.announced == []
    assert ledger.lease("p-1") is not None


def test_throttling_alone_frees_the_lease() -> None:
    """A try that was turned away is not carried out later."""
    ledger = InMemoryLedger(now := Ticking())

    with pytest.raises(Throttled):
        promote(promotion(), dependencies(ANY_TAG, Throttling({"new": NEW}, times=1000), ledger=ledger, now=now))

    assert ledger.outcomes() == ["FAILED"]
    assert ledger.held == {}


def test_no_put_begins_that_could_outlast_the_lease() -> None:
    """It could overtake the promotion that takes the tag next: this one ends instead, with what it has put."""
    ledger = InMemoryLedger(now := Ticking(step=timedelta(seconds=3)))
    registry = InMemoryRegistry({"new": NEW}, longest_put=timedelta(seconds=20))

    late = stopped(promotion(image_tags=("a", "b", "c")), dependencies(ANY_TAG, registry, ledger=ledger, now=now))
    assert isinstance(late.error, Interrupted)
    assert "no time left to put c" in late.error.detail

    assert registry.puts == ["a", "b"]
    assert [move.image_tag for move in late.moves] == ["a", "b"]
    (record,) = ledger.announced
    assert (record.code, record.moves) == ("interrupted", late.moves)


@dataclass
class Throttling(InMemoryRegistry):
    """A registry whose quota of PutImage is used up for a while."""

    times: int = 0

    def put(self, repository: Repository, manifest: Manifest, image_tag: str) -> bool:
        if self.times:
            self.times -= 1
            raise Throttled("10 a second")
        return super().put(repository, manifest, image_tag)


def test_a_put_waits_for_its_share_of_the_quota() -> None:
    """Inside its lease, so that nobody else gets in between; then all tags are put."""
    waited: list[float] = []
    throttling = Throttling({"new": NEW}, times=3)
    inner = replace(dependencies(ANY_TAG, throttling, now=Ticking()), pause=waited.append)

    answer = promote(promotion(image_tags=("a", "b")), inner)

    assert [move.outcome for move in answer.moves] == ["PROMOTED", "PROMOTED"]
    assert len(waited) == 3
    assert all(0 < seconds <= 1 for seconds in waited)


def test_the_wait_for_the_quota_ends() -> None:
    """In time for the function to tell; the tags of a promotion wait together."""
    waited: list[float] = []
    clock = Ticking(step=timedelta(seconds=0.5))  # there are two looks at the clock for each try
    inner = replace(dependencies(ANY_TAG, Throttling({"new": NEW}, times=1000), now=clock), pause=waited.append)

    with pytest.raises(Throttled):
        promote(promotion(), inner)
    assert 5 < len(waited) < 12
    assert clock.at < NOW + timedelta(seconds=20)
