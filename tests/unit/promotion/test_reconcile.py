"""What events and crashes left behind is put right, a bit at each run."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from promoter.domain import documents, rollback
from promoter.domain.answers import Answer
from promoter.domain.errors import RegistryError, RepositoryNotFound, ScanPending, Superseded
from promoter.domain.model import (
    DeferredPromotion,
    Finding,
    Head,
    ImageId,
    Lease,
    Manifest,
    Outcome,
    Promotion,
    Repository,
    Scan,
    Source,
    TagMove,
    Trigger,
)
from promoter.domain.policy import Freeze
from promoter.entrypoints import image_events
from promoter.promotion import promote as use_case
from promoter.promotion.reconcile import Reconciled, Reconciler
from promoter.promotion.recovery import recover
from tests.support.answers import nobody, promote
from tests.support.ledgers import InMemoryLedger, dependencies, runs
from tests.support.policies import gate, policy, rule
from tests.support.registries import (
    REPOSITORY,
    InMemoryDeferredPromotions,
    InMemoryRegistry,
    KnownImageFacts,
    manifest,
)

IMAGE, OTHER = manifest('{"a": 1}'), manifest('{"b": 1}')
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
POLICY = policy(
    rule(name="staging", on="scan", to=["staging"], gate=gate(findings={"HIGH": 0}), **{"from": "build-.*"}),
    rule(name="prod", to=["prod"]),
)
WAITING = ImageId("build-1", IMAGE.digest)


@pytest.fixture
def registry() -> InMemoryRegistry:
    return InMemoryRegistry({"build-1": IMAGE})


@pytest.fixture
def image_facts() -> KnownImageFacts:
    return KnownImageFacts(pushes={IMAGE.digest: NOW})


@pytest.fixture
def ledger() -> InMemoryLedger:
    return InMemoryLedger(lambda: NOW)


@pytest.fixture
def deferred_promotions() -> InMemoryDeferredPromotions:
    return InMemoryDeferredPromotions({IMAGE.digest: [WAITING]})


@pytest.fixture
def run(
    registry: InMemoryRegistry,
    image_facts: KnownImageFacts,
    ledger: InMemoryLedger,
    deferred_promotions: InMemoryDeferredPromotions,
) -> Callable[..., Reconciled]:
    """Run reconcile once, with time for so many steps."""
    here = dependencies(POLICY, registry, image_facts, ledger=ledger, now=lambda: NOW)

    def attempt(promotion: Promotion) -> Answer:
        return use_case.promote(promotion, here)

    def promotions(deferred: DeferredPromotion) -> tuple[Promotion, ...]:
        found = image_events.promotions_of(deferred, POLICY)
        return () if isinstance(found, image_events.Ignored) else found

    def once(steps: int = 100) -> Reconciled:
        left = iter([True] * steps)
        return Reconciler(
            here, runs(here), deferred_promotions, promotions, attempt, lambda _: next(left, False)
        ).run()

    return once


def test_a_scan_whose_event_never_came_is_found(
    run: Any,
    registry: InMemoryRegistry,
    image_facts: KnownImageFacts,
    deferred_promotions: InMemoryDeferredPromotions,
    ledger: InMemoryLedger,
) -> None:
    """Events are best effort; the promotion is carried out, recorded and announced, and is no longer deferred."""
    assert run() == Reconciled(waiting=1)
    image_facts.scans[IMAGE.digest] = Scan("COMPLETE")

    assert run() == Reconciled(finished=1)

    assert registry.tags["staging"] == IMAGE
    assert deferred_promotions.waiting[IMAGE.digest] == []
    assert ledger.outcomes() == ["PROMOTED"]


def test_a_deferred_promotion_that_still_waits_is_looked_at_again_later(
    run: Any, deferred_promotions: InMemoryDeferredPromotions
) -> None:
    """After all others."""
    run()

    assert deferred_promotions.touched == [DeferredPromotion(REPOSITORY, IMAGE.digest, WAITING)]
    assert deferred_promotions.waiting[IMAGE.digest] == [WAITING]


def test_a_deferred_promotion_ends_without_a_record_where_all_is_done(
    run: Any,
    registry: InMemoryRegistry,
    image_facts: KnownImageFacts,
    deferred_promotions: InMemoryDeferredPromotions,
    ledger: InMemoryLedger,
) -> None:
    """The event that did it has recorded it."""
    image_facts.scans[IMAGE.digest] = Scan("COMPLETE")
    registry.tags["staging"] = IMAGE

    assert run() == Reconciled(finished=1)
    assert ledger.announced == []


@pytest.mark.parametrize("change", ["refused", "moved on", "no rule"])
def test_a_deferred_promotion_ends_where_there_is_nothing_to_wait_for(
    run: Any,
    registry: InMemoryRegistry,
    image_facts: KnownImageFacts,
    deferred_promotions: InMemoryDeferredPromotions,
    ledger: InMemoryLedger,
    change: str,
) -> None:
    """The image is refused, its tag has moved on, or no rule serves it: told as its event would have been."""
    if change == "refused":
        image_facts.scans[IMAGE.digest] = Scan("COMPLETE", (Finding("CVE-1", "HIGH", ("a",)),))
    if change == "moved on":
        registry.tags["build-1"] = OTHER
    if change == "no rule":
        deferred_promotions.waiting[IMAGE.digest] = [ImageId("other-1", IMAGE.digest)]

    assert run() == Reconciled(finished=1)
    assert "staging" not in registry.tags
    assert ledger.outcomes() == ([] if change == "no rule" else [Outcome.REFUSED])


def test_a_freeze_keeps_the_deferred_promotion(
    run: Any, image_facts: KnownImageFacts, ledger: InMemoryLedger, deferred_promotions: InMemoryDeferredPromotions
) -> None:
    """What waited for its end is carried out then; until then nothing is recorded at each run."""
    image_facts.scans[IMAGE.digest] = Scan("COMPLETE")
    ledger.stops.append(Freeze(NOW - timedelta(days=1), None, "incident", None, None, by="ann"))

    assert run() == Reconciled(waiting=1)
    assert ledger.announced == []
    assert deferred_promotions.extended == [
        DeferredPromotion(REPOSITORY, IMAGE.digest, WAITING)
    ]  # however long the freeze lasts

    ledger.stops.clear()
    assert run() == Reconciled(finished=1)
    assert ledger.outcomes() == ["PROMOTED"]


def test_a_tag_that_is_elsewhere_is_told_and_noted(
    run: Any, registry: InMemoryRegistry, ledger: InMemoryLedger, deferred_promotions: InMemoryDeferredPromotions
) -> None:
    """Elsewhere, or gone; found where it should be again, it is drift no longer."""
    deferred_promotions.waiting.clear()
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


def test_a_tag_that_is_gone_is_told_once(
    run: Any, registry: InMemoryRegistry, ledger: InMemoryLedger, deferred_promotions: InMemoryDeferredPromotions
) -> None:
    """Lifecycle policies delete old tags: they must not hide the others, nor ring for ever."""
    deferred_promotions.waiting.clear()
    promote(request("build-1"), dependencies(POLICY, registry, ledger=ledger))
    del registry.tags["prod"]

    assert [head.drift for head in run().drifted] == ["none"]
    assert run().drifted == ()

    registry.tags["prod"] = OTHER
    assert [head.drift for head in run().drifted] == [OTHER.digest]


def test_drift_that_somebody_asked_for_is_taken_over(
    run: Any, registry: InMemoryRegistry, ledger: InMemoryLedger, deferred_promotions: InMemoryDeferredPromotions
) -> None:
    """A promotion onto where the tag is by now says that it is right there."""
    deferred_promotions.waiting.clear()
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


def test_what_was_taken_back_stays_taken_back(
    run: Any,
    registry: InMemoryRegistry,
    image_facts: KnownImageFacts,
    ledger: InMemoryLedger,
    deferred_promotions: InMemoryDeferredPromotions,
) -> None:
    """A deferred promotion, or a scan that comes late, does not bring the image again; a request does."""
    registry.tags |= {"staging": OTHER, "build-0": OTHER}
    image_facts.scans |= {IMAGE.digest: Scan("COMPLETE"), OTHER.digest: Scan("COMPLETE")}
    image_facts.pushes[OTHER.digest] = NOW - timedelta(days=1)
    here = dependencies(POLICY, registry, image_facts, ledger=ledger, now=lambda: NOW)
    (promotion,) = promotions_of("event-1")
    assert promote(promotion, here).outcome is Outcome.PROMOTED
    promote(rollback.promotion(ledger.records[promotion.promotion_id], rollback.Undo("p-back", "ann", None)), here)
    assert registry.tags["staging"] == OTHER

    assert run() == Reconciled(finished=1)
    (late,) = promotions_of("event-2")
    with pytest.raises(Superseded, match="rolled back"):
        promote(late, here)

    assert registry.tags["staging"] == OTHER
    assert ledger.outcomes() == ["PROMOTED", "PROMOTED", "REFUSED", "REFUSED"]


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

    done = Reconciler(here, runs(here), InMemoryDeferredPromotions(), lambda _: (), nobody, lambda _: True).run()

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
    run: Any, registry: InMemoryRegistry, ledger: InMemoryLedger, deferred_promotions: InMemoryDeferredPromotions
) -> None:
    """There is no right to look at them; they do not keep the others from being compared."""
    deferred_promotions.waiting.clear()
    elsewhere = Repository(REPOSITORY.registry_id, "left/web")
    ledger.heads[elsewhere, "prod"] = Head(elsewhere, "prod", IMAGE.digest, "p-0", NOW)

    assert run() == Reconciled()
    assert registry.reads == []


def test_tags_of_a_repository_that_is_gone_are_gone(
    ledger: InMemoryLedger, deferred_promotions: InMemoryDeferredPromotions
) -> None:
    """Which is drift."""
    ledger.heads[REPOSITORY, "prod"] = Head(REPOSITORY, "prod", IMAGE.digest, "p-0", NOW)
    here = dependencies(POLICY, Gone(gone=True), ledger=ledger, now=lambda: NOW)

    done = Reconciler(here, runs(here), InMemoryDeferredPromotions(), lambda _: (), nobody, lambda _: True).run()

    assert [head.drift for head in done.drifted] == ["none"]


def test_a_run_ends_when_its_time_is_over(run: Any, image_facts: KnownImageFacts) -> None:
    """What it did not come to is done by the next one."""
    image_facts.scans[IMAGE.digest] = Scan("COMPLETE")

    assert run(steps=0) == Reconciled(unfinished=("deferred promotions",))
    assert run(steps=1) == Reconciled(finished=1)


def test_what_fails_does_not_keep_the_rest_from_being_done(
    run: Any,
    ledger: InMemoryLedger,
    deferred_promotions: InMemoryDeferredPromotions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is told, and tried again by the next run."""
    monkeypatch.setattr(ledger, "abandoned", lambda: ["p-1"])
    monkeypatch.setattr(ledger, "lease", _fail)

    assert run() == Reconciled(stale=1, waiting=1, failures=("no answer",), failed=1)


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


