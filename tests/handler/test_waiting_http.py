"""Promotions that wait, over HTTP: accepted, read, cancelled, listed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from promoter import wiring
from promoter.domain.errors import LedgerError
from promoter.domain.history import HistoryEntry, entry_of
from promoter.domain.listing import Filter, Page
from promoter.domain.model import ImageId, Outcome, TagMove, Trigger
from promoter.domain.records import Record
from promoter.domain.rule import Freeze
from promoter.entrypoints import due, service
from tests.handler.conftest import CALLER, Sqs, http_event
from tests.support.ledgers import InMemoryLedger
from tests.support.policies import ACCOUNT
from tests.support.registries import REPOSITORY, InMemoryRegistry, manifest

Call = Callable[..., tuple[int, dict[str, Any]]]
Logs = Callable[[], list[dict[str, Any]]]

OLD, NEW = manifest('{"old": 1}'), manifest('{"new": 1}')
ASK = {"repositoryName": "team/web", "source": {"imageTag": "staging"}, "imageTags": ["v1"]}
WAIT = ASK | {"wait": True}
NEXT_RUN = CALLER.replace("run-7", "run-8")
OPERATOR, OTHER, STRANGER = (
    f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}" for name in ("operator/ann", "deployer-2/run-1", "other/eve")
)


@pytest.fixture(autouse=True)
def frozen(registry: InMemoryRegistry, ledger: InMemoryLedger) -> None:
    """An image to promote, while everything is frozen."""
    registry.tags |= {"staging": NEW, "v1": OLD}
    ledger.stops.append(Freeze(datetime(2026, 11, 1, tzinfo=UTC), None, "incident 7", None, None))


def record(promotion_id: str = "p-1", caller: str | None = CALLER, **members: Any) -> Record:
    """Return a promotion that ended a moment ago."""
    now = datetime.now(UTC)
    done = Record(promotion_id, Trigger.REQUEST, REPOSITORY, ImageId("staging"), now, caller=caller)
    return replace(done, outcome=Outcome.PROMOTED, ended_at=now, image_digest=NEW.digest, **members)


def expire(ledger: InMemoryLedger, promotion_id: str) -> None:
    """Let the time of a promotion that waits be over."""
    waiting = ledger.records[promotion_id]
    assert waiting.wait
    over = waiting.wait._replace(until=datetime.now(UTC) - timedelta(seconds=1))
    ledger.records[promotion_id] = replace(waiting, wait=over)


def test_what_has_to_wait_is_accepted(
    invoke: Callable[[dict[str, Any]], dict[str, Any]], call: Call, registry: InMemoryRegistry
) -> None:
    """202 with its record, and where to read it: what that shows is the same."""
    response = invoke(
        http_event('{"repositoryName": "team/web", "source": {"imageTag": "staging"}, "wait": true}')
    )

    assert response["statusCode"] == 202
    path = response["headers"]["Location"]
    status, shown = call("GET", path)
    assert (status, path) == (200, f"/promotions/{shown['promotionId']}")
    assert (shown["outcome"], shown["waitingFor"]) == ("WAITING", ["frozen"])
    assert shown["images"][0]["outcome"] == "PLANNED"
    until, asked = (datetime.fromisoformat(shown[name]) for name in ("waitsUntil", "askedAt"))
    assert until - asked == timedelta(days=1)
    assert registry.puts == []


def test_without_wait_the_answer_is_the_error(call: Call, ledger: InMemoryLedger) -> None:
    """As it always was."""
    for body in (ASK, ASK | {"wait": False}):
        assert call("POST", "/promotions", body)[1]["code"] == "frozen"
    assert not any(each.outcome is Outcome.WAITING for each in ledger.records.values())


def test_what_need_not_wait_is_carried_out_at_once(
    call: Call, ledger: InMemoryLedger, registry: InMemoryRegistry
) -> None:
    """The answer is the usual one."""
    ledger.stops.clear()

    status, document = call("POST", "/promotions", WAIT)

    assert (status, document["outcome"], registry.tags["v1"]) == (200, "PROMOTED", NEW)


def test_a_repeat_is_told_that_it_waits_and_later_how_it_ended(
    call: Call, ledger: InMemoryLedger, registry: InMemoryRegistry
) -> None:
    """Under the same key, with or without wait, from another session of the role."""
    first = call("POST", "/promotions", WAIT, key="deploy-7")[1]

    for body in (WAIT, ASK, ASK | {"wait": {"seconds": 60}}):
        status, again = call("POST", "/promotions", body, key="deploy-7", caller=NEXT_RUN)
        assert (status, again["promotionId"]) == (202, first["promotionId"])
        assert again["waitsUntil"] == first["waitsUntil"]
    ledger.stops.clear()
    service.resume(first["promotionId"])
    registry.tags["v1"] = OLD

    status, ended = call("POST", "/promotions", WAIT, key="deploy-7")
    assert (status, ended["outcome"], ended["promotionId"]) == (200, "PROMOTED", first["promotionId"])
    assert registry.puts == ["v1"]


def test_a_rollback_waits_for_the_end_of_a_freeze(
    call: Call, ledger: InMemoryLedger, registry: InMemoryRegistry
) -> None:
    """By the promotion and by the tag."""
    registry.tags["v1"] = NEW
    registry.untagged.append(OLD)
    ledger.having(record(rule="prod", image_tags=("v1",), moves=(TagMove("v1", Outcome.PROMOTED, OLD.digest),)))

    status, by_promotion = call("POST", "/promotions/p-1/rollback", {"wait": {"seconds": 60}})
    assert (status, by_promotion["undoes"], by_promotion["waitingFor"]) == (202, "p-1", ["frozen"])
    by_tag = {"repositoryName": "team/web", "imageTag": "v1", "expectedDigest": NEW.digest, "wait": True}
    status, waiting = call("POST", "/rollback", by_tag)
    assert (status, waiting["undoes"]) == (202, "p-1")

    ledger.stops.clear()
    service.resume(waiting["promotionId"])
    assert registry.tags["v1"] == OLD


@pytest.mark.parametrize("caller", [CALLER, NEXT_RUN, OPERATOR])
def test_its_requester_and_operators_cancel_it(
    call: Call, ledger: InMemoryLedger, registry: InMemoryRegistry, logs: Logs, caller: str
) -> None:
    """The record says by whom. To repeat that is not an error, and it is counted once."""
    promotion_id = call("POST", "/promotions", WAIT)[1]["promotionId"]

    first, again = (call("DELETE", f"/promotions/{promotion_id}", caller=caller) for _ in range(2))

    assert first == again == call("GET", f"/promotions/{promotion_id}")
    status, cancelled = first
    assert (status, cancelled["outcome"], cancelled["code"]) == (200, "REFUSED", "cancelled")
    assert caller in cancelled["detail"]
    ledger.stops.clear()
    assert service.resume(promotion_id) is None
    assert registry.puts == []
    assert [each["outcome"] for each in logs() if each.get("message") == "promotion cancelled"] == ["REFUSED"]


def test_a_key_whose_promotion_was_cancelled_runs_it_again(call: Call) -> None:
    """Perhaps it was a mistake."""
    promotion_id = call("POST", "/promotions", WAIT, key="deploy-7")[1]["promotionId"]
    call("DELETE", f"/promotions/{promotion_id}")

    status, again = call("POST", "/promotions", WAIT, key="deploy-7")

    assert (status, again["outcome"], again["promotionId"]) == (202, "WAITING", promotion_id)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_requester_whom_no_rule_names_has_its_own(call: Call, ledger: InMemoryLedger, method: str) -> None:
    """The policy may have changed while it waited. It learns nothing of what others asked for."""
    promotion_id = call("POST", "/promotions", WAIT)[1]["promotionId"]
    ledger.records[promotion_id] = replace(ledger.records[promotion_id], caller=STRANGER)

    assert call(method, "/promotions/unknown", caller=STRANGER)[1]["code"] == "not_allowed"
    assert call(method, f"/promotions/{promotion_id}", caller=OTHER)[0] == 403
    assert call(method, f"/promotions/{promotion_id}", caller=STRANGER)[0] == 200


def test_a_caller_of_the_rule_reads_and_does_not_cancel(call: Call, ledger: InMemoryLedger) -> None:
    """Unless it has asked for the promotion itself."""
    promotion_id = call("POST", "/promotions", WAIT)[1]["promotionId"]
    ledger.records[promotion_id] = replace(ledger.records[promotion_id], caller=STRANGER)

    assert call("GET", f"/promotions/{promotion_id}")[0] == 200
    status, problem = call("DELETE", f"/promotions/{promotion_id}")
    assert (status, problem["code"]) == (403, "not_allowed")
    assert ledger.records[promotion_id].outcome is Outcome.WAITING


def test_without_the_setting_operators_everybody_may_cancel(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whom API Gateway admits."""
    monkeypatch.setenv("PROMOTER_OPERATORS", "[]")
    promotion_id = call("POST", "/promotions", WAIT)[1]["promotionId"]

    assert call("DELETE", f"/promotions/{promotion_id}", caller=STRANGER)[0] == 200


