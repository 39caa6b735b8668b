"""A rollback that the policy does not admit is a promotion that was refused: recorded, counted, replayed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from promoter import wiring
from promoter.domain.model import Outcome, TagMove
from tests.handler.test_rollback import BY_TAG, OLD, OPERATOR, Call, done, history
from tests.support.ledgers import InMemoryLedger
from tests.support.policies import policy, rule
from tests.support.registries import InMemoryRegistry

__all__ = ["history"]

Logs = Callable[[], list[dict[str, Any]]]


def test_a_rollback_by_a_caller_whom_the_rule_does_not_name_is_recorded_as_refused(
    call: Call, ledger: InMemoryLedger, logs: Logs
) -> None:
    """So it is announced, counted, and has a promotionId of its own."""
    status, document = call("POST", "/promotions/p-1/rollback", caller=OPERATOR)

    assert (status, document["code"]) == (403, "not_allowed")
    assert document["promotionId"] != "p-1"
    record = ledger.records[document["promotionId"]]
    assert (record.outcome, record.code, record.undoes) == ("REFUSED", "not_allowed", "p-1")
    assert [each["outcome"] for each in logs() if "Promotions" in each] == ["REFUSED"]


@pytest.mark.parametrize("by_tag", [True, False])
def test_a_rollback_of_a_rule_that_is_gone_is_recorded_as_refused(
    call: Call, ledger: InMemoryLedger, by_tag: bool
) -> None:
    """Whoever reads the history sees that somebody tried."""
    ledger.having(done(TagMove("prod", Outcome.PROMOTED, OLD.digest), rule="gone"))

    path, body = ("/rollback", BY_TAG) if by_tag else ("/promotions/p-1/rollback", None)
    status, document = call("POST", path, body)

    assert (status, document["code"]) == (403, "not_allowed")
    assert ledger.records[document["promotionId"]].undoes == "p-1"


def test_a_repeated_rollback_gets_its_first_answer_although_its_rule_is_gone(
    call: Call, ledger: InMemoryLedger, registry: InMemoryRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tag is back; a client that lost the answer must learn that."""
    first = call("POST", "/promotions/p-1/rollback", key="k")
    assert first[0] == 200
    assert registry.tags["prod"] == OLD

    renamed = policy(rule(name="renamed", callers=["arn:aws:sts::*:assumed-role/deployer/*"]))
    monkeypatch.setattr(wiring, "policy", lambda: renamed)
    status, document = call("POST", "/promotions/p-1/rollback", key="k")

    assert (status, document.get("outcome")) == (200, "PROMOTED")
    assert document["promotionId"] == first[1]["promotionId"]


def test_what_was_never_moved_is_an_invalid_request_whoever_asks(call: Call, ledger: InMemoryLedger) -> None:
    """As before, what the request names is checked first."""
    ledger.having(done(TagMove("prod", Outcome.PROMOTED, None), rule="gone"))

    assert call("POST", "/promotions/p-1/rollback")[1]["code"] == "invalid_request"
