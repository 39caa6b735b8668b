"""Rolling back over HTTP: by promotion, by tag, and against a freeze."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from promoter.domain.model import ImageId, Outcome, Record, TagMove, Trigger
from promoter.domain.policy import Freeze
from tests.handler.conftest import CALLER
from tests.support.ledgers import InMemoryLedger
from tests.support.policies import ACCOUNT
from tests.support.registries import REPOSITORY, InMemoryRegistry, manifest

Call = Callable[..., tuple[int, dict[str, Any]]]

OLD, NEW, OTHER = manifest('{"old": 1}'), manifest('{"new": 1}'), manifest('{"other": 1}')
OPERATOR = f"arn:aws:sts::{ACCOUNT}:assumed-role/operator/ann"
BY_TAG = {"repositoryName": "team/web", "imageTag": "prod", "expectedDigest": NEW.digest}
OVERRIDE = {"override": {"reason": "NEW deletes data"}}


def done(*moves: TagMove, rule: str = "prod", **members: Any) -> Record:
    """Return a promotion of NEW."""
    defaults: dict[str, Any] = {
        "promotion_id": "p-1",
        "trigger": Trigger.REQUEST,
        "repository": REPOSITORY,
        "source": ImageId("staging"),
        "asked_at": datetime(2026, 11, 23, tzinfo=UTC),
        "rule": rule,
        "image_digest": NEW.digest,
        "image_tags": tuple(move.image_tag for move in moves),
        "moves": moves,
        "outcome": Outcome.PROMOTED,
    }
    return Record(**(defaults | members))


@pytest.fixture(autouse=True)
def history(ledger: InMemoryLedger, registry: InMemoryRegistry) -> None:
    """NEW was promoted to prod, which was on OLD."""
    ledger.having(done(TagMove("prod", Outcome.PROMOTED, OLD.digest)))
    registry.tags["prod"] = NEW
    registry.untagged += [OLD, OTHER]


def test_a_tag_is_taken_back_without_knowing_its_promotion(call: Call, registry: InMemoryRegistry) -> None:
    """The answer names the promotion that was undone."""
    status, document = call("POST", "/rollback", BY_TAG)

    assert (status, document["outcome"], document["undoes"]) == (200, "PROMOTED", "p-1")
    assert registry.tags["prod"] == OLD


def test_the_same_call_sent_twice_does_not_put_the_bad_image_again(call: Call, registry: InMemoryRegistry) -> None:
    """Neither from where it was, nor from where it is now."""
    call("POST", "/rollback", BY_TAG)

    again = [call("POST", "/rollback", BY_TAG | {"expectedDigest": digest}) for digest in (NEW.digest, OLD.digest)]

    assert [(status, document["code"]) for status, document in again] == [
        (412, "tag_changed"),
        (400, "invalid_request"),
    ]
    assert registry.tags["prod"] == OLD


def test_a_repeat_with_a_key_gets_the_first_answer(call: Call, registry: InMemoryRegistry) -> None:
    """Although the last promotion of the tag is another one by now."""
    first, second = (call("POST", "/rollback", BY_TAG, key="k") for _ in range(2))

    assert first[0] == second[0] == 200
    assert first[1]["promotionId"] == second[1]["promotionId"]
    assert registry.puts == ["prod"]


@pytest.mark.parametrize("body", [{}, BY_TAG | {"expectedDigest": None}, BY_TAG | {"tag": "x"}])
def test_the_digest_has_to_be_named(call: Call, registry: InMemoryRegistry, body: dict[str, Any]) -> None:
    """And everything else has to be as documented."""
    assert call("POST", "/rollback", body)[0] == 400
    assert registry.puts == []


def test_a_tag_that_was_never_promoted_has_nothing_to_take_back(call: Call) -> None:
    """As an unknown promotion."""
    status, document = call("POST", "/rollback", BY_TAG | {"imageTag": "unknown"})

    assert (status, document["code"]) == (404, "promotion_not_found")


@pytest.mark.parametrize(("caller", "status"), [(OPERATOR, 200), (CALLER, 403)])
def test_a_freeze_is_overridden_by_named_operators_only(
    call: Call, ledger: InMemoryLedger, registry: InMemoryRegistry, caller: str, status: int
) -> None:
    """With their reason, which is in the record."""
    ledger.stops.append(Freeze(datetime(2026, 1, 1, tzinfo=UTC), None, "incident", None, None))
    assert call("POST", "/promotions/p-1/rollback")[1]["code"] == "frozen"

    got, document = call("POST", "/promotions/p-1/rollback", OVERRIDE, caller=caller)

    assert got == status
    if status == 200:
        assert ledger.records[document["promotionId"]].override == "NEW deletes data"
    assert registry.tags["prod"] == (OLD if status == 200 else NEW)


def test_where_no_operators_are_named_nobody_overrides(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody whom IAM lets in may operate then, and that must not include this."""
    monkeypatch.setenv("PROMOTER_OPERATORS", "[]")

    status, document = call("POST", "/rollback", BY_TAG | OVERRIDE, caller=OPERATOR)

    assert (status, document["code"]) == (403, "not_allowed")
    assert "operators" in document["detail"]


@pytest.mark.parametrize("reason", ["", None, "x" * 401])
def test_an_override_needs_its_reason(call: Call, reason: str | None) -> None:
    """One that people read afterwards."""
    assert call("POST", "/rollback", BY_TAG | {"override": {"reason": reason}}, caller=OPERATOR)[0] == 400
