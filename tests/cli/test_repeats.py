"""What passes with time is tried again, with the same Idempotency-Key; nothing else is."""

from __future__ import annotations

import pytest

from tests.cli.conftest import LOST, FakeApi, Passing, Run, problem, promoted

ASK = ("promote", "team/web", "build-42", "--to", "prod")


def keys(api: FakeApi) -> list[str | None]:
    return [each.headers.get("idempotency-key") for each in api.asked]


def test_a_lost_answer_is_asked_for_with_the_same_key(run: Run, api: FakeApi) -> None:
    """The service may have moved the tag already: the key gets the first answer again."""
    api.answer("POST /promotions", status=LOST).answer("POST /promotions", promoted())

    assert run(*ASK).exit_code == 0
    assert len(api.asked) == 2
    assert len(set(keys(api))) == 1
    assert all(each.is_signed for each in api.asked)


def test_each_run_has_a_key_of_its_own_unless_the_user_names_one(run: Run, api: FakeApi) -> None:
    """A second run is a second promotion, but the second run of one pipeline is not."""
    api.answer("POST /promotions", promoted())

    run(*ASK)
    run(*ASK)
    run(*ASK, "--idempotency-key", "web-deploy-1234")

    first, second, third = keys(api)
    assert first
    assert second
    assert first != second
    assert third == "web-deploy-1234"


def test_a_dry_run_has_no_key(run: Run, api: FakeApi) -> None:
    """The promotion that follows it must not get its answer."""
    api.answer("POST /promotions", promoted("PLANNED"))

    assert run(*ASK, "--dry-run").exit_code == 0
    assert keys(api) == [None]


@pytest.mark.parametrize(
    ("code", "status", "retry_after"),
    [("throttled", 429, "2"), ("tag_busy", 409, "1"), ("scan_pending", 409, "30"), ("ledger_error", 503, "2")],
)
def test_the_service_says_when_to_try_again(
    run: Run, api: FakeApi, passing: Passing, code: str, status: int, retry_after: str
) -> None:
    """By Retry-After."""
    api.answer("POST /promotions", problem(code, status), status, retry_after=retry_after)
    api.answer("POST /promotions", promoted())

    assert run(*ASK).exit_code == 0
    assert passing.slept == [float(retry_after)]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_api_gateways_own_failures_pass_too(run: Run, api: FakeApi, passing: Passing, status: int) -> None:
    """They have no code and no Retry-After."""
    api.answer("POST /promotions", {"message": "no"}, status).answer("POST /promotions", promoted())

    assert run(*ASK).exit_code == 0
    assert len(passing.slept) == 1


def test_the_patience_has_an_end(run: Run, api: FakeApi, passing: Passing) -> None:
    """A minute, or what --retry-for says; then the answer stands."""
    api.answer("POST /promotions", problem("throttled", 429), 429, retry_after="2")

    assert run(*ASK).exit_code == 4
    assert passing.slept == [2.0] * 30
    passing.slept.clear()
    assert run(*ASK, "--retry-for", "5s").exit_code == 4
    assert passing.slept == [2.0] * 2
    passing.slept.clear()
    assert run(*ASK, "--retry-for", "0").exit_code == 4
    assert passing.slept == []


def test_an_answer_that_is_always_lost_says_how_to_ask_again(run: Run, api: FakeApi) -> None:
    """The user runs the same command with the same key, and learns how it ended."""
    api.answer("POST /promotions", status=LOST)

    ended = run(*ASK)

    assert ended.exit_code == 4
    assert f"--idempotency-key {keys(api)[0]}" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_server_that_is_not_there_is_given_up_soon(run: Run, passing: Passing) -> None:
    """After three attempts: the address is wrong, or the network is down."""
    ended = run(*ASK, "--api-url", "http://127.0.0.1:1")

    assert (ended.exit_code, len(passing.slept)) == (4, 2)
    assert "Check --api-url and the network" in ended.stderr


@pytest.mark.parametrize(
    ("code", "status"),
    [("gate_refused", 422), ("frozen", 423), ("tag_changed", 412), ("idempotency_conflict", 409)],
)
def test_a_refusal_is_not_tried_again(run: Run, api: FakeApi, code: str, status: int) -> None:
    """It would be refused again."""
    api.answer("POST /promotions", problem(code, status), status)

    assert run(*ASK).exit_code == 3
    assert len(api.asked) == 1
