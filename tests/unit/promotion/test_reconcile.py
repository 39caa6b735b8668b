"""What events and crashes left behind is put right, a bit at each run."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from promoter.domain import documents
from promoter.domain.answers import Answer
from promoter.domain.errors import RegistryError, RepositoryNotFound
from promoter.domain.findings import Scan
from promoter.domain.model import ImageId, Manifest, Outcome, Promotion, Repository, Source, TagMove, Trigger
from promoter.domain.policy import Policy
from promoter.domain.records import Head, Lease, Record
from promoter.entrypoints import image_events
from promoter.promotion import waiting
from promoter.promotion.dependencies import Dependencies
from promoter.promotion.reconcile import Reconciled, Reconciler
from promoter.promotion.recovery import recover
from tests.support.answers import held, promote
from tests.support.ledgers import InMemoryLedger, dependencies, runs
from tests.support.policies import gate, policy, rule
from tests.support.registries import REPOSITORY, InMemoryRegistry, KnownImageFacts, manifest

IMAGE, OTHER = manifest('{"a": 1}'), manifest('{"b": 1}')
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
POLICY = policy(
    rule(name="staging", on="scan", to=["staging"], gate=gate(findings={"HIGH": 0}), **{"from": "build-.*"}),
    rule(name="prod", to=["prod"]),
)
EVERY = timedelta(minutes=15)
"""How often the schedule runs reconcile, unless the settings say otherwise."""

Resumed = tuple[Promotion, Answer] | None


@dataclass
class World:
    """A repository whose build-1 was pushed just now, and is not scanned yet."""

    now: datetime = NOW
    policy: Policy = POLICY
    registry: InMemoryRegistry = field(default_factory=lambda: InMemoryRegistry({"build-1": IMAGE}))
    facts: KnownImageFacts = field(default_factory=lambda: KnownImageFacts(pushes={IMAGE.digest: NOW}))
    ledger: InMemoryLedger = field(default_factory=InMemoryLedger)

    def __post_init__(self) -> None:
        self.ledger.clock = lambda: self.now

    @property
    def here(self) -> Dependencies:
        return dependencies(self.policy, self.registry, self.facts, ledger=self.ledger)

    def wait(self, event_id: str = "push-1") -> Record:
        """Have the promotion of a push wait for its scan."""
        (promotion,) = promotions_of(event_id)
        return held(promotion, self.here)

    def run(self, steps: int = 100, *, after: timedelta = EVERY) -> Reconciled:
        """Run reconcile when the schedule does, with time for so many steps."""
        self.now += after
        left = iter([True] * steps)
        return reconcile(self.here, in_time=lambda _: next(left, False))

    def scanned(self, scan: Scan = Scan("COMPLETE")) -> None:  # noqa: B008 - a value
        self.facts.scans[IMAGE.digest] = scan


def reconcile(
    here: Dependencies,
    resume: Callable[[str], Resumed] | None = None,
    in_time: Callable[[timedelta], bool] = lambda _: True,
) -> Reconciled:
    """Run reconcile once."""
    return Reconciler(here, runs(here), resume or (lambda name: waiting.resume(name, here)), in_time).run()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def registry(world: World) -> InMemoryRegistry:
    return world.registry


@pytest.fixture
def ledger(world: World) -> InMemoryLedger:
    return world.ledger


@pytest.fixture
def run(world: World) -> Callable[..., Reconciled]:
    return world.run


def test_a_tag_that_is_elsewhere_is_told_and_noted(
    run: Any, registry: InMemoryRegistry, ledger: InMemoryLedger
) -> None:
    """Elsewhere, or gone; found where it should be again, it is drift no longer."""
    promotion = Promotion(uuid.uuid4().hex, Trigger.REQUEST, REPOSITORY, Source(ImageId("build-1")), ("prod",))
    promote(promotion, dependencies(POLICY, registry, ledger=ledger))

    def seen() -> list[str | None]:
        return [head.drift for head in run().drifted]

    assert seen() == []
    registry.tags["prod"] = OTHER
    assert seen() == [OTHER.digest]
    del registry.tags["prod"]
    assert seen() == ["none"]
    registry.tags["prod"] = IMAGE
    assert seen() == []


def test_a_tag_that_is_gone_is_told_once(run: Any, registry: InMemoryRegistry, ledger: InMemoryLedger) -> None:
    """Lifecycle policies delete old tags: they must not hide the others, nor ring for ever."""
    promote(request("build-1"), dependencies(POLICY, registry, ledger=ledger))
    del registry.tags["prod"]

    assert [head.drift for head in run().drifted] == ["none"]
    assert run().drifted == ()

    registry.tags["prod"] = OTHER
    assert [head.drift for head in run().drifted] == [OTHER.digest]


def test_drift_that_somebody_asked_for_is_taken_over(
    run: Any, registry: InMemoryRegistry, ledger: InMemoryLedger
) -> None:
    """A promotion onto where the tag is by now says that it is right there."""
    registry.tags["build-2"] = OTHER
    here = dependencies(POLICY, registry, ledger=ledger)
    promote(request("build-1"), here)
    registry.tags["prod"] = OTHER
    assert [head.drift for head in run().drifted] == [OTHER.digest]

    accepted = promote(request("build-2"), here)

    assert accepted.outcome is Outcome.UNCHANGED
    assert run().drifted == ()
    head = ledger.heads[REPOSITORY, "prod"]
    assert (head.image_digest, head.promotion_id) == (OTHER.digest, accepted.promotion_id)


def request(tag: str) -> Promotion:
    """Ask for prod on the image of a tag."""
    return Promotion(uuid.uuid4().hex, Trigger.REQUEST, REPOSITORY, Source(ImageId(tag)), ("prod",))


def promotions_of(event_id: str) -> tuple[Promotion, ...]:
    """Return what a finished scan of IMAGE asks for."""
    found = image_events.promotions(
        image_events.ImageEvent(event_id, REPOSITORY, IMAGE.digest, ("build-1",), NOW, True), POLICY
    )
    assert isinstance(found, tuple)
    return found


def test_tags_that_cannot_be_looked_at_do_not_hide_the_others(ledger: InMemoryLedger) -> None:
    """The failure is told, and the next repository is compared."""
    other = Repository(REPOSITORY.registry_id, "team/zoo")
    ledger.heads[REPOSITORY, "prod"] = Head(REPOSITORY, "prod", IMAGE.digest, "p-0", NOW)
    ledger.heads[other, "prod"] = Head(other, "prod", IMAGE.digest, "p-1", NOW)
    here = dependencies(POLICY, Broken({"prod": OTHER}), ledger=ledger, now=lambda: NOW)

    done = reconcile(here)

    assert (done.failures, done.failed) == (("no answer",), 1)
    assert [(head.repository, head.drift) for head in done.drifted] == [(other, OTHER.digest)]


@dataclass
class Broken(InMemoryRegistry):
    """A registry that cannot read one of its repositories."""

    def read(self, repository: Repository, image_ids: Sequence[ImageId]) -> Any:
        if repository == REPOSITORY:
            raise RegistryError("no answer")
        return super().read(repository, image_ids)


def test_tags_of_a_repository_without_a_rule_are_left_alone(
    run: Any, registry: InMemoryRegistry, ledger: InMemoryLedger
) -> None:
    """There is no right to look at them; they do not keep the others from being compared."""
    elsewhere = Repository(REPOSITORY.registry_id, "left/web")
    ledger.heads[elsewhere, "prod"] = Head(elsewhere, "prod", IMAGE.digest, "p-0", NOW)

    assert run() == Reconciled()
    assert registry.reads == []


def test_tags_of_a_repository_that_is_gone_are_gone(ledger: InMemoryLedger) -> None:
    """Which is drift."""
    ledger.heads[REPOSITORY, "prod"] = Head(REPOSITORY, "prod", IMAGE.digest, "p-0", NOW)
    here = dependencies(POLICY, Gone(gone=True), ledger=ledger, now=lambda: NOW)

    done = reconcile(here)

    assert [head.drift for head in done.drifted] == ["none"]


def test_a_run_ends_when_its_time_is_over(world: World) -> None:
    """What it did not come to is done by the next one."""
    world.wait()
    world.scanned()

    assert world.run(steps=0) == Reconciled(unfinished=("waiting promotions",))
    assert world.run(steps=1) == Reconciled(finished=1)


def test_what_fails_does_not_keep_the_rest_from_being_done(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, and tried again by the next run."""
    world.wait()
    monkeypatch.setattr(world.ledger, "abandoned", lambda: ["p-1"])
    monkeypatch.setattr(world.ledger, "lease", _fail)

    assert world.run() == Reconciled(stale=1, waiting=1, failures=("no answer",), failed=1)