def test_a_pending_promotion_stays_pending(run: Any, ledger: InMemoryLedger) -> None:
    """Nothing is recorded of what has not ended."""
    run()

    assert ScanPending.retryable
    assert ledger.announced == []


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
    done = Reconciler(here, runs(here), InMemoryDeferredPromotions(), lambda _: (), nobody, lambda _: True).run()

    assert (done.stale, done.settled, done.failed, done.failures) == (101, ("p-100",), 100, ("no answer",))


def test_a_deferred_promotion_whose_promotion_fails_is_a_failure_of_the_run(
    run: Any, image_facts: KnownImageFacts, registry: InMemoryRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again at each run, for days: somebody has to know."""
    image_facts.scans[IMAGE.digest] = Scan("COMPLETE")

    def put(*_: Any) -> bool:
        raise RegistryError("AccessDenied")

    monkeypatch.setattr(registry, "put", put)

    assert run() == Reconciled(waiting=1, failures=("AccessDenied",), failed=1)


def test_deferred_promotions_that_fail_do_not_hide_those_behind_them(ledger: InMemoryLedger) -> None:
    """However many there are."""

    class Stuck(InMemoryDeferredPromotions):
        def remove(self, deferred: DeferredPromotion) -> None:
            if deferred.image_digest != f"sha256:{249:064}":
                raise RegistryError("stuck")
            super().remove(deferred)

    deferred_promotions = Stuck({f"sha256:{number:064}": [WAITING] for number in range(250)})
    here = dependencies(POLICY, InMemoryRegistry(), ledger=ledger, now=lambda: NOW)

    done = Reconciler(here, runs(here), deferred_promotions, lambda _: (), nobody, lambda _: True).run()

    assert (done.finished, done.failed) == (1, 249)
