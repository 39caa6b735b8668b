"""Promotions that wait: the program follows them, and leaves them waiting when it has to go."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from ecr_promoter import clock
from tests.cli.conftest import DIGEST, ID, FakeApi, Passing, Run, problem, promoted, record, waiting
from tests.support.waiting_processes import waiting_process

ASK = ("promote", "team/web", "build-42", "--to", "prod", "--wait")
PROJECT = Path(__file__).parents[2]
STATUS = f"GET /promotions/{ID}"


def test_the_program_waits_until_the_promotion_has_ended(run: Run, api: FakeApi, passing: Passing) -> None:
    """Exit code 0, with what moved, as if it had not waited. Each thing waited for is told once."""
    api.answer("POST /promotions", waiting("scan_pending"), 202, location=f"/promotions/{ID}")
    for reasons in (["scan_pending"], ["scan_pending"], ["soaking", "frozen"]):
        api.answer(STATUS, waiting(*reasons))
    api.answer(STATUS, record())

    ended = run(*ASK)

    assert ended.exit_code == 0
    assert "PROMOTED   prod   sha256:b2b2b2b2b2b2   sha256:a1a1a1a1a1a1" in ended.stdout
    assert ended.stderr.splitlines() == [
        "waiting for scan_pending, until 2026-11-25 10:00:00Z at most",
        "waiting for soaking, frozen, until 2026-11-25 10:00:00Z at most",
    ]


def test_the_pauses_grow(run: Run, api: FakeApi, passing: Passing) -> None:
    """A promotion that waits for a day costs few calls, and one that waits for seconds ends soon."""
    api.answer("POST /promotions", waiting("scan_pending"), 202)
    for _ in range(20):
        api.answer(STATUS, waiting("scan_pending"))
    api.answer(STATUS, record())

    run(*ASK)

    assert passing.slept == sorted(passing.slept)
    assert (passing.slept[0], passing.slept[-1]) == (1.0, 30.0)


def test_a_query_finds_the_same_members_after_a_wait(run: Run, api: FakeApi) -> None:
    """A pipeline does not know beforehand whether it will wait."""
    query = ("--query", "[outcome, rule, images[0].imageId.imageDigest]", "--output", "text")
    api.answer("POST /promotions", promoted()).answer("POST /promotions", waiting("scan_pending"), 202)
    api.answer(STATUS, record())

    at_once, later = run(*ASK, *query), run(*ASK, *query)

    assert at_once.stdout == later.stdout == f"PROMOTED\tprod-by-pipeline\t{DIGEST}\n"


@pytest.mark.parametrize(
    ("outcome", "code", "exit_code"),
    [
        ("REFUSED", "gate_refused", 3),
        ("REFUSED", "expired", 3),
        ("REFUSED", "cancelled", 3),
        ("REFUSED", "superseded", 3),
        ("FAILED", "tag_immutable", 4),
    ],
)
def test_a_wait_can_end_badly(run: Run, api: FakeApi, outcome: str, code: str, exit_code: int) -> None:
    """With the exit code of its outcome, and the cause in one line."""
    reasons = [{"code": "finding", "detail": "…", "vulnerability": "CVE-2026-1", "severity": "CRITICAL"}]
    ending = record(outcome, code=code, detail="It did not work.", reasons=reasons, images=None)
    api.answer("POST /promotions", waiting("scan_pending"), 202).answer(STATUS, ending)

    ended = run(*ASK)

    assert ended.exit_code == exit_code
    assert f"ecr-promoter: {code}: It did not work." in ended.stderr
    assert "CVE-2026-1" in ended.stdout


def test_the_program_looks_on_only_as_long_as_it_is_told(run: Run, api: FakeApi, passing: Passing) -> None:
    """Exit code 5: it waits on, and the user learns how to follow it and how to give it up."""
    api.answer("POST /promotions", waiting("scan_pending"), 202).answer(STATUS, waiting("scan_pending"))

    ended = run(*ASK, "--timeout", "10m")

    assert (ended.exit_code, passing.time) == (5, 600)
    last = ended.stderr.splitlines()[-1]
    assert f"ecr-promoter status {ID} --wait" in last
    assert f"ecr-promoter cancel {ID}" in last
    assert "waiting for" in ended.stdout


def test_ctrl_c_leaves_the_promotion_waiting(run: Run, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is cancelled: the same as when the time is over."""

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(clock, "sleep", interrupt)
    api.answer("POST /promotions", waiting("scan_pending"), 202)

    ended = run(*ASK)

    assert ended.exit_code == 5
    assert api.routes() == ["POST /promotions"]
    assert f"Promotion {ID} is still waiting for scan_pending" in ended.stderr
    assert "Traceback" not in ended.stderr


