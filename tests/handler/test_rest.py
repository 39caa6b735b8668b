"""An event that asks for more promotions than an invocation has time for."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from promoter import handler, wiring
from promoter.aws.event_queue import EventQueue
from promoter.domain.answers import Answer
from promoter.domain.errors import RegistryError
from promoter.domain.findings import Scan
from promoter.domain.model import Promotion, Repository
from promoter.entrypoints import image_events, service
from promoter.entrypoints.image_events import Rest
from tests.handler.conftest import EVENTS_QUEUE, FAILED_QUEUE, REGION, TRIES, Context
from tests.handler.test_events import IMAGE, basic, enhanced, pushed
from tests.handler.test_waiting_for_signatures import referred, referrer
from tests.support.ledgers import InMemoryLedger, InMemoryWakeUps
from tests.support.policies import ACCOUNT, gate, policy, rule
from tests.support.registries import InMemoryRegistry, KnownImageFacts

TAGS = [f"build-{number}" for number in range(300)]
EACH = 20  # promotions that an invocation has time for

Invoke = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass
class Queue:
    """SQS: what was sent, in the order in which it comes, and what lies with the dead letters."""

    waiting: list[tuple[str, int]] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)
    sent: list[dict[str, Any]] = field(default_factory=list)

    def send_message(self, **message: Any) -> None:
        self.sent.append(message)
        if message["QueueUrl"] == FAILED_QUEUE:
            self.dead.append(message["MessageBody"])
        else:
            self.waiting.append((message["MessageBody"], 1))

    def change_message_visibility(self, **_: Any) -> None:
        """The test brings it again at once."""


class Clock(Context):
    """An invocation that has time for EACH looks at the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0

    def get_remaining_time_in_millis(self) -> int:
        self.looks += 1
        return 28_000 if self.looks < EACH else 0


@dataclass
class Deliveries:
    """Brings messages until there are none; `tries` counts them by body, `promoted` promotions by source tag."""

    queue: Queue
    promoted: Counter[str | None] = field(default_factory=Counter)
    ids: dict[str | None, set[str]] = field(default_factory=dict)
    tries: Counter[str] = field(default_factory=Counter)
    largest: list[int] = field(default_factory=list)

    def run(self, event: dict[str, Any]) -> None:
        self.queue.waiting.append((json.dumps(event), 1))
        while self.queue.waiting:
            self.deliver(*self.queue.waiting.pop(0))

    def deliver(self, body: str, receives: int) -> None:
        self.tries[body] += 1
        self.largest.append(len(json.loads(body)["detail"].get("sources", [])))
        attributes = {"ApproximateReceiveCount": str(receives)}
        message = {"eventSource": "aws:sqs", "body": body, "attributes": attributes, "receiptHandle": "h"}
        try:
            handler.lambda_handler({"Records": [message]}, Clock())  # type: ignore[arg-type]
        except RegistryError:
            self.queue.waiting.append((body, receives + 1))


@pytest.fixture
def deliveries(invoke: object, image_facts: KnownImageFacts, monkeypatch: pytest.MonkeyPatch) -> Deliveries:
    """The function behind its queue; a scan of the image has passed."""
    image_facts.scans[IMAGE.digest] = Scan("COMPLETE")
    deliveries = Deliveries(Queue())
    queue = EventQueue(
        deliveries.queue,  # type: ignore[arg-type]
        url=EVENTS_QUEUE,
        failed_url=FAILED_QUEUE,
        tries=TRIES,
        retry=timedelta(seconds=60),
    )
    monkeypatch.setattr(wiring, "event_queue", lambda: queue)
    carry_out = service.carry_out

    def counted(promotion: Promotion) -> Answer:
        tag, answer = promotion.source.image_id.image_tag, carry_out(promotion)
        if answer.outcome == "PROMOTED" and not answer.repeated:
            deliveries.promoted[tag] += 1
        deliveries.ids.setdefault(tag, set()).add(promotion.promotion_id)
        return answer

    monkeypatch.setattr(service, "carry_out", counted)
    return deliveries


def targets(registry: InMemoryRegistry) -> set[str]:
    return {tag for tag in registry.tags if tag.startswith("staging-")}


ALL = {tag.replace("build", "staging") for tag in TAGS}


