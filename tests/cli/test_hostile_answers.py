"""Answers that are not the API's, or that somebody has made to do harm."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.conftest import DIGEST, ID, FakeApi, Run, problem, promoted, record

ASK = ("promote", "team/web", "build-42")
PUT = ("put-image", "--repository-name", "team/web", "--image-tag", "prod", "--image-manifest", "{}")


@pytest.mark.parametrize(
    "answer", ["<html>Log in</html>", "", [], ["x"], "null", '"text"', "7", {}, {"message": "x"}, "[" * 100_000]
)
@pytest.mark.parametrize("line", [ASK, PUT, ("freeze",), ("list", "team/web"), ("status", ID), ("reconcile",)])
def test_an_answer_of_another_server_is_not_a_success(
    run: Run, api: FakeApi, line: tuple[str, ...], answer: Any
) -> None:
    """A proxy that wants a login answers 200 too. Exit code 4, and what to check."""
    for route in (
        "POST /promotions",
        "GET /freeze",
        "GET /promotions",
        f"GET /promotions/{ID}",
        "POST /reconcile",
    ):
        api.answer(route, answer)

    ended = run(*line)

    assert (ended.exit_code, ended.stdout) == (4, "")
    assert "Check --api-url and the proxy" in ended.stderr


def test_a_promotion_without_an_outcome_is_not_a_success(run: Run, api: FakeApi) -> None:
    """A running promotion has none in its record, but the answer to a request always has one."""
    api.answer("POST /promotions", {"promotionId": ID})

    ended = run(*ASK)

    assert ended.exit_code == 4
    assert "without an outcome" in ended.stderr


def test_an_outcome_of_a_newer_service_is_not_a_success(run: Run, api: FakeApi) -> None:
    """Exit code 0 says that the tags are there."""
    api.answer("POST /promotions", promoted("REJECTED"))

    assert run(*ASK).exit_code == 4


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "-7", "1e9", "9" * 400, "soon", "0x10"])
def test_a_strange_retry_after_does_not_end_the_command(run: Run, api: FakeApi, value: str) -> None:
    """It is obeyed where it is a number of seconds within --retry-for."""
    api.answer("POST /promotions", problem("throttled", 429), 429, retry_after=value)

    ended = run(*ASK)

    assert ended.exit_code == 4
    assert ended.stderr.startswith("ecr-promoter: throttled: ")


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "soon"])
def test_a_moment_that_is_not_one_is_shown_as_it_is(run: Run, api: FakeApi, moment: str) -> None:
    """In tables; other formats do not read it."""
    api.answer("GET /heads", {"heads": [{"imageTag": "prod", "imageDigest": DIGEST, "movedAt": moment}]})

    ended = run("heads", "team/web")

    assert ended.exit_code == 0
    assert moment in ended.stdout


def test_what_debug_tells_commands_nothing(run: Run, api: FakeApi) -> None:
    """Neither the terminal nor the CI system."""
    api.answer("POST /promotions", "<html>\x1b[31m\n::error::no\n##[group]\r::warning::x\x9b</html>", 403)

    told = run(*ASK, "--debug").stderr

    assert "::error::no" in told
    assert not set("\x1b\x9b\r") & set(told)
    assert not [line for line in told.splitlines() if line.startswith(("::", "##["))]


@pytest.mark.parametrize("query", ["keys(outcome)", "sort([`1`, 'a'])", "[`1`][::0]", "length(nothing)"])
@pytest.mark.parametrize("line", [ASK, PUT])
def test_a_query_that_does_not_fit_the_answer_is_a_mistake_of_the_user(
    run: Run, api: FakeApi, line: tuple[str, ...], query: str
) -> None:
    """Exit code 2. The promotion was done all the same, and the user learns that."""
    api.answer("POST /promotions", promoted())

    ended = run(*line, "--query", query)

    assert (ended.exit_code, ended.stdout) == (2, "")
    assert "only the output failed" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_list_of_values_of_different_kinds_is_text(run: Run, api: FakeApi) -> None:
    """The AWS CLI fails with an AttributeError."""
    api.answer(f"GET /promotions/{ID}", record())

    ended = run("status", ID, "--query", "[rule, source, images[].imageTag]", "--output", "text")

    assert ended.exit_code == 0
    assert ended.stdout == "prod-by-pipeline\nbuild-42\nprod\n"
