"""The reconciler, as the schedule and API Gateway call it: one run at a time; and the announcer."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from promoter import handler, wiring
from promoter.domain.errors import LedgerError, RegistryError
from promoter.domain.findings import Scan
from promoter.domain.model import Repository
from promoter.domain.records import Head
from promoter.promotion.reconcile import Reconciler
from tests.handler.conftest import Context, http_event
from tests.handler.test_events import IMAGE, pushed
from tests.support.ledgers import InMemoryLedger, InMemoryRuns
from tests.support.policies import ACCOUNT
from tests.support.registries import FailingRegistry, InMemoryRegistry, KnownImageFacts, manifest

Invoke = Callable[[dict[str, Any]], dict[str, Any]]
Logs = Callable[[], list[dict[str, Any]]]

OPERATOR = f"arn:aws:sts::{ACCOUNT}:assumed-role/operator/ann"
SCHEDULE = {"reconcile": True}


@pytest.fixture
def reconcile(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Invoke the reconciler, in the environment that the stack gives it."""
    for name in ("EVENTS_QUEUE", "FAILED_EVENTS_QUEUE", "EVENT_TRIES", "EVENT_RETRY_SECONDS"):
        monkeypatch.delenv(f"PROMOTER_{name}")
    monkeypatch.setenv("PROMOTER_RECONCILE_SECONDS", "840")
    monkeypatch.setenv("PROMOTER_PATIENCE_SECONDS", "3")
    return lambda event: handler.reconcile_handler(event, Context())  # type: ignore[arg-type]


def request(caller: str = OPERATOR) -> dict[str, Any]:
    """Return what API Gateway sends for `POST /reconcile`."""
    event = http_event("", caller=caller)
    event["requestContext"]["http"]["path"] = "/reconcile"
    return event | {"routeKey": "POST /reconcile", "rawPath": "/reconcile"}


def metrics(logs: Logs) -> dict[str, Any]:
    """Return the metrics of all runs by name, and the trigger of the runs."""
    lines = [line for line in logs() if "_aws" in line]
    names = (
        "StaleIntents",
        "Drift",
        "ReconcileFailures",
        "LongestDriftCheckInterval",
        "LongestWait",
        "ReconcileRuns",
        "trigger",
    )
    return {name: line[name] for line in lines for name in names if name in line}


def test_the_schedule_runs_it(
    reconcile: Invoke, registry: InMemoryRegistry, ledger: InMemoryLedger, runs: InMemoryRuns, logs: Logs
) -> None:
    """What it found is counted, and so is that it ran; afterwards the next run may begin."""
    place = Repository(ACCOUNT, "team/web")
    ledger.heads[place, "v1"] = Head(place, "v1", "sha256:0", "p-1", datetime.now(UTC), moving=True)
    registry.tags["v1"] = manifest()

    assert reconcile(SCHEDULE) == {"settled": 0, "finished": 0, "drifted": 1}

    found = metrics(logs)
    assert (found["StaleIntents"], found["Drift"], found["ReconcileFailures"]) == ([0], [1], [0])
    assert found["LongestDriftCheckInterval"][0] == pytest.approx(0, abs=5)
    assert (found["ReconcileRuns"], found["trigger"]) == ([1], "schedule")
    assert runs.run is None


@pytest.fixture
def waits(
    invoke: Invoke, registry: InMemoryRegistry, image_facts: KnownImageFacts, ledger: InMemoryLedger
) -> list[datetime]:
    """Let the promotion of a push wait for its scan; return the time, which the test may change."""
    time = [datetime.now(UTC)]
    ledger.clock = lambda: time[0]
    registry.tags["build-7"] = IMAGE
    image_facts.pushes[IMAGE.digest] = time[0]
    asked = pushed() | {"time": time[0].isoformat()}
    assert [each["outcome"] for each in invoke(asked)["promotions"]] == ["WAITING"]
    return time


def test_it_tries_what_waits_and_says_how_long_the_oldest_has_waited(
    waits: list[datetime], reconcile: Invoke, image_facts: KnownImageFacts, logs: Logs
) -> None:
    """In the log and as a metric, which has an alarm; when nothing waits any longer, it is zero again."""
    waits[0] += timedelta(minutes=20)
    answer = reconcile(request())
    waiting = logs()
    waits[0] += timedelta(minutes=20)
    image_facts.scans[IMAGE.digest] = Scan("ACTIVE")

    assert (json.loads(answer["body"])["waiting"], reconcile(SCHEDULE)["finished"]) == (1, 1)

    ended = logs()
    assert metrics(lambda: waiting)["LongestWait"] == [1200]
    assert [each["longest_wait"] for each in waiting if each.get("message") == "reconciled"] == [1200]
    assert metrics(lambda: ended)["LongestWait"] == [0]
    assert [each["outcome"] for each in ended if "Promotions" in each] == ["PROMOTED"]


