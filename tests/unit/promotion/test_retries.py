"""A retry inherits what an earlier attempt has put."""

from __future__ import annotations

import pytest

from promoter.domain import rollback
from promoter.domain.errors import (
    GateRefused,
    TagChanged,
    Throttled,
)
from promoter.domain.findings import Finding, Scan
from promoter.domain.model import Outcome
from tests.support.answers import promote, stopped
from tests.support.ledgers import InMemoryLedger, dependencies
from tests.support.policies import gate, policy, rule
from tests.support.promotions import ANY_TAG, NEW, OLD, OTHER, Ticking, promotion
from tests.support.registries import FailingRegistry, KnownImageFacts


def test_a_failure_half_way_is_recorded_with_what_was_put() -> None:
    """And the tags are free again."""
    ledger = InMemoryLedger()
    failing = FailingRegistry({"new": NEW}, failing_tag="b", failure=Throttled("slow down"))

    with pytest.raises(Throttled):
        promote(promotion(image_tags=("a", "b")), dependencies(ANY_TAG, failing, ledger=ledger, now=Ticking()))

    (record,) = ledger.announced
    assert (record.outcome, record.code) == ("FAILED", "throttled")
    assert [move.image_tag for move in record.moves] == ["a"]
    assert ledger.held == {}


def test_a_retry_keeps_what_the_first_try_has_put() -> None:
    """In the answer and the record, so that all of it can be taken back."""
    ledger = InMemoryLedger()
    registry = FailingRegistry(
        {"new": NEW, "a": OLD, "b": OLD}, untagged=[OLD], failing_tag="b", failure=Throttled("slow down")
    )
    inner = dependencies(ANY_TAG, registry, ledger=ledger, now=Ticking())
    two = promotion(image_tags=("a", "b"), fingerprint="f")
    with pytest.raises(Throttled):
        promote(two, inner)
    registry.failure = None

    answer = promote(two, inner)

    assert [(move.outcome, move.previous_digest) for move in answer.moves] == [("PROMOTED", OLD.digest)] * 2
    assert ledger.records["p-1"].moves == answer.moves
    back = promote(rollback.promotion(ledger.records["p-1"], rollback.Undo("p-2", "ann", None)), inner)
    assert [move.image_tag for move in back.moves] == ["a", "b"]
    assert registry.tags["a"] == registry.tags["b"] == OLD


def test_a_retry_expects_what_the_first_try_expected() -> None:
    """The tag that it has put itself is no change that somebody else has made."""
    ledger = InMemoryLedger()
    registry = FailingRegistry({"new": NEW, "a": OLD, "b": OLD}, failing_tag="b", failure=Throttled("slow down"))
    inner = dependencies(ANY_TAG, registry, ledger=ledger, now=Ticking())
    two = promotion(image_tags=("a", "b"), fingerprint="f", expected_digests={"a": OLD.digest, "b": OLD.digest})
    with pytest.raises(Throttled):
        promote(two, inner)
    registry.failure = None

    assert [move.outcome for move in promote(two, inner).moves] == ["PROMOTED", "PROMOTED"]


def test_a_retry_does_not_excuse_what_somebody_else_has_moved() -> None:
    """Then it is refused as it would have been."""
    ledger = InMemoryLedger()
    registry = FailingRegistry(
        {"new": NEW, "other": OTHER, "a": OLD, "b": OLD}, failing_tag="b", failure=Throttled("slow down")
    )
    inner = dependencies(ANY_TAG, registry, ledger=ledger, now=Ticking())
    two = promotion(image_tags=("a", "b"), fingerprint="f", expected_digests={"a": OLD.digest, "b": OLD.digest})
    with pytest.raises(Throttled):
        promote(two, inner)
    registry.failure = None
    promote(promotion("other", promotion_id="p-2", image_tags=("b",)), inner)

    with pytest.raises(TagChanged):
        promote(two, inner)
    assert registry.tags["b"] == OTHER


def test_a_rollback_that_got_half_way_can_be_finished() -> None:
    """By the same call again, and by another."""
    for again in ("p-2", "p-3"):
        ledger = InMemoryLedger()
        registry = FailingRegistry({"new": NEW, "a": OLD, "b": OLD}, untagged=[OLD, NEW])
        inner = dependencies(ANY_TAG, registry, ledger=ledger, now=Ticking())
        promote(promotion(image_tags=("a", "b")), inner)
        done = ledger.records["p-1"]
        registry.failing_tag, registry.failure = "b", Throttled("slow down")
        with pytest.raises(Throttled):
            promote(rollback.promotion(done, rollback.Undo("p-2", "ann", None)), inner)
        registry.failure = None

        promote(rollback.promotion(done, rollback.Undo(again, "ann", None)), inner)

        assert registry.tags["a"] == registry.tags["b"] == OLD


def test_a_retry_that_has_nothing_left_to_do_says_what_was_done() -> None:
    """Here somebody else has put the other tag meanwhile."""
    ledger = InMemoryLedger()
    registry = FailingRegistry({"new": NEW, "a": OLD}, failing_tag="b", failure=Throttled("slow down"))
    inner = dependencies(ANY_TAG, registry, ledger=ledger, now=Ticking())
    two = promotion(image_tags=("a", "b"), fingerprint="f")
    with pytest.raises(Throttled):
        promote(two, inner)
    registry.tags["b"] = NEW

    answer = promote(two, inner)

    assert [move.outcome for move in answer.moves] == ["PROMOTED", "UNCHANGED"]
    assert answer.outcome is Outcome.PROMOTED
    assert ledger.records["p-1"].moves == answer.moves


def test_a_retry_that_is_refused_says_what_the_first_try_has_put() -> None:
    """The image is still there under that tag."""
    ledger = InMemoryLedger()
    image_facts = KnownImageFacts({NEW.digest: Scan("COMPLETE")})
    gated = policy(rule(to_matching=[".*"], gate=gate(findings={"HIGH": 0})))
    registry = FailingRegistry({"new": NEW, "a": OLD}, failing_tag="b", failure=Throttled("slow down"))
    inner = dependencies(gated, registry, image_facts, ledger=ledger, now=Ticking())
    two = promotion(image_tags=("a", "b"), fingerprint="f")
    with pytest.raises(Throttled):
        promote(two, inner)
    image_facts.scans[NEW.digest] = Scan("COMPLETE", (Finding("CVE-1", "HIGH", ("openssl",)),))

    refused = stopped(two, inner)
    assert isinstance(refused.error, GateRefused)

    assert [(move.image_tag, move.outcome) for move in refused.moves] == [("a", "PROMOTED")]
    record = ledger.records["p-1"]
    assert (record.outcome, record.image_digest, record.moves) == ("REFUSED", NEW.digest, refused.moves)
