"""Rollbacks over HTTP that come at a bad moment, or with odd members."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from promoter.domain.model import ImageId, Outcome, TagMove
from promoter.domain.records import Lease
from tests.handler.test_rollback import BY_TAG, NEW, OLD, OPERATOR, OTHER, Call, done, history
from tests.support.ledgers import InMemoryLedger
from tests.support.registries import REPOSITORY, InMemoryRegistry

__all__ = ["history"]


@pytest.mark.parametrize("path", ["/rollback", "/promotions/p-1/rollback"])
def test_a_key_of_a_rollback_stands_for_its_override_too(
    call: Call, ledger: InMemoryLedger, registry: InMemoryRegistry, path: str
) -> None:
    """Another body under the key is a conflict: or a second reason would be answered, and be recorded nowhere."""
    body = BY_TAG if path == "/rollback" else {}
    first, second = (
        call("POST", path, body | {"override": {"reason": reason}}, key="k", caller=OPERATOR)
        for reason in ("NEW deletes data", "I felt like it")
    )

    assert first[0] == 200
    assert registry.tags["prod"] == OLD
    assert (second[0], second[1].get("code")) == (409, "idempotency_conflict")


def test_an_override_needs_a_reason_that_says_something(call: Call) -> None:
    """Blanks are none."""
    assert call("POST", "/rollback", BY_TAG | {"override": {"reason": " \n"}}, caller=OPERATOR)[0] == 400


def test_a_signatures_tag_is_rolled_back_for_nobody(call: Call) -> None:
    """Clients look for signatures under such tags: refused before any call, as everywhere."""
    status, document = call("POST", "/rollback", BY_TAG | {"imageTag": f"sha256-{'a' * 64}.sig"})

    assert (status, document["code"], document["field"]) == (400, "invalid_request", "imageTag")


def test_what_a_crash_left_behind_can_be_rolled_back_at_once(
    call: Call, ledger: InMemoryLedger, registry: InMemoryRegistry
) -> None:
    """When its lease is over: an operator in an incident does not wait for the schedule to settle it."""
    intent = done(TagMove("prod", Outcome.PLANNED, NEW.digest), promotion_id="p-2", image_digest=OTHER.digest)
    crashed = Lease(
        "t", replace(intent, outcome=None, source=ImageId("bad")), ledger.clock() - timedelta(minutes=1)
    )
    ledger.records["p-2"], ledger.leases["p-2"] = crashed.record, crashed
    ledger.held[REPOSITORY, "prod"] = crashed
    registry.tags["prod"] = OTHER
    registry.untagged.append(NEW)

    status, document = call("POST", "/promotions/p-2/rollback")

    assert (status, document.get("code"), registry.tags["prod"]) == (200, None, NEW)
