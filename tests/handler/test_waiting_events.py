"""Events whose promotions wait: one record for a push and its scans, which wakes, waits on, and ends once."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from promoter import wiring
from promoter.domain.errors import LedgerError, Throttled
from promoter.domain.findings import Finding, Scan
from promoter.domain.model import Manifest, Outcome
from promoter.domain.records import Record
from promoter.domain.rule import Freeze
from promoter.domain.waiting import LONGEST
from tests.handler.conftest import Sqs
from tests.handler.test_events import IMAGE, basic, enhanced, pushed
from tests.support.ledgers import InMemoryLedger, InMemoryWaiting, InMemoryWakeUps
from tests.support.policies import gate, policy, rule
from tests.support.registries import REPOSITORY, InMemoryRegistry, KnownImageFacts

Invoke = Callable[[dict[str, Any]], dict[str, Any]]
Logs = Callable[[], list[dict[str, Any]]]
FINISHED = Scan("ACTIVE")
STAGING = {"name": "staging", "on": "scan", "to": ["staging"], "from": "build-.*"}


def outcomes(answer: dict[str, Any]) -> list[str]:
    return [each["outcome"] for each in answer["promotions"]]


def only(ledger: InMemoryLedger) -> Record:
    """Return the one record that there is."""
    (record,) = ledger.records.values()
    return record


@pytest.fixture
def unscanned(registry: InMemoryRegistry, image_facts: KnownImageFacts) -> Manifest:
    """An image that was pushed as build-7 a moment ago, and has no scan yet."""
    registry.tags["build-7"] = IMAGE
    image_facts.pushes[IMAGE.digest] = datetime.now(UTC)
    return IMAGE


def test_a_push_before_its_scan_waits_for_it(
    invoke: Invoke,
    registry: InMemoryRegistry,
    image_facts: KnownImageFacts,
    ledger: InMemoryLedger,
    unscanned: Manifest,
) -> None:
    """Nothing is wrong, nothing is retried: the scan's event carries it out, though it knows no tag."""
    waits = invoke(pushed())

    assert outcomes(waits) == ["WAITING"]
    assert only(ledger).waiting_for == ("scan_pending",)
    assert ledger.announced == []

    image_facts.scans[unscanned.digest] = FINISHED
    ends = invoke(enhanced(**{"image-tags": []}))

    assert outcomes(ends) == ["PROMOTED"]
    assert ends["promotions"][0]["promotionId"] == waits["promotions"][0]["promotionId"]
    assert registry.tags["staging"] == unscanned
    assert only(ledger).outcome is Outcome.PROMOTED


def test_a_scan_that_names_the_tag_carries_out_what_the_push_began(
    invoke: Invoke, ledger: InMemoryLedger, image_facts: KnownImageFacts, unscanned: Manifest
) -> None:
    """As basic scanning does: its event asks for the same promotion that it wakes, which is carried out once."""
    invoke(pushed() | {"id": "push-1"})
    image_facts.scans[unscanned.digest] = Scan("COMPLETE")

    answer = invoke(basic() | {"id": "scan-1"})

    assert outcomes(answer) == ["PROMOTED"]
    assert only(ledger).outcome is Outcome.PROMOTED


def test_a_delivery_that_comes_again_finds_the_promotion_waiting(
    invoke: Invoke, ledger: InMemoryLedger, wake_ups: InMemoryWakeUps, logs: Logs, unscanned: Manifest
) -> None:
    """It is accepted, logged as new, and given its wake-ups once."""
    answers = [invoke(pushed()) for _ in range(3)]

    assert [outcomes(each) for each in answers] == [["WAITING"]] * 3
    assert len({each["promotions"][0]["promotionId"] for each in answers}) == 1
    assert only(ledger).wait is not None
    assert wake_ups.written == 1
    written = [each["message"] for each in logs() if "promotion_id" in each]
    assert written == ["promotion waits", "promotion repeated", "promotion repeated"]


def test_each_tag_and_each_rule_waits_by_itself(
    invoke: Invoke,
    registry: InMemoryRegistry,
    ledger: InMemoryLedger,
    image_facts: KnownImageFacts,
    monkeypatch: pytest.MonkeyPatch,
    unscanned: Manifest,
) -> None:
    """One scan of an image wakes all of them."""
    scanned = gate(findings={"CRITICAL": 0})
    rules = policy(
        rule(**STAGING, gate=scanned),
        rule(**STAGING | {"name": "copies", "to": ["copy-of-{tag}"]}, gate=scanned),
    )
    monkeypatch.setattr(wiring, "policy", lambda: rules)
    registry.tags["build-8"] = unscanned
    invoke(pushed() | {"id": "push-1"})
    invoke(pushed(**{"image-tag": "build-8"}) | {"id": "push-2"})
    assert len(ledger.records) == 4

    image_facts.scans[unscanned.digest] = FINISHED
    invoke(enhanced(**{"image-tags": []}))

    assert {"staging", "copy-of-build-7", "copy-of-build-8"} <= set(registry.tags)
    assert not any(each.outcome is Outcome.WAITING for each in ledger.records.values())


