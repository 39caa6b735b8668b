"""Events as they come out of their queue, and where those go that fail."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from promoter import wiring
from promoter.domain.errors import RegistryError, TagImmutable
from promoter.domain.findings import Scan
from tests.handler.conftest import EVENTS_QUEUE, FAILED_QUEUE, TRIES, Sqs
from tests.handler.test_events import IMAGE, basic
from tests.support.registries import FailingRegistry, InMemoryRegistry, KnownImageFacts

Invoke = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture
def failing(invoke: Invoke, image_facts: KnownImageFacts, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """The function, with a registry that does not take what has passed."""
    image_facts.scans[IMAGE.digest] = Scan("COMPLETE")
    registry = FailingRegistry({"build-7": IMAGE}, failing_tag="staging", failure=RegistryError("out of order"))
    monkeypatch.setattr(wiring, "registry", lambda: registry)
    return invoke


def queued(body: Any, *, receives: int = 1) -> dict[str, Any]:
    """Return what Lambda makes of a message (developer guide, "Using Lambda with Amazon SQS")."""
    message = {
        "messageId": "m-1",
        "receiptHandle": "handle-1",
        "body": body if isinstance(body, str) else json.dumps(body),
        "attributes": {"ApproximateReceiveCount": str(receives)},
        "eventSource": "aws:sqs",
    }
    return {"Records": [message]}


def test_an_event_of_the_queue_is_carried_out(
    invoke: Invoke, registry: InMemoryRegistry, image_facts: KnownImageFacts, sqs: Sqs
) -> None:
    """As if it had come by itself; the queue is not asked for anything."""
    registry.tags["build-7"] = IMAGE
    image_facts.scans[IMAGE.digest] = Scan("COMPLETE")

    answer = invoke(queued(basic()))

    assert [p["outcome"] for p in answer["promotions"]] == ["PROMOTED"]
    assert (sqs.hidden, sqs.sent) == ([], [])


def test_an_event_that_fails_comes_again_in_a_minute(failing: Invoke, sqs: Sqs) -> None:
    """Not when the queue thinks that the function must be dead."""
    with pytest.raises(RegistryError):
        failing(queued(basic(), receives=TRIES - 1))

    assert sqs.hidden == [{"QueueUrl": EVENTS_QUEUE, "ReceiptHandle": "handle-1", "VisibilityTimeout": 60}]
    assert sqs.sent == []


def test_an_event_that_fails_for_good_is_put_away_with_its_cause(failing: Invoke, sqs: Sqs) -> None:
    """Whole, so that it can be sent again; and the queue is rid of it."""
    event = basic()

    assert failing(queued(event, receives=TRIES)) == {"outcome": "FAILED"}

    (sent,) = sqs.sent
    assert (sent["QueueUrl"], json.loads(sent["MessageBody"])) == (FAILED_QUEUE, event)
    cause = {name: value["StringValue"] for name, value in sent["MessageAttributes"].items()}
    assert cause == {"ERROR_CODE": "registry_error", "ERROR_MESSAGE": "out of order"}
    assert sqs.hidden == []


def test_a_cause_is_told_in_characters_that_sqs_takes(
    failing: Invoke, sqs: Sqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name of an image can hold any; with others SQS would not take the message, and the cause would be lost."""
    strange = FailingRegistry(
        {"build-7": IMAGE}, failing_tag="staging", failure=RegistryError("a\x00b\ud83dc\n" + "x" * 300_000)
    )
    monkeypatch.setattr(wiring, "registry", lambda: strange)

    failing(queued(basic(), receives=TRIES))

    told = sqs.sent[0]["MessageAttributes"]["ERROR_MESSAGE"]["StringValue"]
    assert told.startswith("a\ufffdb\ufffdc\nx")
    assert len(told) <= 1000


def test_a_message_that_is_no_event_is_put_away_in_the_end(invoke: Invoke, sqs: Sqs) -> None:
    """By hand anything can be sent."""
    with pytest.raises(ValueError, match="Expecting value"):
        invoke(queued("no JSON"))

    assert invoke(queued("no JSON", receives=TRIES)) == {"outcome": "FAILED"}
    assert sqs.sent[0]["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "JSONDecodeError"


def failures(logs: Callable[[], list[dict[str, Any]]]) -> dict[str, float]:
    """Return how many promotions of scans were counted as failed for good, and how many tries as failed."""
    lines = [line for line in logs() if "_aws" in line]
    failed = sum(line["Promotions"][0] for line in lines if line.get("outcome") == "FAILED")
    return {"failed": failed, "retries": sum(line["Retries"][0] for line in lines if "Retries" in line)}


def test_a_try_that_a_retry_heals_is_not_counted_as_a_failure(
    failing: Invoke, sqs: Sqs, logs: Callable[[], list[dict[str, Any]]]
) -> None:
    """It is a try that failed; the alarm of failed scans does not know of it."""
    with pytest.raises(RegistryError):
        failing(queued(basic(), receives=1))

    assert failures(logs) == {"failed": 0, "retries": 1}


def test_the_last_try_is_counted_as_a_failure(
    failing: Invoke, sqs: Sqs, logs: Callable[[], list[dict[str, Any]]]
) -> None:
    """Once, when the event is put away."""
    failing(queued(basic(), receives=TRIES))

    assert failures(logs)["failed"] == 1


def test_a_failure_that_no_retry_heals_is_counted_at_once(
    invoke: Invoke,
    image_facts: KnownImageFacts,
    sqs: Sqs,
    logs: Callable[[], list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The event is done with."""
    image_facts.scans[IMAGE.digest] = Scan("COMPLETE")
    registry = FailingRegistry({"build-7": IMAGE}, failing_tag="staging", failure=TagImmutable("it is immutable"))
    monkeypatch.setattr(wiring, "registry", lambda: registry)

    invoke(queued(basic()))

    assert failures(logs) == {"failed": 1, "retries": 0}