def test_what_has_ended_cannot_be_cancelled(call: Call, ledger: InMemoryLedger) -> None:
    """The answer names how it ended."""
    ledger.having(record())

    status, problem = call("DELETE", "/promotions/p-1")

    assert (status, problem["code"], problem["promotionId"]) == (409, "not_waiting", "p-1")
    assert "PROMOTED" in problem["detail"]


def test_what_is_moving_tags_cannot_be_cancelled(call: Call, ledger: InMemoryLedger) -> None:
    """A moment later it has ended, or waits again."""
    ledger.records["p-1"] = replace(record(), outcome=None, ended_at=None)

    status, problem = call("DELETE", "/promotions/p-1")

    assert (status, problem["code"]) == (409, "tag_busy")


def test_what_is_not_known_cannot_be_cancelled(call: Call) -> None:
    """Operators learn that."""
    assert call("DELETE", "/promotions/unknown", caller=OPERATOR)[1]["code"] == "promotion_not_found"


def test_what_has_waited_for_as_long_as_it_may_has_ended(call: Call, ledger: InMemoryLedger) -> None:
    """Whoever reads it is told so, recorded or not; it cannot be cancelled; its key runs it again."""
    promotion_id = call("POST", "/promotions", WAIT, key="deploy-7")[1]["promotionId"]
    expire(ledger, promotion_id)

    shown = call("GET", f"/promotions/{promotion_id}")[1]
    assert (shown["outcome"], shown["code"]) == ("REFUSED", "expired")
    assert "waitsUntil" not in shown
    assert call("DELETE", f"/promotions/{promotion_id}")[1]["code"] == "not_waiting"
    status, again = call("POST", "/promotions", WAIT, key="deploy-7")
    assert (status, again["outcome"], again["promotionId"]) == (202, "WAITING", promotion_id)