def _fail(promotion_id: str) -> None:
    raise RegistryError("no answer")


def test_a_promotion_in_a_repository_that_is_gone_is_settled(registry: InMemoryRegistry) -> None:
    """There is nothing left to look at: nothing was put."""
    ledger = InMemoryLedger(lambda: NOW)
    promotion = Promotion("p-1", Trigger.REQUEST, REPOSITORY, Source(ImageId("build-1")), ("prod",))
    with pytest.raises(RegistryError):
        promote(promotion, dependencies(POLICY, Gone({"build-1": IMAGE}), ledger=ledger))
    ledger.clock = lambda: NOW + timedelta(minutes=1)

    recover("p-1", dependencies(POLICY, Gone(gone=True), ledger=ledger, now=ledger.clock))

    assert [(each.outcome, each.code) for each in ledger.announced] == [("FAILED", "interrupted")]


@dataclass
class Gone(InMemoryRegistry):
    """A registry that does not answer after its first read; `gone`: its repository is deleted."""

    gone: bool = False

    def read(self, repository: Repository, image_ids: Sequence[ImageId]) -> Any:
        if self.gone:
            raise RepositoryNotFound("it was deleted")
        if self.reads:
            raise RegistryError("no answer")
        return super().read(repository, image_ids)

    def put(self, repository: Repository, manifest: Manifest, image_tag: str) -> bool:
        raise RegistryError("no answer")


def test_a_hundred_intents_that_cannot_be_settled_do_not_block_the_next(ledger: InMemoryLedger) -> None:
    """They are told, all in one word, and left behind."""
    good = Repository(REPOSITORY.registry_id, "team/zoo")
    registry = Broken({"build-1": IMAGE})
    for number in range(101):
        place = good if number == 100 else REPOSITORY
        crashed = Promotion(f"p-{number:03}", Trigger.REQUEST, place, Source(ImageId("build-1")), ("prod",))
        move = TagMove("prod", Outcome.PLANNED, None)
        intent = replace(documents.opened(crashed), image_digest=IMAGE.digest, image_tags=("prod",), moves=(move,))
        ledger.leases[intent.promotion_id] = Lease(f"t-{number}", intent, NOW - timedelta(minutes=1))

    here = dependencies(POLICY, registry, ledger=ledger, now=lambda: NOW)
    done = reconcile(here)

    assert (done.stale, done.settled, done.failed, done.failures) == (101, ("p-100",), 100, ("no answer",))