def test_an_event_of_three_hundred_tags_is_carried_out_in_parts(
    deliveries: Deliveries, registry: InMemoryRegistry
) -> None:
    """All are promoted, none twice, nothing is a dead letter, no message needs a second try."""
    registry.tags |= dict.fromkeys(TAGS, IMAGE)

    deliveries.run(basic(**{"image-tags": TAGS}))

    assert targets(registry) == ALL
    assert registry.puts == list(dict.fromkeys(registry.puts))
    assert set(deliveries.promoted.values()) == {1}
    assert set(deliveries.tries.values()) == {1}
    assert deliveries.queue.dead == []
    assert deliveries.largest == [0, *range(280, 0, -EACH)]  # less with every message
    assert all(len(ids) == 1 for ids in deliveries.ids.values())


@pytest.fixture
def waiting(
    invoke: Invoke, deliveries: Deliveries, registry: InMemoryRegistry, image_facts: KnownImageFacts
) -> list[str]:
    """Let three hundred pushes wait for the scan of one image; return their promotionIds."""
    image_facts.scans.clear()
    image_facts.pushes[IMAGE.digest] = datetime.now(UTC)
    registry.tags |= dict.fromkeys(TAGS, IMAGE)
    answers = [invoke(pushed(**{"image-tag": tag}) | {"id": tag}) for tag in TAGS]
    image_facts.scans[IMAGE.digest] = Scan("COMPLETE")
    return [each["promotionId"] for answer in answers for each in answer["promotions"]]


def test_three_hundred_that_wait_for_one_scan_are_woken_one_by_one(
    deliveries: Deliveries,
    registry: InMemoryRegistry,
    wake_ups: InMemoryWakeUps,
    ledger: InMemoryLedger,
    waiting: list[str],
) -> None:
    """What is left of the event names them by promotionId; each wake-up ends with its own promotion."""
    deliveries.deliver(json.dumps(enhanced(**{"image-tags": []})), 1)

    assert len(wake_ups.found) == 300 - EACH
    rest = json.loads(deliveries.queue.waiting[0][0])["detail"]
    assert (rest["sources"], rest["promotions"]) == ([], waiting[EACH:])
    while deliveries.queue.waiting:
        deliveries.deliver(*deliveries.queue.waiting.pop(0))
    assert targets(registry) == ALL
    assert wake_ups.found == {}
    assert set(ledger.records) == set(waiting)
    assert ledger.outcomes() == ["PROMOTED"] * 300
    assert set(deliveries.tries.values()) == {1}


