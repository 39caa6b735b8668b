"""Where the output goes to does not decide how the program ends: pipes, full disks, other encodings."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import ID, FakeApi, problem, promoted, record, waiting

CLI = Path(__file__).parents[2] / "cli"
FULL = Path("/dev/full")


def end_of(api: FakeApi, line: str, redirection: str, **variables: str) -> tuple[int, str, str]:
    """Run the program in bash with a redirection; return its own exit code, and what was printed."""
    environment = os.environ | {"ECR_PROMOTER_API_URL": api.url, "PYTHONPATH": str(CLI), **variables}
    script = f"{sys.executable} -m ecr_promoter {line} {redirection}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, check=False)
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode()


@pytest.fixture
def answering(api: FakeApi) -> FakeApi:
    """An API that promotes prod, refuses to freeze, and knows one promotion that waits."""
    api.answer("POST /promotions", promoted())
    api.answer("PUT /freeze", problem("not_allowed", 403), 403)
    return api.answer(f"GET /promotions/{ID}", waiting("frozen"))


@pytest.mark.parametrize("redirection", ["| true", "2>&1 | true", ">&-", ">&- 2>&-"])
@pytest.mark.parametrize(
    ("line", "exit_code"),
    [
        ("promote team/web build-42", 0),
        ("promote --help", 0),
        ("promot", 2),
        ("freeze why", 3),
        (f"status {ID}", 5),
    ],
)
def test_who_does_not_read_the_output_does_not_change_the_exit_code(
    answering: FakeApi, line: str, exit_code: int, redirection: str
) -> None:
    """`ecr-promoter … | head -1` in a pipeline with pipefail ends as without head, and says nothing more."""
    ended, _, told = end_of(answering, line, redirection)

    assert ended == exit_code
    assert len(told.splitlines()) <= 1
    assert "bug" not in told


@pytest.mark.skipif(not FULL.exists(), reason="only Linux has a device that is always full")
@pytest.mark.parametrize(("line", "exit_code"), [("promote team/web build-42", 4), ("freeze why", 3)])
def test_a_full_disk_is_told_in_a_line(answering: FakeApi, line: str, exit_code: int) -> None:
    """A refusal stays a refusal; where the answer is lost the user learns that only the output failed."""
    ended, _, told = end_of(answering, line, f">{FULL}")

    assert ended == exit_code
    assert len(told.splitlines()) == 1
    assert ("only the output failed" in told) == (exit_code == 4)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
@pytest.mark.parametrize("command", ["put-image --help", "rollback --help"])
def test_the_help_is_shown_in_every_encoding(api: FakeApi, command: str, encoding: str) -> None:
    """Also where the ellipsis of its examples does not exist."""
    exit_code, shown, told = end_of(api, command, "", PYTHONIOENCODING=encoding)

    assert (exit_code, told) == (0, "")
    assert "Examples:" in shown


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_json_stays_json_in_every_encoding(api: FakeApi, encoding: str) -> None:
    """Characters that stdout cannot have are escaped as JSON has it, and so are those that nobody sees."""
    text = "é \U0001f600 \x9b2J \u202e \x7f"
    api.answer(f"GET /promotions/{ID}", record("PROMOTED", detail=text))

    _, shown, _ = end_of(api, f"status {ID} --output json", "", PYTHONIOENCODING=encoding)

    assert json.loads(shown)["detail"] == text
    assert not set("\x9b\u202e\x7f") & set(shown)
    assert ("é" in shown) == (encoding == "utf-8")


def test_an_argument_that_is_not_text_is_told(api: FakeApi) -> None:
    """Exit code 2, and nothing is sent."""
    exit_code, _, told = end_of(api, "list $'caf\\xe9'", "")

    assert (exit_code, api.asked) == (2, [])
    assert "Argument 2 is not text in UTF-8" in told


def test_a_promotion_is_followed_although_nobody_reads_the_notes(api: FakeApi) -> None:
    """What is waited for is told on stderr; a reader who has gone ends nothing."""
    api.answer(f"GET /promotions/{ID}", waiting("frozen")).answer(f"GET /promotions/{ID}", record())

    exit_code, shown, _ = end_of(api, f"status {shlex.quote(ID)} --wait --output json", "2> >(true)")

    assert exit_code == 0
    assert json.loads(shown)["outcome"] == "PROMOTED"
