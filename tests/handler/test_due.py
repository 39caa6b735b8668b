"""What passes within seconds is tried again within seconds: the promotion comes back through the queue."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from promoter import handler
from promoter.domain.errors import LedgerError, RegistryError
from promoter.domain.findings import Scan
from promoter.domain.model import Outcome
from promoter.entrypoints import due
from promoter.entrypoints.due import Due
from tests.handler.conftest import EVENTS_QUEUE, TRIES, Context, Sqs
from tests.handler.test_events import IMAGE, enhanced, pushed
from tests.handler.test_queue import queued
from tests.support.ledgers import InMemoryLedger, InMemoryWaiting
from tests.support.registries import FailingRegistry, KnownImageFacts

Invoke = Callable[[dict[str, Any]], dict[str, Any]]
Logs = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def registry() -> FailingRegistry:
    """A registry that does not take staging-7 at first."""
    return FailingRegistry({"build-7": IMAGE}, failing_tag="staging-7", failure=RegistryError("down"))


@pytest.fixture
def failed(invoke: Invoke, image_facts: KnownImageFacts, sqs: Sqs) -> str:
    """Have a promotion wait that failed when its scan woke it; return its promotionId."""
    image_facts.pushes[IMAGE.digest] = datetime.now(UTC)
    (waits,) = invoke(pushed())["promotions"]
    assert sqs.sent == []  # its scan does not end within seconds
    image_facts.scans[IMAGE.digest] = Scan("ACTIVE")
    assert invoke(enhanced(**{"image-tags": []}))["promotions"] == [waits]
    return str(waits["promotionId"])


def messages(sqs: Sqs) -> list[tuple[int, Due | None]]:
    """Return the promotions that come back, with the delays of their messages."""
    return [(each["DelaySeconds"], due.read(json.loads(each["MessageBody"]))) for each in sqs.sent]


def test_a_failure_after_a_tag_was_put_waits_with_what_it_has_put(
    failed: str, registry: FailingRegistry, ledger: InMemoryLedger
) -> None:
    """The tag stays put and is in the record; nobody holds the other one."""
    record = ledger.records[failed]

    assert (record.outcome, record.waiting_for) == ("WAITING", ("registry_error",))
    assert [(move.image_tag, move.outcome) for move in record.moves] == [
        ("staging", "PROMOTED"),
        ("staging-7", "PLANNED"),
    ]
    assert registry.tags["staging"] == IMAGE
    assert ledger.held == {}
    assert ledger.leases == {}
    assert ledger.announced == []


def test_it_comes_back_and_does_the_rest(
    failed: str, invoke: Invoke, registry: FailingRegistry, ledger: InMemoryLedger, sqs: Sqs, logs: Logs
) -> None:
    """From the queue of events, as a message of its own; it is announced and counted once, with all its tags."""
    registry.failure = None
    (message,) = sqs.sent
    assert (message["QueueUrl"], messages(sqs)) == (EVENTS_QUEUE, [(3, Due((failed,), 3))])

    answer = invoke(queued(message["MessageBody"]))

    assert answer["promotions"] == [{"promotionId": failed, "rule": "staging", "outcome": "PROMOTED"}]
    assert registry.puts.count("staging") == 1
    assert [move.outcome for move in ledger.records[failed].moves] == [Outcome.PROMOTED] * 2
    assert ledger.outcomes() == ["PROMOTED"]
    assert [each["outcome"] for each in logs() if "Promotions" in each] == ["PROMOTED"]
    assert len(sqs.sent) == 1


def test_it_comes_back_less_and_less_often_and_at_last_no_more(failed: str, invoke: Invoke, sqs: Sqs) -> None:
    """The pauses double up to 300 seconds. After that `reconcile` tries it: a queue is no place to wait."""
    for message in sqs.sent:  # it grows meanwhile
        invoke(queued(message["MessageBody"]))

    assert messages(sqs) == [(pause, Due((failed,), pause)) for pause in (3, 6, 12, 24, 48, 96, 192)]


def test_one_whose_try_was_not_recorded_comes_back(
    failed: str, invoke: Invoke, sqs: Sqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the table passes within seconds, too."""
    (message,) = sqs.sent

    def unreachable(*_: object) -> None:
        raise LedgerError("DynamoDB is down")

    monkeypatch.setattr(InMemoryLedger, "begin", unreachable)
    monkeypatch.setattr(InMemoryWaiting, "update", unreachable)
    invoke(queued(message["MessageBody"]))

    assert messages(sqs)[1:] == [(6, Due((failed,), 6))]


def test_one_that_waits_for_something_else_by_now_does_not_come_back(
    failed: str, invoke: Invoke, registry: FailingRegistry, image_facts: KnownImageFacts, sqs: Sqs
) -> None:
    """Its image is scanned again: the event of that scan wakes it."""
    registry.failure = None
    image_facts.scans[IMAGE.digest] = Scan("IN_PROGRESS")

    answer = invoke(queued(sqs.sent[0]["MessageBody"]))

    assert [each["outcome"] for each in answer["promotions"]] == ["WAITING"]
    assert len(sqs.sent) == 1


def test_a_message_of_a_promotion_that_has_ended_does_nothing(
    failed: str, invoke: Invoke, registry: FailingRegistry, ledger: InMemoryLedger, sqs: Sqs
) -> None:
    """A queue may deliver a message twice, and somebody else may have been faster."""
    registry.failure = None
    body = sqs.sent[0]["MessageBody"]
    invoke(queued(body))
    puts = list(registry.puts)

    assert invoke(queued(body)) == {"promotions": []}

    assert registry.puts == puts
    assert len(ledger.announced) == 1


def test_a_message_whose_promotion_cannot_be_read_comes_again(
    failed: str, invoke: Invoke, sqs: Sqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is a dead letter in the end. The promotion waits on: `reconcile` tries it."""

    def unread(*_: object) -> None:
        raise LedgerError("no answer")

    monkeypatch.setattr(InMemoryWaiting, "promotion", unread)
    body = sqs.sent[0]["MessageBody"]

    with pytest.raises(LedgerError):
        invoke(queued(body))

    assert [each["VisibilityTimeout"] for each in sqs.hidden] == [60]
    assert invoke(queued(body, receives=TRIES)) == {"outcome": "FAILED"}


class Busy(Context):
    """An invocation that has time for one promotion only."""

    def get_remaining_time_in_millis(self) -> int:
        return 0


def test_an_invocation_leaves_what_it_has_no_time_for_to_the_next(
    failed: str, registry: FailingRegistry, ledger: InMemoryLedger, sqs: Sqs
) -> None:
    """Promotions that are due come many at a time when a freeze is lifted: each call tries one at least."""
    registry.failure = None
    sqs.sent.clear()
    (body,) = due.messages(["p-gone", "p-gone-too", failed], 3)

    bodies = [body]
    for each in bodies:  # it grows meanwhile
        handler.lambda_handler(queued(each), Busy())  # type: ignore[arg-type]
        bodies += [message["MessageBody"] for message in sqs.sent]
        sqs.sent.clear()

    assert len(bodies) == 3
    assert ledger.records[failed].outcome is Outcome.PROMOTED


def test_a_message_of_many_promotions_fits_into_a_queue() -> None:
    """However many wait for the same freeze."""
    names = [f"{number:036}" for number in range(2_500)]

    bodies = list(due.messages(names, 3))

    assert all(len(body.encode()) < 256 * 1024 for body in bodies)
    found = [due.read(json.loads(body)) for body in bodies]
    assert [name for each in found if each for name in each.promotion_ids] == names