def test_what_fails_in_a_run_waits_on_without_the_queue_of_events(
    waits: list[datetime],
    reconcile: Invoke,
    image_facts: KnownImageFacts,
    ledger: InMemoryLedger,
    logs: Logs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The reconciler has no right to send to it: the next run tries again. It is a failure of this one."""
    waits[0] += timedelta(minutes=20)
    image_facts.scans[IMAGE.digest] = Scan("ACTIVE")
    broken = FailingRegistry({"build-7": IMAGE}, failing_tag="staging", failure=RegistryError("AccessDenied"))
    monkeypatch.setattr(wiring, "registry", lambda: broken)

    assert reconcile(SCHEDULE) == {"settled": 0, "finished": 0, "drifted": 0}

    (record,) = ledger.records.values()
    assert (record.outcome, record.waiting_for) == ("WAITING", ("registry_error",))
    assert metrics(logs)["ReconcileFailures"] == [1]


def test_an_operator_runs_it(reconcile: Invoke, runs: InMemoryRuns, logs: Logs) -> None:
    """And is told what it did; a run on request does not hide that the schedule fails."""
    answer = reconcile(request())

    assert (answer["statusCode"], json.loads(answer["body"])) == (
        200,
        {"settled": [], "finished": 0, "waiting": 0, "drifted": [], "failures": []},
    )
    assert metrics(logs)["trigger"] == "request"
    assert runs.run is None


def test_one_run_at_a_time(reconcile: Invoke, runs: InMemoryRuns, logs: Logs) -> None:
    """A request is told to come again; the schedule's run leaves it to the other one, which is no error."""
    runs.run = ("another", datetime.now(UTC) + timedelta(minutes=1))

    answer = reconcile(request())

    assert (answer["statusCode"], json.loads(answer["body"])["code"]) == (409, "reconcile_running")
    assert {name.lower(): value for name, value in answer["headers"].items()}["retry-after"] == "30"
    assert reconcile(SCHEDULE) == {"outcome": "SKIPPED"}
    written = logs()
    assert any(record.get("message") == "reconcile skipped" for record in written)
    assert not any("ReconcileRuns" in record for record in written)
    assert runs.run[0] == "another"


def test_a_run_that_broke_off_is_followed_by_the_next(reconcile: Invoke, runs: InMemoryRuns) -> None:
    """As soon as its time is over."""
    runs.run = ("dead", datetime.now(UTC) - timedelta(seconds=1))

    assert "settled" in reconcile(SCHEDULE)


def test_a_run_that_fails_gives_the_right_to_run_back(
    reconcile: Invoke, runs: InMemoryRuns, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The invocation fails, and Lambda keeps it; the run is not counted as one that ended."""

    def broken(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Reconciler, "run", broken)

    with pytest.raises(ZeroDivisionError):
        reconcile(SCHEDULE)
    assert runs.run is None
    assert "ReconcileRuns" not in metrics(logs)


def test_a_run_has_ended_although_its_lease_cannot_be_given_back(
    reconcile: Invoke, runs: InMemoryRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease ends by itself."""

    def broken(holder: str) -> None:
        raise LedgerError("no answer")

    monkeypatch.setattr(runs, "end", broken)

    assert "settled" in reconcile(SCHEDULE)


def test_a_run_on_request_ends_before_api_gateway_gives_up(
    reconcile: Invoke, runs: InMemoryRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its lease a moment later, should it break off."""
    leases: list[timedelta] = []

    def begin(holder: str, until: datetime) -> bool:
        leases.append(until - datetime.now(UTC))
        return True

    monkeypatch.setattr(runs, "begin", begin)

    reconcile(request())
    reconcile(SCHEDULE)

    assert [round(lease.total_seconds()) for lease in leases] == [25 + 30, 840 + 30]


@pytest.mark.parametrize("event", [{"hello": "world"}, {"Records": []}])
def test_a_call_that_is_not_for_the_reconciler_is_an_error(reconcile: Invoke, event: dict[str, Any]) -> None:
    """It fails loudly instead of doing nothing."""
    with pytest.raises(ValueError, match="not the schedule's event"):
        reconcile(event)


def test_the_announcer_needs_no_settings_of_promotions(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no rights on images or the table, and is not told of them."""

    class Announcer:
        def announce(self, records: list[Any]) -> tuple[int, tuple[Any, ...]]:
            return len(records), ()

    for name in [name for name in os.environ if name.startswith("PROMOTER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(wiring, "announcer", Announcer)

    answer = handler.announce_handler({"Records": []}, Context())  # type: ignore[arg-type]

    assert answer == {"announced": 0, "putAside": 0}
    with pytest.raises(ValueError, match="table's stream"):
        handler.announce_handler({"hello": "world"}, Context())  # type: ignore[arg-type]