class Listed:
    """A history that remembers what it was asked for."""

    def __init__(self, entry: HistoryEntry, *tokens: str | None) -> None:
        self.entry = entry
        self.tokens = list(tokens)
        self.asked: dict[str, Any] = {}

    def waiting(self, **asked: Any) -> Page[HistoryEntry]:
        self.asked = asked
        return Page((self.entry,), self.tokens.pop(0))


@pytest.mark.parametrize(
    ("parameters", "repository"),
    [({}, None), ({"repositoryName": "team/web"}, REPOSITORY)],
)
def test_what_waits_is_listed(
    invoke: Callable[[dict[str, Any]], dict[str, Any]],
    call: Call,
    ledger: InMemoryLedger,
    monkeypatch: pytest.MonkeyPatch,
    parameters: dict[str, str],
    repository: Any,
) -> None:
    """Of all repositories, or of one; with for what and how long it waits."""
    promotion_id = call("POST", "/promotions", WAIT)[1]["promotionId"]
    history = Listed(entry_of(ledger.records[promotion_id]), "t-2")
    monkeypatch.setattr(wiring, "history", lambda: history)

    status, page = call("GET", "/promotions", query={"outcome": "WAITING", "imageTag": "v1"} | parameters)

    assert (status, page["nextToken"]) == (200, "t-2")
    assert history.asked == {
        "repository": repository,
        "image_tag": "v1",
        "wanted": Filter(Outcome.WAITING),
        "limit": 20,
        "next_token": None,
    }
    (listed,) = page["promotions"]
    assert (listed["promotionId"], listed["waitingFor"]) == (promotion_id, ["frozen"])
    assert {"askedAt", "waitsUntil"} <= listed.keys()
    assert "endedAt" not in listed


def test_a_list_of_what_ended_needs_a_repository(call: Call) -> None:
    """The answer names the parameter."""
    status, problem = call("GET", "/promotions", query={"outcome": "REFUSED"})

    assert (status, problem["code"], problem["field"]) == (400, "invalid_request", "repositoryName")


class Lifted:
    """Freezes of which one is lifted."""

    def lift(self, scope: Freeze) -> bool:
        """Lift it."""
        return True


def test_lifting_a_freeze_has_what_waited_for_it_tried(
    call: Call, ledger: InMemoryLedger, sqs: Sqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a moment, when every environment of the function knows that the freeze is lifted."""
    _, waits = call("POST", "/promotions", WAIT)
    history = Listed(entry_of(ledger.records[waits["promotionId"]]), "t-2", None)
    monkeypatch.setattr(wiring, "history", lambda: history)
    monkeypatch.setattr(wiring, "freezes", Lifted)

    assert call("DELETE", "/freeze", caller=OPERATOR, query={"repositories": "*"})[0] == 200

    assert len(sqs.sent) == 2  # one a page
    for message in sqs.sent:
        waited = (waits["promotionId"],)
        assert due.read(json.loads(message["MessageBody"])) == due.Due(waited, due.FIRST_PAUSE)
        assert message["DelaySeconds"] > 5


class OnePage(Listed):
    """A list of which one page can be read."""

    def waiting(self, *, next_token: str | None = None, **asked: Any) -> Page[HistoryEntry]:
        """Read it."""
        if next_token:
            raise LedgerError("DynamoDB is down")
        return super().waiting(next_token=next_token, **asked)


def test_a_freeze_is_lifted_though_what_waits_for_it_cannot_be_listed(
    call: Call, ledger: InMemoryLedger, sqs: Sqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer says what was done: a repeat would find no freeze. Reconcile tries what was not listed."""
    _, waits = call("POST", "/promotions", WAIT)
    history = OnePage(entry_of(ledger.records[waits["promotionId"]]), "t-2", None)
    monkeypatch.setattr(wiring, "history", lambda: history)
    monkeypatch.setattr(wiring, "freezes", Lifted)

    assert call("DELETE", "/freeze", caller=OPERATOR, query={"repositories": "*"}) == (200, {"lifted": True})

    (message,) = sqs.sent
    assert due.read(json.loads(message["MessageBody"])) == due.Due((waits["promotionId"],), due.FIRST_PAUSE)