def test_what_is_left_of_a_signature_is_still_woken(
    invoke: Invoke,
    deliveries: Deliveries,
    registry: InMemoryRegistry,
    image_facts: KnownImageFacts,
    wake_ups: InMemoryWakeUps,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The event of a referrer does not name the image that it refers to; what is left of it does."""
    signed = rule(name="s", on="scan", to=["staging-{n}"], gate=gate(signed=True), **{"from": r"build-(?P<n>\d+)"})
    monkeypatch.setattr(wiring, "policy", lambda: policy(signed))
    registry.tags |= dict.fromkeys(TAGS[:60], IMAGE)
    for tag in TAGS[:60]:
        invoke(pushed(**{"image-tag": tag}) | {"id": tag})
    signature = referrer(IMAGE)
    registry.untagged.append(signature)
    image_facts.signatures.add(IMAGE.digest)

    deliveries.run(referred(signature))

    assert len(targets(registry)) == 60
    assert wake_ups.found == {}
    assert set(deliveries.tries.values()) == {1}


def test_tags_of_the_event_itself_are_left_beside_what_it_wakes(
    deliveries: Deliveries, registry: InMemoryRegistry, ledger: InMemoryLedger, waiting: list[str]
) -> None:
    """Basic scanning names all tags of the image: those that wait already are not promoted twice."""
    registry.tags["build-1000"] = IMAGE

    deliveries.run(basic(**{"image-tags": [*TAGS, "build-1000"]}))

    assert targets(registry) == ALL | {"staging-1000"}
    assert registry.puts == list(dict.fromkeys(registry.puts))
    assert {ledger.records[each].outcome for each in waiting} == {"PROMOTED"}
    assert deliveries.queue.dead == []


def test_what_fails_of_those_that_were_woken_comes_back_by_itself(
    deliveries: Deliveries, ledger: InMemoryLedger, waiting: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits again, for the registry. The scan's event needs no second try, and nothing is a dead letter."""
    registry = Broken(dict.fromkeys(TAGS, IMAGE))
    monkeypatch.setattr(wiring, "registry", lambda: registry)

    deliveries.run(enhanced(**{"image-tags": []}))

    assert len(targets(registry)) == 297
    left = [each for each in ledger.records.values() if each.outcome == "WAITING"]
    assert sorted(f"{each.source.image_tag}" for each in left) == ["build-3", "build-4", "build-50"]
    assert {each.waiting_for for each in left} == {("registry_error",)}
    assert set(deliveries.tries.values()) == {1}
    assert deliveries.queue.dead == []


def test_a_kill_after_the_rest_was_sent_is_harmless(deliveries: Deliveries, registry: InMemoryRegistry) -> None:
    """The message comes again beside the rest that it was divided into: each tag is still promoted once."""
    registry.tags |= dict.fromkeys(TAGS[:60], IMAGE)
    event = basic(**{"image-tags": TAGS[:60]})

    deliveries.queue.waiting.append((json.dumps(event), 2))
    deliveries.run(event)

    assert targets(registry) == {tag.replace("build", "staging") for tag in TAGS[:60]}
    assert set(deliveries.promoted.values()) == {1}
    assert all(len(ids) == 1 for ids in deliveries.ids.values())
    assert deliveries.queue.dead == []


@dataclass
class Broken(InMemoryRegistry):
    """A registry that does not take three of the tags."""

    def put(self, repository: Repository, manifest: Any, image_tag: str) -> bool:
        if image_tag in {"staging-3", "staging-4", "staging-50"}:
            raise RegistryError("out of order")
        return super().put(repository, manifest, image_tag)


def test_what_fails_has_its_own_tries_beside_the_rest(
    deliveries: Deliveries, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried five times more, later, and is a dead letter then, alone; the others are not held up."""
    registry = Broken(dict.fromkeys(TAGS[:60], IMAGE))
    monkeypatch.setattr(wiring, "registry", lambda: registry)

    deliveries.run(basic(**{"image-tags": TAGS[:60]}))

    assert len(targets(registry)) == 57
    assert max(deliveries.tries.values()) == TRIES
    dead = [[each["imageTag"] for each in json.loads(body)["detail"]["sources"]] for body in deliveries.queue.dead]
    assert sorted(tag for tags in dead for tag in tags if tag in ("build-3", "build-4", "build-50")) == [
        "build-3",
        "build-4",
        "build-50",
    ]
    later = [m for m in deliveries.queue.sent if m.get("DelaySeconds")]
    assert [each["imageTag"] for each in json.loads(later[0]["MessageBody"])["detail"]["sources"]] == [
        "build-3",
        "build-4",
    ]


def test_the_rest_is_read_as_the_event_was() -> None:
    """It is of the same account and Region, and small enough for a queue whatever is in it."""
    tags = [f"build-{number}" + "x" * 100 for number in range(1_200)]
    event = image_events.read(basic(**{"image-tags": tags}), registry_id=ACCOUNT, region=REGION)
    assert isinstance(event, image_events.ImageEvent)
    promotion_ids = tuple(f"{number:036}" for number in range(1_700))
    bodies = list(image_events.rest_of(event, Rest(event.sources, promotion_ids), region=REGION))

    assert all(len(body.encode()) < 256 * 1024 for body in bodies)
    again = [image_events.read(json.loads(body), registry_id=ACCOUNT, region=REGION) for body in bodies]
    rests = [each.rest for each in again if isinstance(each, image_events.ImageEvent) and each.rest]
    assert [source for rest in rests for source in rest.sources] == list(event.sources)
    assert [each for rest in rests for each in rest.promotion_ids] == list(promotion_ids)
    assert {each.wakes for each in again} == {event.wakes} == {IMAGE.digest}  # type: ignore[union-attr]
    elsewhere = image_events.read(json.loads(bodies[0]), registry_id=ACCOUNT, region="us-east-1")
    assert isinstance(elsewhere, image_events.Ignored)
