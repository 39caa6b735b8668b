"""Log records that CloudWatch could not take."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from promoter import telemetry
from promoter.domain.model import Repository
from promoter.domain.records import GONE, Head
from promoter.entrypoints import image_events
from promoter.promotion.reconcile import Reconciled
from tests.handler.conftest import REGION
from tests.handler.test_events import basic
from tests.support.policies import ACCOUNT, policy, rule

EVENT = 256 * 1024
"""Bytes of a log event that CloudWatch takes (CloudWatch Logs quotas); a longer one is cut: no JSON any more."""

Logs = Callable[[], list[dict[str, Any]]]


def test_a_run_that_finds_a_whole_repository_gone_is_logged(logs: Logs) -> None:
    """Somebody deleted it, with all its tags. How many is in the record, and in the metric; each is announced."""
    place = Repository(ACCOUNT, "team/" + "web" * 60)
    gone = [
        Head(place, f"release-{number}", f"sha256:{number:064x}", "p" * 36, datetime.now(UTC), drift=GONE)
        for number in range(5_000)
    ]

    telemetry.report_reconciled(Reconciled(drifted=tuple(gone)), trigger="schedule")

    record, *metrics = logs()
    assert len(json.dumps(record)) < EVENT
    assert record["drifted"][0]["imageTag"] == "release-0"
    assert record["drifted_count"] == 5_000
    assert [line["Drift"] for line in metrics if "Drift" in line] == [[5_000.0]]


def test_an_event_of_many_tags_is_ignored_in_few_words() -> None:
    """An image may have a thousand of them, of 300 characters each."""
    event = basic()
    event["detail"]["image-tags"] = [f"{number:0300}" for number in range(1_000)]
    read = image_events.read(event, registry_id=ACCOUNT, region=REGION)
    assert isinstance(read, image_events.ImageEvent)

    ignored = image_events.promotions(read, policy(rule(name="prod", to=["prod"])))

    assert isinstance(ignored, image_events.Ignored)
    assert len(ignored.reason) <= 2_000
