"""When tags are compared with the registry, and how the time of a run is divided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from promoter.domain import documents
from promoter.domain.answers import Answer, NotPromoted
from promoter.domain.errors import RepositoryNotFound, Superseded
from promoter.domain.model import ImageId, Promotion, Reason, Repository, Wait
from promoter.domain.records import Head, Record, Rota
from promoter.promotion import waiting
from promoter.promotion.dependencies import Dependencies
from promoter.promotion.reconcile import Reconciled, Reconciler
from tests.support.ledgers import InMemoryLedger, dependencies, runs
from tests.support.policies import policy, rule
from tests.support.promotions import scan_of
from tests.support.registries import REPOSITORY, InMemoryRegistry, manifest

IMAGE, OTHER = manifest('{"a": 1}'), manifest('{"b": 1}')
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
POLICY = policy(rule(name="prod", to=["prod"]), rule(name="any", to=["staging-{tag}"], to_matching=["v.*"]))


@dataclass
class Clock:
    """A clock that a test moves."""

    time: datetime = NOW

    def __call__(self) -> datetime:
        return self.time

    def tick(self) -> None:
        self.time += timedelta(seconds=1)


@dataclass
class Slow(InMemoryRegistry):
    """A registry that takes a second for each read; `gone`: its repositories are deleted."""

    clock: Clock = field(default_factory=Clock)
    gone: bool = False

    def read(self, repository: Repository, image_ids: Sequence[ImageId]) -> Any:
        self.clock.tick()
        if self.gone:
            raise RepositoryNotFound("it was deleted")
        return super().read(repository, image_ids)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry(clock: Clock) -> Slow:
    return Slow(clock=clock)


@pytest.fixture
def ledger(clock: Clock) -> InMemoryLedger:
    return InMemoryLedger(clock)


@pytest.fixture
def here(registry: Slow, ledger: InMemoryLedger, clock: Clock) -> Dependencies:
    return dependencies(POLICY, registry, ledger=ledger, now=clock)


def run(here: Dependencies, *, seconds: float = 1000) -> Reconciled:
    """Run reconcile once, for so long; a try of a promotion that waits takes a second, and ends it."""
    end = here.now() + timedelta(seconds=seconds)

    def resume(promotion_id: str) -> tuple[Promotion, Answer]:
        here.now.tick()  # type: ignore[attr-defined]
        record, answer = here.history.promotion(promotion_id), NotPromoted(Superseded("it was moved"))
        here.ledger.record(documents.ended(record, answer, now=here.now()), record)
        return waiting.promotion_of(record), answer

    def in_time(longest: timedelta) -> bool:
        return here.now() + longest <= end

    done = Reconciler(here, runs(here), resume, in_time).run()
    assert here.now() <= end
    return done


def waiting_record(promotion_id: str = "p-1") -> Record:
    """Return the record of a promotion that waits for a scan."""
    record = replace(documents.opened(scan_of(IMAGE, "build-1")), promotion_id=promotion_id)
    return documents.waits(record, Wait(NOW + timedelta(days=14)), [Reason("scan_pending", "it is being scanned")])


def head_of(tag: str, *, repository: Repository = REPOSITORY, moving: bool = False) -> Head:
    """Return the head of a tag that is on IMAGE by the ledger."""
    return Head(repository, tag, IMAGE.digest, f"p-{tag}", NOW, moving=moving)


def put_once(ledger: InMemoryLedger, count: int) -> None:
    """Let the ledger have tags of as many repositories, each of them put once."""
    for number in range(count):
        place = Repository(REPOSITORY.registry_id, f"team/a-{number:04}")
        ledger.heads[place, f"v{number}"] = head_of(f"v{number}", repository=place)
        ledger.rotas[place, f"v{number}"] = Rota.ONCE


def test_each_kind_of_work_gets_its_share_of_the_time(
    here: Dependencies, registry: Slow, ledger: InMemoryLedger
) -> None:
    """A thousand waiting promotions do not keep tags from being compared, nor the other way round."""
    put_once(ledger, 1000)
    ledger.records |= {f"p-{number}": waiting_record(f"p-{number}") for number in range(1000)}

    done = run(here, seconds=200)

    assert done.finished == pytest.approx(len(registry.reads), abs=25)
    assert set(done.unfinished) == {"waiting promotions", "heads of tags put once"}


def test_time_that_one_kind_does_not_need_is_the_others(
    here: Dependencies, registry: Slow, ledger: InMemoryLedger
) -> None:
    """Nothing but tags to compare: they get all of it."""
    put_once(ledger, 1000)

    run(here, seconds=100)

    assert len(registry.reads) > 90


def test_tags_put_once_do_not_keep_prod_from_being_compared(
    here: Dependencies, registry: Slow, ledger: InMemoryLedger
) -> None:
    """However many there are: prod is compared at each run, and each of the others once a day, run by run."""
    put_once(ledger, 300)
    ledger.heads[REPOSITORY, "prod"] = head_of("prod", moving=True)
    registry.tags = {f"v{number}": IMAGE for number in range(300)} | {"prod": OTHER}

    for _ in range(20):
        done = run(here, seconds=30)
        assert [head.image_tag for head in done.drifted] == ["prod"]
        assert done.interval is not None
        assert done.interval <= timedelta(minutes=2)

    compared = [f"{image_id.image_tag}" for read in registry.reads for image_id in read]
    assert sorted(tag for tag in compared if tag != "prod") == sorted(f"v{number}" for number in range(300))


def test_a_tag_that_was_put_once_is_compared_once_a_day_for_a_week(
    here: Dependencies, registry: Slow, ledger: InMemoryLedger, clock: Clock
) -> None:
    """First by the next run, which sees that it is none of those that move."""
    registry.tags["v1"] = IMAGE
    ledger.heads[REPOSITORY, "v1"] = head_of("v1")

    compared = []
    for hour in range(24 * 9):
        clock.time = NOW + timedelta(hours=hour)
        before = len(registry.reads)
        run(here)
        compared += [hour] * (len(registry.reads) - before)

    assert compared[0] == 0
    assert {later - earlier for earlier, later in pairwise(compared[1:])} <= {24, 25}
    assert 6 <= compared[-1] // 24 <= 8


@pytest.mark.parametrize(("tag", "moving"), [("prod", False), ("v1", True)])
def test_a_tag_that_moves_or_that_a_rule_names_is_compared_at_every_run(
    here: Dependencies, registry: Slow, ledger: InMemoryLedger, clock: Clock, tag: str, *, moving: bool
) -> None:
    """However old it is."""
    ledger.heads[REPOSITORY, tag] = head_of(tag, moving=moving)
    ledger.rotas[REPOSITORY, tag] = Rota.ONCE  # as of before the policy named it
    registry.tags[tag] = IMAGE
    run(here)

    for day in range(1, 30):
        clock.time = NOW + timedelta(days=day)
        registry.reads.clear()
        run(here)
        assert registry.reads == [[ImageId(tag)]]


def test_a_new_tag_that_a_rule_names_is_compared_by_the_next_run(
    here: Dependencies, registry: Slow, ledger: InMemoryLedger, clock: Clock
) -> None:
    """And by the one after that, though it was put only once."""
    ledger.heads[REPOSITORY, "prod"] = head_of("prod")
    registry.tags["prod"] = IMAGE
    run(here)
    registry.tags["prod"] = OTHER
    clock.time += timedelta(minutes=15)

    assert [head.image_tag for head in run(here).drifted] == ["prod"]


def test_drift_in_a_repository_that_was_made_anew_is_found(
    here: Dependencies, registry: Slow, ledger: InMemoryLedger
) -> None:
    """Deleted, all its tags are gone, which is told once; what is pushed later is not what was promoted."""
    ledger.heads[REPOSITORY, "prod"] = head_of("prod")
    registry.gone = True
    assert [[head.drift for head in run(here).drifted] for _ in range(2)] == [["none"], []]

    registry.gone = False
    registry.tags["prod"] = OTHER

    assert [[head.drift for head in run(here).drifted] for _ in range(2)] == [[OTHER.digest]] * 2


def test_a_tag_put_once_that_is_elsewhere_is_told_by_every_run(
    here: Dependencies, registry: Slow, ledger: InMemoryLedger, clock: Clock
) -> None:
    """Until it is put right, however old it is: the alarm must not end by itself."""
    ledger.heads[REPOSITORY, "v1"] = head_of("v1")
    registry.tags["v1"] = OTHER

    for hour in range(0, 240, 7):
        clock.time = NOW + timedelta(hours=hour)
        assert [head.drift for head in run(here).drifted] == [OTHER.digest]

    registry.tags["v1"] = IMAGE
    assert run(here).drifted == ()
    assert ledger.heads[REPOSITORY, "v1"].drift is None
    assert ledger.rotas[REPOSITORY, "v1"] is None


def test_nothing_is_written_about_a_tag_that_is_where_it_was(
    here: Dependencies, registry: Slow, ledger: InMemoryLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of one that is known to be elsewhere: so that each state is announced once."""
    ledger.heads[REPOSITORY, "prod"] = head_of("prod", moving=True)
    ledger.heads[REPOSITORY, "v1"] = head_of("v1", moving=True)
    registry.tags = {"prod": IMAGE, "v1": OTHER}
    run(here)
    noted: list[Any] = []
    monkeypatch.setattr(ledger, "note", lambda *_, **members: noted.append(members))

    assert [head.image_tag for head in run(here).drifted] == ["v1"]
    assert noted == []


def test_the_interval_counts_from_the_last_whole_round(
    here: Dependencies, ledger: InMemoryLedger, clock: Clock
) -> None:
    """A run that does not come to the tags makes it longer."""
    ledger.heads[REPOSITORY, "v1"] = head_of("v1", moving=True)

    def minutes(at: int, *, seconds: float = 100) -> int:
        clock.time = NOW + timedelta(minutes=at)
        interval = run(here, seconds=seconds).interval
        assert interval is not None
        return round(interval / timedelta(minutes=1))

    assert minutes(0) == 0
    assert minutes(15) == 15
    assert minutes(30, seconds=0) == 15
    assert minutes(90) == 75
    assert minutes(105) == 15