def in_a_process(api: FakeApi, **settings: Any) -> AbstractContextManager[subprocess.Popen[str]]:
    """The program as a process of its own, which waits now."""
    api.answer("POST /promotions", waiting("scan_pending"), 202).answer(STATUS, waiting("scan_pending"))
    environment = os.environ | {"ECR_PROMOTER_API_URL": api.url, "PYTHONPATH": str(PROJECT / "cli")}
    return waiting_process([sys.executable, "-m", "ecr_promoter", *ASK], environment, **settings)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_ci_system_that_ends_the_job_leaves_it_waiting_too(api: FakeApi, number: signal.Signals) -> None:
    """A real process and a real signal."""
    with in_a_process(api) as process:
        process.send_signal(number)
        _, told = process.communicate()

    assert process.returncode == 5
    assert f"ecr-promoter status {ID} --wait" in told
    assert "Traceback" not in told


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_may_come_again(api: FakeApi, number: signal.Signals) -> None:
    """A CI system sends it to each process, and uvx passes it on: the command still says how to go on."""
    with in_a_process(api) as process:
        while process.poll() is None:
            process.send_signal(number)
        _, told = process.communicate()

    assert process.returncode == 5
    assert f"ecr-promoter status {ID} --wait" in told


def test_a_job_in_the_background_is_ended_by_sigterm(api: FakeApi) -> None:
    """Shells start it with SIGINT ignored, because Ctrl-C is not meant for it."""
    with in_a_process(api, sigint=signal.SIG_IGN) as process:
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate()

    assert process.returncode == 5
    assert f"ecr-promoter status {ID} --wait" in told


def test_an_api_that_fails_while_it_waits_says_how_to_go_on(run: Run, api: FakeApi) -> None:
    """The promotion does not depend on who looks at it."""
    api.answer("POST /promotions", waiting("scan_pending"), 202).answer(STATUS, {"message": "Forbidden"}, 403)

    ended = run(*ASK)

    assert ended.exit_code == 4
    assert "The API answered 403" in ended.stderr
    assert f"ecr-promoter status {ID} --wait" in ended.stderr


def test_a_service_that_cannot_wait_is_told_apart(run: Run, api: FakeApi) -> None:
    """A service from before waiting promotions does not know the member."""
    api.answer("POST /promotions", problem("invalid_request", 400, "wait: contains unknown field `wait`"), 400)

    ended = run(*ASK)

    assert ended.exit_code == 2
    assert "upgrade the service" in ended.stderr


@pytest.mark.parametrize(
    ("document", "exit_code"),
    [
        (record(), 0),
        (record("UNCHANGED"), 0),
        (record("REFUSED", code="gate_refused", detail="No."), 3),
        (record("FAILED", code="registry_error", detail="No."), 4),
        (waiting("scan_pending"), 5),
        (record(None, endedAt=None), 5),
    ],
)
def test_status_ends_as_the_promotion_does(
    run: Run, api: FakeApi, document: dict[str, Any], exit_code: int
) -> None:
    """Scripts decide by the exit code; a promotion without an outcome is running."""
    api.answer(STATUS, document)

    ended = run("status", ID)

    assert ended.exit_code == exit_code
    assert ID in ended.stdout


def test_status_can_follow_a_promotion(run: Run, api: FakeApi) -> None:
    """As the message of Ctrl-C says."""
    api.answer(STATUS, waiting("scan_pending")).answer(STATUS, waiting("frozen")).answer(STATUS, record())

    ended = run("status", ID, "--wait")

    assert ended.exit_code == 0
    assert "caller      arn:aws:sts::123456789012:assumed-role/deployer/run-7" in ended.stdout


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (200, record("REFUSED", code="cancelled", detail="Cancelled by its requester.")),
        (409, problem("cancelled", 409)),
        (204, ""),
    ],
)
def test_a_promotion_is_cancelled(run: Run, api: FakeApi, status: int, answer: Any) -> None:
    """Exit code 0: it is what the user wanted."""
    api.answer(f"DELETE /promotions/{ID}", answer, status)

    assert run("cancel", ID).exit_code == 0


def test_a_promotion_that_is_moving_tags_cannot_be_cancelled(run: Run, api: FakeApi) -> None:
    """Exit code 3 or 4 with what the service says."""
    api.answer(f"DELETE /promotions/{ID}", problem("tag_busy", 409, "It is moving tags."), 409)

    ended = run("cancel", ID, "--retry-for", "0")

    assert ended.exit_code == 4
    assert "It is moving tags." in ended.stderr


def test_an_outcome_of_a_newer_service_ends_the_wait(run: Run, api: FakeApi) -> None:
    """Only WAITING and running go on; without --timeout the command would ask for ever."""
    api.answer(f"GET /promotions/{ID}", record("REJECTED"))

    ended = run("status", ID, "--timeout", "60s")

    assert ended.exit_code == 4
    assert len(api.asked) == 1
