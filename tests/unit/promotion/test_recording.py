"""What is recorded, and what a repeat is answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from promoter.domain.errors import (
    IdempotencyConflict,
    LedgerError,
    ScanPending,
    TagChanged,
)
from promoter.domain.findings import Finding, Scan
from promoter.domain.leasing import Abandoned, Begun, Kept, LeaseLost, Recorded
from promoter.domain.leasing import Busy as IsBusy
from promoter.domain.model import Outcome
from promoter.domain.records import Lease, Record
from promoter.promotion import promote as use_case
from promoter.promotion.dependencies import Dependencies
from tests.support.answers import promote, stopped
from tests.support.ledgers import NOTHING, InMemoryLedger, dependencies
from tests.support.policies import gate, policy, rule
from tests.support.promotions import ANY_TAG, NEW, OLD, OTHER, promotion
from tests.support.registries import InMemoryRegistry, KnownImageFacts


@pytest.fixture
def registry() -> InMemoryRegistry:
    return InMemoryRegistry({"new": NEW, "other": OTHER, "prod": OLD})


@dataclass
class Forgetful(InMemoryLedger):
    """A ledger that fails at one of its calls."""

    fails_at: str = ""

    def begin(self, record: Record, seen: Any, versions: Any, after: Any = None, exact: Any = NOTHING) -> Begun:
        self._fail("begin")
        return super().begin(record, seen, versions, after, exact)

    def finish(self, lease: Lease, record: Record) -> LeaseLost | None:
        self._fail("finish")
        return super().finish(lease, record)

    def _fail(self, call: str) -> None:
        if self.fails_at == call:
            raise LedgerError("the table is gone")


def test_nothing_is_put_without_a_recorded_intent(registry: InMemoryRegistry) -> None:
    """A ledger that cannot be written stops the promotion."""
    with pytest.raises(LedgerError):
        promote(promotion(), dependencies(ANY_TAG, registry, ledger=Forgetful(fails_at="begin")))
    assert registry.puts == []


def test_a_record_that_fails_says_what_was_put(registry: InMemoryRegistry) -> None:
    """The caller knows that the tag has moved; the ledger will, once the lease is over."""
    failed = stopped(promotion(), dependencies(ANY_TAG, registry, ledger=Forgetful(fails_at="finish")))
    assert isinstance(failed.error, LedgerError)

    assert [move.outcome for move in failed.moves] == ["PROMOTED"]
    assert failed.image_digest == NEW.digest


def test_a_repeat_is_told_the_first_answer_whatever_is_in_its_way_now() -> None:
    """A scan is under way again, or the repository is gone."""
    ledger = InMemoryLedger()
    image_facts = KnownImageFacts({NEW.digest: Scan("COMPLETE")})
    inner = dependencies(
        policy(rule(gate=gate(findings={"HIGH": 0}))), InMemoryRegistry({"new": NEW}), image_facts, ledger=ledger
    )
    promote(promotion(fingerprint="f"), inner)
    image_facts.scans[NEW.digest] = Scan("IN_PROGRESS")

    assert promote(promotion(fingerprint="f"), inner).repeated
    with pytest.raises(ScanPending):
        promote(promotion(fingerprint="f", promotion_id="p-2"), inner)


def repeated(inner: Dependencies, **members: Any) -> Any:
    """Send the same promotion twice; return the second answer, which is of the same kind as the first."""
    with_key = promotion(fingerprint="f", **members)
    first, again = use_case.promote(with_key, inner), use_case.promote(with_key, inner)
    assert type(again) is type(first)
    return again


def test_a_repeat_is_told_the_first_answer(registry: InMemoryRegistry) -> None:
    """Also when the tag has moved on since, and without a further record."""
    ledger = InMemoryLedger()
    inner = dependencies(ANY_TAG, registry, ledger=ledger)
    promote(promotion(fingerprint="f"), inner)
    promote(promotion("other", promotion_id="p-2"), inner)

    again = promote(promotion(fingerprint="f"), inner)

    assert (again.outcome, again.moves[0].previous_digest, again.manifest) == ("PROMOTED", OLD.digest, NEW)
    assert again.repeated
    assert len(ledger.announced) == 2
    assert registry.tags["prod"] == OTHER


def test_a_repeated_refusal_is_told_again(registry: InMemoryRegistry) -> None:
    """With its reasons."""
    image_facts = KnownImageFacts({NEW.digest: Scan("COMPLETE", (Finding("CVE-1", "CRITICAL", ("a",)),))})
    gated = policy(rule(gate=gate(findings={"CRITICAL": 0})))
    ledger = InMemoryLedger()

    again = repeated(dependencies(gated, registry, image_facts, ledger=ledger))

    assert again.repeated
    assert (again.error.code, again.error.reasons[0].vulnerability) == ("gate_refused", "CVE-1")
    assert ledger.outcomes() == ["REFUSED"]


def test_a_key_of_another_request_is_a_conflict(registry: InMemoryRegistry) -> None:
    """Nothing is done and nothing recorded."""
    ledger = InMemoryLedger()
    promote(promotion(fingerprint="f"), dependencies(ANY_TAG, registry, ledger=ledger))

    with pytest.raises(IdempotencyConflict):
        promote(promotion("other", fingerprint="g"), dependencies(ANY_TAG, registry, ledger=ledger))
    assert len(ledger.announced) == 1
    assert registry.tags["prod"] == NEW


def test_a_dry_run_leaves_no_trace(registry: InMemoryRegistry) -> None:
    """No call of the ledger at all."""
    ledger = InMemoryLedger()

    assert (
        promote(promotion(dry_run=True), dependencies(ANY_TAG, registry, ledger=ledger)).outcome is Outcome.PLANNED
    )
    with pytest.raises(TagChanged):
        promote(
            promotion(dry_run=True, expected_digests={"prod": None}),
            dependencies(ANY_TAG, registry, ledger=ledger),
        )
    assert ledger.calls == []


@dataclass
class Restored(InMemoryLedger):
    """A ledger that is restored to a time before the lease, while the tag is being put."""

    def finish(self, lease: Lease, record: Record) -> LeaseLost | None:
        self.held.clear()
        return super().finish(lease, record)


def test_a_lease_that_a_restore_took_is_a_failure_that_names_the_tags(registry: InMemoryRegistry) -> None:
    """The tag was put, and the record is open: reconcile recovers it."""
    ledger = Restored()

    answer = stopped(promotion(), dependencies(ANY_TAG, registry, ledger=ledger))

    assert isinstance(answer.error, LedgerError)
    assert "no longer holds prod" in answer.error.detail
    assert [move.image_tag for move in answer.moves] == ["prod"]
    assert ledger.announced == []


@dataclass
class Recording(InMemoryLedger):
    """A ledger that answers what the test says when an outcome is to be recorded, so often."""

    answer: Kept = field(default_factory=Recorded)
    times: int = 1000

    def record(self, record: Record, after: Record | None = None) -> Kept:
        if self.times:
            self.times -= 1
            return self.answer
        return super().record(record, after)


NOT_THERE = promotion("missing")


def test_a_refusal_that_another_attempt_is_recording_is_busy(registry: InMemoryRegistry) -> None:
    """Two deliveries at once: the second one comes again, and finds the record."""
    ledger = Recording(answer=IsBusy("This promotion is being recorded. Retry."))

    answer = stopped(NOT_THERE, dependencies(ANY_TAG, registry, ledger=ledger))

    assert (answer.error.code, answer.error.detail) == ("tag_busy", "This promotion is being recorded. Retry.")


def test_a_refusal_is_recorded_once_what_was_interrupted_is_recovered(registry: InMemoryRegistry) -> None:
    """An earlier attempt with the same id had died."""
    ledger = Recording(answer=Abandoned("p-1"), times=1)

    answer = stopped(NOT_THERE, dependencies(ANY_TAG, registry, ledger=ledger))

    assert (answer.error.code, ledger.outcomes()) == ("source_not_found", ["FAILED"])


def test_a_refusal_that_can_never_be_recorded_ends(registry: InMemoryRegistry) -> None:
    """Not by trying for ever."""
    ledger = Recording(answer=Abandoned("p-1"))

    assert stopped(NOT_THERE, dependencies(ANY_TAG, registry, ledger=ledger)).error.code == "tag_busy"


def test_a_table_that_is_gone_is_said_so(registry: InMemoryRegistry) -> None:
    """The refusal cannot be recorded either."""
    ledger = InMemoryLedger()
    ledger.record = lambda *_: (_ for _ in ()).throw(LedgerError("the table is gone"))  # type: ignore[method-assign]

    assert stopped(NOT_THERE, dependencies(ANY_TAG, registry, ledger=ledger)).error.code == "ledger_error"
