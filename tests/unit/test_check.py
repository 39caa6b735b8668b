"""How `make test` ends: with what failed, and how to run only that again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
CTRL_C = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execvp(sys.argv[1], sys.argv[1:])"
)
"""Runs a command for which Ctrl-C is not switched off, as a shell does for what runs in its background."""
TOOLS = ("codespell", "pytest", "python", "ruff", "zizmor")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with the script, and with tools that find nothing wrong."""
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / "scripts").mkdir()
    shutil.copy(PROJECT / "scripts" / "check.sh", tmp_path / "scripts")
    (tmp_path / "Makefile").write_text("docs:\n\t@true\n")
    for name in TOOLS:
        tool(tmp_path, name, "exit 0")
    return tmp_path


def tool(clone: Path, name: str, script: str) -> None:
    """Put a tool in place."""
    file = clone / ".venv" / "bin" / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def start(clone: Path, *checks: str) -> subprocess.Popen[str]:
    """Start the script as a shell does: Ctrl-C reaches it, and all that it has started."""
    return subprocess.Popen(
        [sys.executable, "-c", CTRL_C, "bash", "scripts/check.sh", *checks],
        cwd=clone,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def end(started: subprocess.Popen[str]) -> tuple[int, list[str]]:
    """Wait for the end; return the status and the lines."""
    text, _ = started.communicate(timeout=60)
    return started.returncode, text.splitlines()


def test_all_that_passed_is_told_with_its_time(clone: Path) -> None:
    """The last line is the whole result."""
    status, lines = end(start(clone, "lint", "tests"))

    assert status == 0
    assert lines[-1].startswith("== lint tests passed in 0 min")


@pytest.mark.parametrize(
    ("failing", "told"),
    [
        ("ruff", ": style. Run only this again: .venv/bin/ruff check app.py"),
        ("zizmor", ": workflows. Run only this again: .venv/bin/zizmor"),
        ("pytest", ": tests. Run only this again: .venv/bin/pytest --last-failed"),
    ],
)
def test_what_failed_is_the_last_line(clone: Path, failing: str, told: str) -> None:
    """With the command that runs it again; nothing runs after it."""
    tool(clone, failing, "echo wrong; exit 1")

    status, lines = end(start(clone, "lint", "tests"))

    assert status == 1
    assert told in lines[-1]
    assert lines[-2] == "wrong"


def test_ctrl_c_ends_it(clone: Path) -> None:
    """It is told as that, and not as a test that failed."""
    # One process says that it runs and waits: a shell that got the signal between two commands would go on.
    waits = "import pathlib, time; pathlib.Path('started').touch(); time.sleep(60)"
    tool(clone, "pytest", f'exec {sys.executable} -c "{waits}"')

    started = start(clone, "tests")
    deadline = time.monotonic() + 30
    while not (clone / "started").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(started.pid, signal.SIGINT)
    status, lines = end(started)

    assert status == 130
    assert lines[-1].startswith("== interrupted after 0 min")
