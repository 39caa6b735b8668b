"""Promotions by event that wait: what they keep meanwhile, and what happens to them at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from promoter.domain.answers import NotPromoted
from promoter.domain.errors import RegistryError
from promoter.domain.findings import Scan
from promoter.domain.manifest import OCI_INDEX
from promoter.domain.model import ImageId, Manifest, Outcome, Repository
from promoter.domain.ports import Found
from promoter.domain.records import Record
from promoter.domain.rule import Freeze
from promoter.promotion import promote as use_case
from promoter.promotion import waiting
from promoter.promotion.recovery import recover
from tests.support.answers import held, promote
from tests.support.ledgers import InMemoryLedger, InMemoryWakeUps, dependencies
from tests.support.policies import gate, policy, rule
from tests.support.promotions import NEW, NOW, OLD, scan_of
from tests.support.registries import FailingRegistry, InMemoryRegistry, KnownImageFacts, manifest

TWO_TAGS = policy(
    rule(
        name="staging",
        on="scan",
        to=["staging", "canary"],
        gate=gate(findings={"HIGH": 0}),
        **{"from": "build-.*"},
    )
)
FREEZE = Freeze(NOW - timedelta(hours=1), None, "incident 7", None, None)


@pytest.fixture
def ledger() -> InMemoryLedger:
    return InMemoryLedger(lambda: NOW)


@pytest.fixture
def image_facts() -> KnownImageFacts:
    return KnownImageFacts(pushes={NEW.digest: NOW, OLD.digest: NOW - timedelta(days=1)})


def put_before(record: Record) -> list[tuple[str, str, str | None]]:
    return [(move.image_tag, move.outcome, move.previous_digest) for move in record.moves]


def test_what_an_event_had_put_before_it_had_to_wait_stays_in_its_record(
    ledger: InMemoryLedger, image_facts: KnownImageFacts
) -> None:
    """A rollback of the promotion takes back all its tags, not only those that were put after the wait."""
    image_facts.scans[NEW.digest] = Scan("COMPLETE")
    registry = FailingRegistry(
        {"build-1": NEW, "staging": OLD}, failing_tag="canary", failure=RegistryError("down")
    )
    here = dependencies(TWO_TAGS, registry, image_facts, ledger=ledger)
    event = scan_of(NEW, "build-1")
    assert use_case.promote(event, here).outcome is Outcome.FAILED

    ledger.stops.append(FREEZE)
    waits = held(event, here)  # the event comes again
    assert put_before(waits) == [("staging", "PROMOTED", OLD.digest)]

    ledger.stops.clear()
    registry.failure = None
    promote(event, here)
    assert put_before(ledger.records["p-1"]) == [
        ("staging", "PROMOTED", OLD.digest),
        ("canary", "PROMOTED", None),
    ]


@dataclass
class Overtaken(InMemoryRegistry):
    """A registry that fails once, at a moment when something else happens."""

    happens: Callable[[], object] | None = None

    def read(self, repository: Repository, image_ids: Sequence[ImageId]) -> dict[ImageId, Found]:
        happens, self.happens = self.happens, None
        if happens:
            happens()
            raise RegistryError("no answer")
        return super().read(repository, image_ids)


def test_a_promotion_that_somebody_else_carries_out_by_now_is_not_answered_as_done(
    ledger: InMemoryLedger, image_facts: KnownImageFacts
) -> None:
    """Two events wake it at once: the second one finds the lease, and nothing is known yet of how it ends."""
    registry = Overtaken({"build-1": NEW})
    here = dependencies(TWO_TAGS, registry, image_facts, ledger=ledger)
    waits = held(scan_of(NEW, "build-1"), here)

    def leased() -> None:
        ledger.records["p-1"] = replace(waits, outcome=None)

    registry.happens = leased
    resumed = waiting.resume("p-1", here)

    assert resumed is not None
    assert isinstance(resumed[1], NotPromoted)
    assert resumed[1].error.code == "tag_busy"


def test_two_events_that_wake_it_at_once_carry_it_out_once(
    ledger: InMemoryLedger, image_facts: KnownImageFacts
) -> None:
    """The one that failed is told how the other one ended."""
    registry = Overtaken({"build-1": NEW})
    here = dependencies(TWO_TAGS, registry, image_facts, ledger=ledger)
    held(scan_of(NEW, "build-1"), here)
    image_facts.scans[NEW.digest] = Scan("COMPLETE")
    registry.happens = lambda: waiting.resume("p-1", here)

    resumed = waiting.resume("p-1", here)

    assert resumed is not None
    assert (resumed[1].outcome, resumed[1].repeated) == ("PROMOTED", True)
    assert ledger.outcomes() == ["PROMOTED"]


AMD, ARM = manifest('{"arch": "amd64"}'), manifest('{"arch": "arm64"}')
INDEX = manifest(json.dumps({"manifests": [{"digest": AMD.digest}, {"digest": ARM.digest}]}), OCI_INDEX)


def test_scans_and_the_signature_wake_a_promotion_independently(
    ledger: InMemoryLedger, image_facts: KnownImageFacts
) -> None:
    """A wake-up names only other scans beside its own.

    The signature may have come without its event: whoever scans last must not leave the promotion to it.
    """
    image_facts.pushes |= dict.fromkeys([INDEX.digest, AMD.digest, ARM.digest], NOW)
    wake_ups = InMemoryWakeUps()
    rules = policy(
        rule(name="staging", on="scan", gate=gate(findings={"HIGH": 0}, signed=True), **{"from": "build-.*"})
    )
    registry = InMemoryRegistry({"build-1": INDEX}, untagged=[AMD, ARM])

    held(scan_of(INDEX, "build-1"), dependencies(rules, registry, image_facts, ledger=ledger, wake_ups=wake_ups))

    assert {digest: each.others for (digest, _), each in wake_ups.found.items()} == {
        AMD.digest: (ARM.digest,),
        ARM.digest: (AMD.digest,),
        INDEX.digest: (),
    }


def test_a_promotion_that_was_interrupted_while_it_was_carried_out_waits_again(
    ledger: InMemoryLedger, image_facts: KnownImageFacts
) -> None:
    """The function died under its lease: what it had put is in the record, and reconcile does the rest."""
    now = [NOW]
    ledger.clock = lambda: now[0]
    registry = InMemoryRegistry({"build-1": NEW, "staging": OLD})
    here = dependencies(TWO_TAGS, registry, image_facts, ledger=ledger)
    held(scan_of(NEW, "build-1"), here)
    image_facts.scans[NEW.digest] = Scan("COMPLETE")
    with pytest.raises(ZeroDivisionError):
        waiting.resume("p-1", replace(here, registry=Dying(registry.tags)))
    now[0] += timedelta(minutes=1)

    recover("p-1", here)

    record = ledger.records["p-1"]
    assert (record.outcome, record.waiting_for) == ("WAITING", ("interrupted",))
    assert put_before(record) == [("staging", "PROMOTED", OLD.digest), ("canary", "PLANNED", None)]
    assert ledger.announced == []
    waiting.resume("p-1", here)
    assert put_before(ledger.records["p-1"]) == [
        ("staging", "PROMOTED", OLD.digest),
        ("canary", "PROMOTED", None),
    ]
    assert ledger.outcomes() == ["PROMOTED"]


@dataclass
class Dying(InMemoryRegistry):
    """A registry during whose second put the function is killed."""

    def put(self, repository: Repository, manifest: Manifest, image_tag: str) -> bool:
        if self.puts:
            raise ZeroDivisionError
        return super().put(repository, manifest, image_tag)
