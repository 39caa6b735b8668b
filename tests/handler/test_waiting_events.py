"""Events whose promotions wait: what wakes them, what that costs, and that nothing is lost by waiting cheaply."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from promoter import wiring
from promoter.aws.dynamodb.wake_ups import OTHERS
from promoter.domain.errors import RepositoryNotFound, Throttled
from promoter.domain.findings import Finding, Scan
from promoter.domain.manifest import OCI_INDEX
from promoter.domain.model import Manifest, Outcome, Repository
from promoter.domain.records import Record
from promoter.domain.rule import Freeze
from promoter.domain.waiting import LONGEST
from tests.handler.conftest import Sqs
from tests.handler.test_events import IMAGE, basic, enhanced, pushed
from tests.support.ledgers import InMemoryLedger, InMemoryWakeUps
from tests.support.policies import gate, policy, rule
from tests.support.registries import REPOSITORY, InMemoryRegistry, KnownImageFacts, manifest

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


def test_a_wake_up_of_a_promotion_that_has_ended_is_removed(
    invoke: Invoke, wake_ups: InMemoryWakeUps, image_facts: KnownImageFacts
) -> None:
    """The function may die between the two writes: the next event of the image tidies up."""
    image_facts.scans[IMAGE.digest] = FINISHED
    wake_ups.add(REPOSITORY, "p-gone", [IMAGE.digest], datetime.now(UTC))

    assert outcomes(invoke(enhanced(**{"image-tags": []}))) == []

    assert wake_ups.found == {}


@pytest.fixture
def signing(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the policy of the function have one rule, which asks for a signature."""
    monkeypatch.setattr(wiring, "policy", lambda: policy(rule(**STAGING, gate=gate(signed=True))))


def referrer(of: Manifest) -> Manifest:
    """Return a signature as ECR and cosign store it: a manifest that names its subject."""
    return manifest(json.dumps({"subject": {"digest": of.digest}}))


def referred(image: Manifest) -> dict[str, Any]:
    """Return an `ECR Referrer Action` event: it names only the referrer."""
    event = basic() | {"detail-type": "ECR Referrer Action", "resources": []}
    event["detail"] = {
        "repository-name": "team/web",
        "image-digest": image.digest,
        "action-type": "PUSH",
        "result": "SUCCESS",
        "artifact-type": "application/vnd.dev.cosign.artifact.sig.v1+json",
    }
    return event


@pytest.mark.usefixtures("signing")
@pytest.mark.parametrize("how", ["referrer", "tag"])
def test_a_signature_wakes_what_waits_for_it(
    invoke: Invoke,
    registry: InMemoryRegistry,
    image_facts: KnownImageFacts,
    wake_ups: InMemoryWakeUps,
    unscanned: Manifest,
    how: str,
) -> None:
    """Stored as a referrer of the image, or under the tag that cosign derives from its digest."""
    assert outcomes(invoke(pushed())) == ["WAITING"]
    signature = referrer(unscanned)
    registry.untagged.append(signature)
    image_facts.signatures.add(unscanned.digest)

    if how == "referrer":
        event = referred(signature)
    else:
        tag = f"sha256-{unscanned.digest.removeprefix('sha256:')}.sig"
        event = pushed(**{"image-tag": tag, "image-digest": signature.digest})

    assert outcomes(invoke(event | {"id": "signed-1"})) == ["PROMOTED"]
    assert registry.tags["staging"] == unscanned
    assert wake_ups.found == {}


@pytest.mark.usefixtures("signing")
def test_a_referrer_that_is_no_signature_leaves_it_waiting(
    invoke: Invoke, registry: InMemoryRegistry, wake_ups: InMemoryWakeUps, unscanned: Manifest
) -> None:
    """An SBOM, for one: the event is served without an error, and the next one wakes the promotion again."""
    invoke(pushed())
    bill = referrer(unscanned)
    registry.untagged.append(bill)

    assert outcomes(invoke(referred(bill))) == ["WAITING"]

    assert len(wake_ups.found) == 1


@pytest.mark.parametrize("kept", [True, False])
def test_a_referrer_that_refers_to_nothing_that_waits_is_ignored(
    invoke: Invoke, registry: InMemoryRegistry, kept: bool
) -> None:
    """Nor is one that was deleted before its event came."""
    bill = referrer(IMAGE)
    registry.untagged += [bill] if kept else []

    assert invoke(referred(bill))["outcome"] == "IGNORED"
    assert registry.puts == []


def test_a_referrer_of_a_repository_that_is_gone_is_ignored(
    invoke: Invoke, registry: InMemoryRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was deleted after the push: the event is not a dead letter."""

    def read(*_: Any) -> Any:
        raise RepositoryNotFound("it was deleted")

    monkeypatch.setattr(registry, "read", read)

    assert invoke(referred(referrer(IMAGE)))["outcome"] == "IGNORED"


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
