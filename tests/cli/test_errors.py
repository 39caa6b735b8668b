"""Every error is one line with what to do, and an exit code that scripts can rely on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ecr_promoter.api import problems
from promoter.domain import errors
from promoter.domain.model import Outcome
from tests.cli.conftest import FakeApi, Run, problem, promoted

KINDS = [kind for kind in map(errors.error_of, sorted(errors._BY_CODE)) if kind.code]
ASK = ("promote", "team/web", "build-42", "--retry-for", "0")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.code)
def test_each_error_of_the_service_has_its_exit_code(
    run: Run, api: FakeApi, kind: type[errors.PromoterError]
) -> None:
    """3 for refusals, 4 for failures; a request that is not valid is a wrong command line."""
    api.answer("POST /promotions", problem(kind.code, kind.http_status, "It is so."), kind.http_status)

    ended = run(*ASK)

    expected = {Outcome.FAILED: 4, Outcome.REFUSED: 3}[kind.outcome]
    assert ended.exit_code == (2 if kind.code == "invalid_request" else expected)
    assert ended.stderr.startswith(f"ecr-promoter: {kind.code}: It is so.")
    assert len(ended.stderr.splitlines()) == 1


def test_what_may_be_tried_again_is_what_the_service_says() -> None:
    """The program and the service agree on every code."""
    assert {kind.code for kind in KINDS if kind.retryable} == problems.AGAIN
    assert {kind.code for kind in KINDS if kind.outcome is Outcome.FAILED} == problems.FAILURES


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "Get a new one"),
        (403, "execute-api:Invoke"),
        (404, "Check the address of the API"),
        (413, "10 MB"),
        (429, "later"),
        (503, "--debug"),
        (418, "--debug"),
    ],
)
@pytest.mark.parametrize("answer", [{"message": "no"}, "<html>no</html>", "", [], {"code": 7}])
def test_what_api_gateway_answers_itself_has_a_remedy(
    run: Run, api: FakeApi, status: int, words: str, answer: Any
) -> None:
    """Whatever the body is. Exit code 4."""
    api.answer("POST /promotions", answer, status)

    ended = run(*ASK)

    assert ended.exit_code == 4
    assert f"The API answered {status}" in ended.stderr
    assert words in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_texts_of_others_do_not_break_the_line(run: Run, api: FakeApi) -> None:
    """A detail with newlines is still one line."""
    api.answer("POST /promotions", problem("frozen", 423, "first\n\n  second\r\nthird"), 423)

    assert "first second third" in run(*ASK).stderr


HOSTILE = "::error::no\x1b]0;title\x07\x9b2J"


def test_texts_of_others_command_neither_terminal_nor_ci_system(run: Run, api: FakeApi) -> None:
    """A package, a platform or a reason for a freeze may be anybody's. JSON has it escaped."""
    reason = {
        "code": "finding",
        "detail": HOSTILE,
        "platform": HOSTILE,
        "vulnerability": HOSTILE,
        "package": HOSTILE,
    }
    api.answer("POST /promotions", problem("gate_refused", 422, HOSTILE, reasons=[reason]), 422)

    ended = run(*ASK)

    for printed in (ended.stdout, ended.stderr):
        assert not set("\x1b\x07\x9b") & set(printed)
        assert not [line for line in printed.splitlines() if line.lstrip().startswith(("::", "##["))]
    assert "error::no" in ended.stdout


def test_a_bug_is_told_without_a_traceback(run: Run, api: FakeApi) -> None:
    """--debug tells where it happened."""
    api.answer("POST /promotions", promoted(images=[{"no": "imageId"}, 7]))

    plain, told = run(*ASK), run(*ASK, "--debug")

    assert plain.exit_code == 4
    assert "This is a bug of the program" in plain.stderr
    assert len(plain.stderr.splitlines()) == 1
    assert "Traceback" not in plain.stderr + told.stderr
    assert "promotions.py:" in told.stderr


def test_debug_tells_what_was_sent_and_received(run: Run, api: FakeApi) -> None:
    """On stderr, so that the answer on stdout stays as it is."""
    api.answer("POST /promotions", promoted())

    ended = run(*ASK, "--debug", "--output", "json")

    assert ended.document["outcome"] == "PROMOTED"
    for words in (f"> POST {api.url}/promotions", "> idempotency-key: cli-", "< 200", '< {"promotionId"'):
        assert words in ended.stderr


def test_a_reader_that_goes_away_is_no_error(api: FakeApi) -> None:
    """`ecr-promoter … | head -1` ends quietly."""
    api.answer("GET /promotions", {"promotions": [promoted(endedAt="2026-11-24T10:00:00Z")] * 5000})
    line = [sys.executable, "-m", "ecr_promoter", "list", "team/web", "--output", "json", "--limit", "100"]
    environment = os.environ | {
        "ECR_PROMOTER_API_URL": api.url,
        "PYTHONPATH": str(Path(__file__).parents[2] / "cli"),
    }
    with subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        told = process.stderr.read()

    assert told == b""
