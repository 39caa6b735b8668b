"""What it costs to wait for the scans of an index, and that nothing is lost by waiting cheaply."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from promoter import wiring
from promoter.aws.dynamodb.deferred import BESIDES
from promoter.domain.findings import Scan
from promoter.domain.manifest import OCI_INDEX
from promoter.domain.model import ImageId, Manifest, Repository
from tests.handler.test_events import enhanced, pushed
from tests.support.ledgers import InMemoryLedger
from tests.support.registries import InMemoryDeferredPromotions, InMemoryRegistry, KnownImageFacts, manifest

Invoke = Callable[[dict[str, Any]], dict[str, Any]]
FINISHED = Scan("ACTIVE")


@dataclass
class Build:
    """An index that was pushed as build-7, and its platforms, which are scanned one after the other."""

    platforms: list[Manifest]
    index: Manifest
    invoke: Invoke
    image_facts: KnownImageFacts

    def push(self) -> None:
        self.invoke(pushed(**{"image-digest": self.index.digest}))

    def scan(self, number: int, *, tell: bool = True) -> None:
        self.image_facts.scans[self.platforms[number].digest] = FINISHED
        if tell:
            self.invoke(enhanced(**{"image-digest": self.platforms[number].digest, "image-tags": []}))


@pytest.fixture
def build(invoke: Invoke, registry: InMemoryRegistry, image_facts: KnownImageFacts) -> Callable[[int], Build]:
    """Make an index of so many platforms, none of them scanned; the function knows it."""

    def make(count: int) -> Build:
        platforms = [manifest(json.dumps({"platform": number})) for number in range(count)]
        entries = [{"digest": each.digest, "platform": {"os": "linux"}} for each in platforms]
        index = manifest(json.dumps({"manifests": entries}), OCI_INDEX)
        registry.untagged += platforms
        registry.tags["build-7"] = index
        image_facts.pushes |= {each.digest: datetime.now(UTC) for each in [index, *platforms]}
        return Build(platforms, index, invoke, image_facts)

    return make


@pytest.mark.parametrize("count", [2, 8, 9, 32])
def test_waiting_costs_in_proportion_to_the_platforms(
    build: Callable[[int], Build],
    deferred_promotions: InMemoryDeferredPromotions,
    registry: InMemoryRegistry,
    count: int,
) -> None:
    """Each deferred promotion is written and removed once, and each platform's findings are asked for five times.

    With more platforms than an item names, some more often.
    """
    image = build(count)

    image.push()
    for number in random.Random(count).sample(range(count), count):
        assert "staging" not in registry.tags
        image.scan(number)

    assert registry.tags["staging"] == image.index
    assert deferred_promotions.written == 2 * count
    assert len(image.image_facts.asked) <= (5 * count - 2 if count <= BESIDES + 1 else 9 * count)
    assert not any(deferred_promotions.waiting.values())


@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_order_and_however_often_the_index_is_promoted_once(
    build: Callable[[int], Build],
    registry: InMemoryRegistry,
    ledger: InMemoryLedger,
    deferred_promotions: InMemoryDeferredPromotions,
    seed: int,
) -> None:
    """Scans before and after the push, each event once or more: the last that is needed carries it out."""
    image, chance = build(5), random.Random(seed)
    steps = ["push", *range(5)]
    chance.shuffle(steps)
    told: list[Any] = []
    for step in steps:
        told.append(step)
        for again in [step, *chance.sample(told, chance.randrange(len(told)))]:
            if again == "push":
                image.push()
            else:
                image.scan(again)
        assert ("staging" in registry.tags) is (len(told) == 6)

    assert registry.tags["staging"] == image.index
    assert ledger.outcomes().count("PROMOTED") == 1  # type: ignore[arg-type]
    assert not any(deferred_promotions.waiting.values())


@dataclass
class Overtaken(KnownImageFacts):
    """ImageFacts of which one finishes right after it was looked at, before anybody waits for it."""

    overtakes: str = ""

    def scan(self, repository: Repository, image_digest: str) -> Scan:
        seen = super().scan(repository, image_digest)
        if image_digest == self.overtakes:
            self.scans[image_digest] = FINISHED
        return seen


def test_a_scan_that_finished_before_its_deferred_promotion_was_written_is_not_waited_for(
    build: Callable[[int], Build],
    registry: InMemoryRegistry,
    image_facts: KnownImageFacts,
    deferred_promotions: InMemoryDeferredPromotions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its event has come and found nobody: the second look sees it, and the other's event is the last."""
    image = build(2)
    overtaken = Overtaken(image_facts.scans, pushes=image_facts.pushes, overtakes=image.platforms[1].digest)
    monkeypatch.setattr(wiring, "image_facts", lambda: overtaken)

    image.push()

    assert deferred_promotions.waiting_for(Repository("", ""), image.platforms[1].digest) == ()
    image.scan(0)
    assert registry.tags["staging"] == image.index


def test_an_event_that_was_lost_holds_nothing_up(
    build: Callable[[int], Build], registry: InMemoryRegistry
) -> None:
    """Events are best effort: the next one sees what the lost one would have told."""
    image = build(3)
    image.push()
    image.scan(0)
    image.scan(1, tell=False)

    image.scan(2)

    assert registry.tags["staging"] == image.index


def test_a_scan_that_failed_refuses_at_the_next_event(
    build: Callable[[int], Build], ledger: InMemoryLedger
) -> None:
    """It is not waited for, although its own event was ignored."""
    image = build(2)
    image.push()
    image.image_facts.scans[image.platforms[0].digest] = Scan("FAILED")

    image.scan(1)

    assert ledger.outcomes() == ["REFUSED"]


def test_an_event_before_its_own_findings_comes_again(
    build: Callable[[int], Build], deferred_promotions: InMemoryDeferredPromotions
) -> None:
    """Though another scan is awaited too: that one may be over before these findings are there."""
    image = build(2)
    image.push()
    first = image.platforms[0].digest

    with pytest.raises(Exception, match="is being scanned"):
        image.invoke(enhanced(**{"image-digest": first, "image-tags": []}))

    assert deferred_promotions.waiting[first] == [ImageId("build-7", image.index.digest)]
