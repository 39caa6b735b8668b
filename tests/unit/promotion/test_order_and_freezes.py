"""A late scan moves no tag back, and what passes with time is waited for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from promoter.domain.errors import (
    Frozen,
    GateRefused,
    Superseded,
)
from promoter.domain.findings import Finding, Scan
from promoter.domain.model import ImageId, Manifest, Outcome, Repository, Source
from promoter.domain.rule import Freeze
from promoter.promotion import waiting
from tests.support.answers import held, promote
from tests.support.ledgers import InMemoryLedger, dependencies
from tests.support.policies import gate, policy, rule
from tests.support.promotions import ANY_TAG, NEW, NOW, OLD, OTHER, SCANS, promotion, scan_of
from tests.support.registries import InMemoryRegistry, KnownImageFacts


@pytest.fixture
def registry() -> InMemoryRegistry:
    return InMemoryRegistry({"new": NEW, "other": OTHER, "prod": OLD})


BAD = Scan("COMPLETE", (Finding("CVE-1", "CRITICAL", ("a",)),))


@pytest.mark.parametrize(
    ("of_newer", "ends", "image"),
    [(Scan("COMPLETE"), ["PROMOTED", "REFUSED"], NEW), (BAD, ["REFUSED", "PROMOTED"], OLD)],
)
def test_of_two_builds_that_wait_the_newest_that_passes_wins(
    of_newer: Scan, ends: list[str], image: Manifest
) -> None:
    """Events do not supersede each other while they wait: the newer build may be refused, and the older pass."""
    unfinished = {OLD.digest: Scan("PENDING"), NEW.digest: Scan("PENDING")}
    image_facts = KnownImageFacts(unfinished, pushes={OLD.digest: NOW - timedelta(hours=1), NEW.digest: NOW})
    registry = InMemoryRegistry({"build-1": OLD, "build-2": NEW})
    gated = {"on": "scan", "to": ["staging"], "from": "build-.*", "gate": gate(findings={"CRITICAL": 0})}
    here = dependencies(policy(rule(name="staging", **gated)), registry, image_facts)
    older = held(replace(scan_of(OLD, "build-1"), promotion_id="p-old"), here)
    newer = held(replace(scan_of(NEW, "build-2"), promotion_id="p-new"), here)
    image_facts.scans |= {OLD.digest: Scan("COMPLETE"), NEW.digest: of_newer}

    ended = [waiting.resume(each.promotion_id, here) for each in (newer, older)]

    assert [answer.outcome for _, answer in filter(None, ended)] == ends
    assert registry.tags["staging"] == image


def test_a_late_scan_of_an_older_image_is_superseded() -> None:
    """By the time of the push; the tag stays, and the refusal is recorded."""
    image_facts = KnownImageFacts(
        {OLD.digest: Scan("COMPLETE"), NEW.digest: Scan("COMPLETE")},
        pushes={OLD.digest: NOW - timedelta(hours=1), NEW.digest: NOW},
    )
    registry = InMemoryRegistry({"build-1": OLD, "build-2": NEW, "staging": NEW})
    ledger = InMemoryLedger()

    with pytest.raises(Superseded, match="after"):
        promote(scan_of(OLD, "build-1"), dependencies(SCANS, registry, image_facts, ledger=ledger))

    assert registry.tags["staging"] == NEW
    assert ledger.outcomes() == ["REFUSED"]


@dataclass
class Undated(KnownImageFacts):
    """ImageFacts of a registry that does not say when one image was pushed."""

    def pushed(self, repository: Repository, image_digests: Sequence[str]) -> dict[str, datetime]:
        return {digest: at for digest, at in self.pushes.items() if digest in image_digests}


@pytest.mark.parametrize("known", [OLD, NEW])
def test_a_scan_moves_no_tag_where_the_order_is_not_known(known: Manifest) -> None:
    """Fail closed: somebody may ask for it."""
    image_facts = Undated({NEW.digest: Scan("COMPLETE")}, pushes={known.digest: NOW})
    registry = InMemoryRegistry({"build-2": NEW, "staging": OLD})

    with pytest.raises(Superseded, match="does not say"):
        promote(scan_of(NEW, "build-2"), dependencies(SCANS, registry, image_facts))
    assert registry.tags["staging"] == OLD


def test_a_scan_of_a_newer_image_moves_the_tag() -> None:
    """And a person may go back whenever they like: the order is for scans only."""
    image_facts = KnownImageFacts(
        {OLD.digest: Scan("COMPLETE"), NEW.digest: Scan("COMPLETE")},
        pushes={OLD.digest: NOW - timedelta(hours=1), NEW.digest: NOW},
    )
    registry = InMemoryRegistry({"build-1": OLD, "build-2": NEW, "staging": OLD, "prod": NEW})

    promote(scan_of(NEW, "build-2"), dependencies(SCANS, registry, image_facts))
    promote(promotion("build-1"), dependencies(ANY_TAG, registry, image_facts))

    assert (registry.tags["staging"], registry.tags["prod"]) == (NEW, OLD)


def test_a_scan_waits_for_what_passes_with_time() -> None:
    """A request for the same image is refused: somebody stands there who can come again."""
    asked = gate(findings={}, signed=True)
    image_facts = KnownImageFacts({NEW.digest: Scan("COMPLETE")}, pushes={NEW.digest: NOW})
    registry = InMemoryRegistry({"build-1": NEW})
    rules = policy(rule(name="staging", on="scan", to=["staging"], gate=asked, **{"from": "build-.*"}))

    waits = held(scan_of(NEW, "build-1"), dependencies(rules, registry, image_facts))
    assert waits.waiting_for == ("unsigned",)
    with pytest.raises(GateRefused):
        promote(promotion("build-1"), dependencies(policy(rule(gate=asked)), registry, image_facts))


def test_soak_begins_when_the_image_reached_the_source_tag(registry: InMemoryRegistry) -> None:
    """Where the ledger saw it; an image that was built long ago is new to staging all the same."""
    ledger = InMemoryLedger(lambda: NOW)
    image_facts = KnownImageFacts(pushes={NEW.digest: NOW - timedelta(days=30)})
    soaking = policy(rule(gate=gate(soak=24 * 3600)), rule(name="s", to=["staging"]))

    def attempt(at: datetime, **members: Any) -> Any:
        ledger.clock = lambda: at
        return promote(
            promotion(**members), dependencies(soaking, registry, image_facts, ledger=ledger, now=lambda: at)
        )

    attempt(NOW, image_tags=("staging",), promotion_id="p-0")
    with pytest.raises(GateRefused, match="2026-11-24T12:00:00Z"):
        attempt(NOW + timedelta(hours=23), source=Source(ImageId("staging")), image_tags=("prod",))

    later = attempt(
        NOW + timedelta(hours=25), source=Source(ImageId("staging")), image_tags=("prod",), promotion_id="p-2"
    )
    assert later.outcome is Outcome.PROMOTED


def test_an_operators_freeze_names_who_and_why(registry: InMemoryRegistry) -> None:
    """It is recorded, and does not stand once it is lifted."""
    ledger = InMemoryLedger(stops=[Freeze(NOW - timedelta(hours=1), None, "incident 7", None, None, by="ann")])
    inner = dependencies(ANY_TAG, registry, ledger=ledger)

    with pytest.raises(Frozen, match=r"until it is lifted: incident 7 \(by ann\)"):
        promote(promotion(), inner)
    assert ledger.outcomes() == ["REFUSED"]

    ledger.stops.clear()
    assert promote(promotion(), inner).outcome is Outcome.PROMOTED


def test_a_dry_run_says_that_an_operator_froze_it(registry: InMemoryRegistry) -> None:
    """It tells what would happen, and leaves no record."""
    ledger = InMemoryLedger(stops=[Freeze(NOW - timedelta(hours=1), None, "incident 7", None, None, by="ann")])

    with pytest.raises(Frozen):
        promote(promotion(dry_run=True), dependencies(ANY_TAG, registry, ledger=ledger))
    assert ledger.announced == []


def test_an_event_waits_for_the_end_of_a_freeze() -> None:
    """Nobody is told that it was refused. When it is lifted, the promotion that waits is carried out."""
    ledger = InMemoryLedger(stops=[Freeze(NOW - timedelta(hours=1), None, "incident 7", None, None)])
    image_facts = KnownImageFacts({NEW.digest: Scan("COMPLETE")})
    frozen = dependencies(SCANS, InMemoryRegistry({"build-1": NEW}), image_facts, ledger=ledger)

    assert held(scan_of(NEW, "build-1"), frozen).waiting_for == ("frozen",)
    assert ledger.announced == []

    ledger.stops.clear()
    assert promote(scan_of(NEW, "build-1"), frozen).outcome is Outcome.PROMOTED
    assert ledger.outcomes() == ["PROMOTED"]


def test_a_dry_run_of_an_event_does_not_wait() -> None:
    """It tells what would happen, and leaves no record."""
    ledger = InMemoryLedger(stops=[Freeze(NOW - timedelta(hours=1), None, "incident 7", None, None)])
    frozen = dependencies(SCANS, InMemoryRegistry({"build-1": NEW}), ledger=ledger)

    with pytest.raises(Frozen):
        promote(replace(scan_of(NEW, "build-1"), dry_run=True), frozen)
    assert ledger.records == {}