def test_a_scanned_image_that_has_to_soak_is_not_forgotten(
    invoke: Invoke,
    ledger: InMemoryLedger,
    image_facts: KnownImageFacts,
    monkeypatch: pytest.MonkeyPatch,
    unscanned: Manifest,
) -> None:
    """Its scan is over, but it still waits; the end of the soak is known, so that it is tried right then."""
    soaking = gate(findings={"CRITICAL": 0}, soak=360)
    monkeypatch.setattr(wiring, "policy", lambda: policy(rule(**STAGING, gate=soaking)))
    invoke(pushed())
    assert only(ledger).waiting_for == ("scan_pending", "soaking")
    image_facts.scans[unscanned.digest] = Scan("COMPLETE")

    assert outcomes(invoke(basic())) == ["WAITING"]

    record = only(ledger)
    assert record.waiting_for == ("soaking",)
    assert ledger.tries[record.promotion_id] == image_facts.pushes[unscanned.digest] + timedelta(minutes=6)


def test_a_frozen_promotion_of_an_event_waits(
    invoke: Invoke, registry: InMemoryRegistry, ledger: InMemoryLedger, image_facts: KnownImageFacts, logs: Logs
) -> None:
    """Nobody reads that it was refused: it is carried out when the freeze is over, and is counted then."""
    registry.tags["build-7"] = IMAGE
    image_facts.scans[IMAGE.digest] = FINISHED
    ledger.stops.append(Freeze(datetime(2026, 1, 1, tzinfo=UTC), None, "an incident", None, None))

    assert outcomes(invoke(basic())) == ["WAITING"]

    written = logs()
    (record,) = [each for each in written if "promotion_id" in each]
    assert (record["level"], record["message"]) == ("INFO", "promotion waits")
    assert (record["outcome"], [each["code"] for each in record["reasons"]]) == ("WAITING", ["frozen"])
    assert not any("Refusals" in each or "Promotions" in each for each in written)
    assert only(ledger).waiting_for == ("frozen",)
    assert registry.puts == []


@pytest.mark.parametrize(
    ("scan", "outcome"),
    [(FINISHED, "PROMOTED"), (Scan("COMPLETE", (Finding("CVE-1", "CRITICAL", ("a",)),)), "REFUSED")],
)
def test_a_waiting_promotion_ends_with_what_it_waited_for(
    invoke: Invoke,
    image_facts: KnownImageFacts,
    wake_ups: InMemoryWakeUps,
    ledger: InMemoryLedger,
    logs: Logs,
    unscanned: Manifest,
    scan: Scan,
    outcome: str,
) -> None:
    """Nothing wakes it again, and it is counted once, with the trigger that it has from its push."""
    invoke(pushed())
    image_facts.scans[unscanned.digest] = scan

    assert outcomes(invoke(enhanced(**{"image-tags": []}))) == [outcome]

    assert wake_ups.found == {}
    assert ledger.outcomes() == [outcome]
    assert invoke(enhanced(**{"image-tags": []}))["outcome"] == "IGNORED"
    counted = [each for each in logs() if "Promotions" in each]
    assert [(each["trigger"], each["outcome"]) for each in counted] == [("scan", outcome)]


def test_the_event_that_carried_it_out_is_delivered_again(
    invoke: Invoke, ledger: InMemoryLedger, image_facts: KnownImageFacts, unscanned: Manifest
) -> None:
    """A scan names the tag too. Delivered twice, it is one promotion with the push; a later scan is a new one."""
    invoke(pushed())
    image_facts.scans[unscanned.digest] = FINISHED
    scan = enhanced() | {"id": "scan-1"}
    first = invoke(scan)

    again = invoke(scan)
    later = invoke(scan | {"id": "scan-2", "time": (datetime.now(UTC) + timedelta(hours=1)).isoformat()})

    assert outcomes(first) == ["PROMOTED"]
    assert again == {"promotions": []}
    assert outcomes(later) == ["UNCHANGED"]
    assert ledger.outcomes() == ["PROMOTED", "UNCHANGED"]


