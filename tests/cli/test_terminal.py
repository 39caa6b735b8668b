"""On a terminal: color, a line that changes, and ids that can be copied."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

from tests.cli.conftest import ID, FakeApi, promoted, record, waiting

CLI = Path(__file__).parents[2] / "cli"


def on_terminal(api: FakeApi, *line: str, **variables: str) -> tuple[int, str]:
    """Run the program on a terminal of 60 columns; return its exit code and what the terminal got."""
    ours, its = pty.openpty()
    environment = os.environ | {
        "ECR_PROMOTER_API_URL": api.url,
        "PYTHONPATH": str(CLI),
        "COLUMNS": "60",
        "TERM": "xterm-256color",
        **variables,
    }
    command = [sys.executable, "-m", "ecr_promoter", *line]
    with subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env=environment) as process:
        os.close(its)
        got = b""
        while chunk := read(ours):
            got += chunk
    os.close(ours)
    return process.returncode, got.decode()


def read(terminal: int) -> bytes:
    """Return what was written next; nothing when the program has ended."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def test_outcomes_have_a_color(api: FakeApi) -> None:
    """Unless NO_COLOR is set, or --color off."""
    api.answer("POST /promotions", promoted())
    line = ("promote", "team/web", "build-42")

    assert "\x1b[32mPROMOTED\x1b[0m" in on_terminal(api, *line)[1]
    assert "\x1b[32m" not in on_terminal(api, *line, NO_COLOR="1")[1]
    assert "\x1b[32m" not in on_terminal(api, *line, "--color", "off")[1]


def test_an_id_stays_on_one_line(api: FakeApi) -> None:
    """Also where the terminal is narrower than the table: cut in two, it could not be copied."""
    api.answer("GET /promotions", {"promotions": [record()]})

    _, got = on_terminal(api, "list", "team/web")

    assert ID in got


def test_what_is_waited_for_changes_in_place(api: FakeApi) -> None:
    """With the time since, and how to leave."""
    api.answer("POST /promotions", waiting("scan_pending"), 202)
    api.answer(f"GET /promotions/{ID}", record())

    exit_code, got = on_terminal(api, "promote", "team/web", "build-42", "--wait")

    assert exit_code == 0
    assert "waiting for scan_pending" in got
    assert "Ctrl-C" in got
    assert "\x1b[2K" in got  # the line is cleared in the end
    assert "PROMOTED" in got
