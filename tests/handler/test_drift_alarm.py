"""What a run of reconcile says of drift that could not look everywhere."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from promoter.domain.errors import Throttled
from promoter.domain.model import Repository
from promoter.domain.records import Head
from tests.handler.test_reconcile import SCHEDULE, Invoke, Logs, metrics, reconcile, request
from tests.support.ledgers import InMemoryLedger
from tests.support.policies import ACCOUNT
from tests.support.registries import InMemoryRegistry, manifest

__all__ = ["reconcile"]

PLACE = Repository(ACCOUNT, "team/web")


@pytest.fixture
def drifted(ledger: InMemoryLedger, registry: InMemoryRegistry) -> None:
    """A tag that somebody else has moved."""
    ledger.heads[PLACE, "v1"] = Head(PLACE, "v1", "sha256:0", "p-1", datetime.now(UTC), moving=True)
    registry.tags["v1"] = manifest()


@pytest.mark.usefixtures("drifted")
def test_a_run_that_could_not_look_does_not_say_that_there_is_no_drift(
    reconcile: Invoke, registry: InMemoryRegistry, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A zero ends the alarm Drift, and mails that all is well, while the tag is still elsewhere."""

    def throttled(*_: object) -> None:
        raise Throttled("too many")

    monkeypatch.setattr(registry, "read", throttled)

    reconcile(SCHEDULE)

    found = metrics(logs)
    assert found["ReconcileFailures"] == [1]
    assert "Drift" not in found


@pytest.mark.usefixtures("drifted")
def test_a_run_that_had_no_time_to_look_does_not_say_so_either(
    reconcile: Invoke, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs on request have 25 seconds, for ledgers that take minutes."""
    monkeypatch.setenv("PROMOTER_RECONCILE_SECONDS", "1")

    reconcile(SCHEDULE)

    assert "Drift" not in metrics(logs)


def test_a_run_that_looked_everywhere_says_that_there_is_none(reconcile: Invoke, logs: Logs) -> None:
    """That is what ends the alarm."""
    reconcile(request())

    assert metrics(logs)["Drift"] == [0]