def test_a_wake_up_of_a_promotion_that_has_ended_is_removed(
    invoke: Invoke, wake_ups: InMemoryWakeUps, image_facts: KnownImageFacts
) -> None:
    """The function may die between the two writes: the next event of the image tidies up."""
    image_facts.scans[IMAGE.digest] = FINISHED
    wake_ups.add(REPOSITORY, "p-gone", [IMAGE.digest], datetime.now(UTC))

    assert outcomes(invoke(enhanced(**{"image-tags": []}))) == []

    assert wake_ups.found == {}


def test_what_has_waited_for_two_weeks_is_refused_as_expired(
    invoke: Invoke, ledger: InMemoryLedger, image_facts: KnownImageFacts, logs: Logs, unscanned: Manifest
) -> None:
    """A scan that takes longer does not come; the record says so, and for what it has waited."""
    invoke(pushed())
    started = only(ledger).wait
    assert started is not None
    assert started.until - datetime.now(UTC) == pytest.approx(LONGEST, abs=timedelta(minutes=1))
    ledger.clock = lambda: started.until
    image_facts.scans[unscanned.digest] = FINISHED

    assert outcomes(invoke(enhanced(**{"image-tags": []}))) == ["REFUSED"]

    record = only(ledger)
    assert (record.outcome, record.code) == ("REFUSED", "expired")
    assert "for scan_pending" in f"{record.detail}"
    assert [reason.code for reason in record.reasons] == ["scan_pending"]
    assert ledger.outcomes() == ["REFUSED"]
    assert any(each.get("reason") == "scan_pending" and "Refusals" in each for each in logs())


def test_a_push_that_comes_again_after_that_time_is_a_new_promotion(
    invoke: Invoke,
    ledger: InMemoryLedger,
    image_facts: KnownImageFacts,
    registry: InMemoryRegistry,
    unscanned: Manifest,
) -> None:
    """The expired one does not stand in the way of whoever pushes again."""
    invoke(pushed() | {"id": "push-1"})
    later = datetime.now(UTC) + LONGEST + timedelta(minutes=1)
    ledger.clock = lambda: later
    image_facts.pushes[unscanned.digest] = later

    assert outcomes(invoke(pushed() | {"id": "push-2"})) == ["WAITING"]
    image_facts.scans[unscanned.digest] = FINISHED
    invoke(enhanced(**{"image-tags": []}))

    assert sorted(f"{each.outcome}" for each in ledger.records.values()) == ["PROMOTED", "REFUSED"]
    assert registry.tags["staging"] == unscanned


def test_a_waiting_promotion_that_fails_waits_on_and_comes_back_soon(
    invoke: Invoke,
    ledger: InMemoryLedger,
    image_facts: KnownImageFacts,
    registry: InMemoryRegistry,
    monkeypatch: pytest.MonkeyPatch,
    sqs: Sqs,
    unscanned: Manifest,
) -> None:
    """The event that woke it is done with: the promotion comes back through the queue, in seconds."""
    invoke(pushed())
    image_facts.scans[unscanned.digest] = FINISHED
    reads = registry.read

    def throttled(*_: Any) -> Any:
        raise Throttled("slow down")

    monkeypatch.setattr(registry, "read", throttled)

    assert outcomes(invoke(enhanced(**{"image-tags": []}))) == ["WAITING"]

    assert only(ledger).waiting_for == ("throttled",)
    (message,) = sqs.sent
    monkeypatch.setattr(registry, "read", reads)
    assert outcomes(invoke(json.loads(message["MessageBody"]))) == ["PROMOTED"]
    assert registry.tags["staging"] == unscanned


def test_an_event_whose_try_the_ledger_failed_wakes_it_again(
    invoke: Invoke,
    image_facts: KnownImageFacts,
    registry: InMemoryRegistry,
    monkeypatch: pytest.MonkeyPatch,
    unscanned: Manifest,
) -> None:
    """Nothing of the try is recorded, so that the promotion does not come back by itself: the delivery does."""
    invoke(pushed())
    image_facts.scans[unscanned.digest] = FINISHED

    def unreachable(*_: Any) -> Any:
        raise LedgerError("DynamoDB is down")

    with monkeypatch.context() as down:
        down.setattr(InMemoryLedger, "begin", unreachable)
        down.setattr(InMemoryWaiting, "update", unreachable)
        with pytest.raises(LedgerError):
            invoke(enhanced(**{"image-tags": []}))

    assert outcomes(invoke(enhanced(**{"image-tags": []}))) == ["PROMOTED"]
    assert registry.tags["staging"] == unscanned
