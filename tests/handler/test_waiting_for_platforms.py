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
from promoter.aws.dynamodb.wake_ups import OTHERS
from promoter.domain.findings import Scan
from promoter.domain.manifest import OCI_INDEX
from promoter.domain.model import Manifest, Outcome, Repository
from promoter.domain.records import Record
from tests.handler.test_events import basic, enhanced, pushed
from tests.handler.test_waiting_events import FINISHED, Invoke, Logs, only
from tests.support.ledgers import InMemoryLedger, InMemoryWakeUps
from tests.support.registries import InMemoryRegistry, KnownImageFacts, manifest


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
    wake_ups: InMemoryWakeUps,
    registry: InMemoryRegistry,
    count: int,
) -> None:
    """Each wake-up is written and removed once, and each platform's findings are asked for five times.

    With more platforms than an item names, some more often.
    """
    image = build(count)

    image.push()
    for number in random.Random(count).sample(range(count), count):
        assert "staging" not in registry.tags
        image.scan(number)

    assert registry.tags["staging"] == image.index
    assert wake_ups.written == count
    assert len(image.image_facts.asked) <= (5 * count - 2 if count <= OTHERS + 1 else 9 * count)
    assert wake_ups.found == {}


@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_order_and_however_often_the_index_is_promoted_once(
    build: Callable[[int], Build],
    registry: InMemoryRegistry,
    ledger: InMemoryLedger,
    wake_ups: InMemoryWakeUps,
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
    assert ledger.outcomes() == ["PROMOTED"]
    assert wake_ups.found == {}


@dataclass
class Overtaken(KnownImageFacts):
    """ImageFacts of which one finishes right after it was looked at, before anybody waits for it."""

    overtakes: str = ""

    def scan(self, repository: Repository, image_digest: str) -> Scan:
        seen = super().scan(repository, image_digest)
        if image_digest == self.overtakes:
            self.scans[image_digest] = FINISHED
        return seen


def test_a_scan_that_finished_before_its_wake_up_was_written_is_not_waited_for(
    build: Callable[[int], Build],
    registry: InMemoryRegistry,
    image_facts: KnownImageFacts,
    ledger: InMemoryLedger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its event has come and found nobody: the second look sees it, and the other's event is the last."""
    image = build(2)
    overtaken = Overtaken(image_facts.scans, pushes=image_facts.pushes, overtakes=image.platforms[1].digest)
    monkeypatch.setattr(wiring, "image_facts", lambda: overtaken)

    image.push()

    assert [reason.image_digest for reason in only(ledger).reasons] == [image.platforms[0].digest]
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
    build: Callable[[int], Build], wake_ups: InMemoryWakeUps
) -> None:
    """Though another scan is awaited too: that one may be over before these findings are there."""
    image = build(2)
    image.push()
    first = image.platforms[0].digest

    with pytest.raises(Exception, match="is being scanned"):
        image.invoke(enhanced(**{"image-digest": first, "image-tags": []}))

    assert [each.image_digest for each in wake_ups.found.values()] == [each.digest for each in image.platforms]


def test_a_push_and_all_its_scans_are_one_promotion(
    build: Callable[[int], Build], ledger: InMemoryLedger, registry: InMemoryRegistry, invoke: Invoke, logs: Logs
) -> None:
    """One record, under the promotionId of the event that came first, however many events an image has."""
    image = build(3)
    (first,) = invoke(pushed(**{"image-digest": image.index.digest}) | {"id": "push-1"})["promotions"]
    told = [
        pushed(**{"image-digest": image.index.digest}) | {"id": "push-2"},
        basic(**{"image-digest": image.index.digest}) | {"id": "scan-of-index"},
    ]
    for event in told:
        (joined,) = invoke(event)["promotions"]
        assert joined == first
    assert {each["promotion_id"] for each in logs() if "promotion_id" in each} == {first["promotionId"]}
    for number in range(3):
        image.scan(number)
    for event in told:
        invoke(event)

    record = only_of(ledger, first["promotionId"])
    assert (record.outcome, record.image_tags) == ("PROMOTED", ("staging", "staging-7"))
    assert registry.puts == ["staging", "staging-7"]


def only_of(ledger: InMemoryLedger, promotion_id: str) -> Record:
    """Return the record of a promotion; the others found everything done and moved nothing."""
    others = [each for each in ledger.records.values() if each.promotion_id != promotion_id]
    assert {each.outcome for each in others} <= {Outcome.UNCHANGED}
    return ledger.records[promotion_id]
