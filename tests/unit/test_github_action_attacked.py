"""The GitHub action, where a tool is missing, where answers are huge, and where encodings differ."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts import github_action
from tests.support.github import run
from tests.unit.test_github_action import PROMOTED, REFUSED, promote

MOST_SUMMARY = 1024 * 1024
"""Bytes of a step's summary that GitHub takes; of a larger one it shows nothing."""


def test_a_summary_is_never_too_large_for_github(tmp_path: Path) -> None:
    """An image with some thousand findings is refused, and the summary is what says why."""
    reasons = [REFUSED["reasons"][0] | {"detail": "CVE-2026-1234 in openssl is CRITICAL, " * 5}] * 3000  # type: ignore[index]

    ended = promote(tmp_path, {**REFUSED, "reasons": reasons}, code=3, repository="team/web", source="build-42")

    assert len(ended.summary.encode()) <= MOST_SUMMARY
    assert "CVE&#45;2026&#45;1234" in ended.summary


def test_a_missing_uvx_is_told_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The step fails with an annotation, not with a traceback, and commands work again after it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    inputs = {"INPUT_REPOSITORY": "team/web", "INPUT_SOURCE": "build-42", "GITHUB_ACTION_PATH": str(tmp_path)}

    code = github_action.main(inputs)

    log = capfd.readouterr().out
    assert code == 4
    assert "::error" in log.rpartition("::stop-commands::")[2]


@pytest.mark.parametrize("answer", [b'{"outcome": "PROMOTED", "detail": "caf\xe9"}', b"\xff\xfe"])
def test_an_answer_in_another_encoding_does_not_hide_that_the_promotion_was_done(
    tmp_path: Path, answer: bytes
) -> None:
    """On runners whose encoding is not UTF-8 the command line writes in theirs. The step has its exit code."""
    (tmp_path / "bytes").write_bytes(answer)

    ended = run(tmp_path, f'#!/bin/sh\ncat "{tmp_path}/bytes"\n', repository="team/web", source="build-42")

    assert ended.code == 0
    assert "Traceback" not in ended.log


def test_the_command_line_is_told_to_write_utf8(tmp_path: Path) -> None:
    """Its answer is read as UTF-8."""
    script = '#!/bin/sh\nprintf \'{"outcome": "%s"}\' "$PYTHONIOENCODING$PYTHONUTF8"\n'

    ended = run(tmp_path, script, repository="team/web", source="build-42")

    assert ended.outputs["outcome"]


@pytest.mark.parametrize(
    "answer", [{"images": [7]}, {"images": 7}, {"reasons": ["x"]}, {"reasons": 7}, {"images": [{"imageId": "x"}]}]
)
def test_an_answer_of_a_newer_service_does_not_break_the_report(tmp_path: Path, answer: Any) -> None:
    """The exit code stays that of the command line, and the outputs are written."""
    ended = promote(tmp_path, PROMOTED | answer, repository="team/web", source="build-42")

    assert ended.code == 0
    assert "Traceback" not in ended.log
    assert ended.outputs["promotion-id"] == "6c1f"


def test_every_line_of_a_token_is_masked(tmp_path: Path) -> None:
    """A secret that was stored with a newline would put its second line into the log."""
    token = "first-part\nsecond-part\n"
    script = f"#!{sys.executable}\nprint({json.dumps(json.dumps(PROMOTED))})\n"

    ended = run(
        tmp_path, script, environment={"ECR_PROMOTER_TOKEN": token}, repository="team/web", source="build-42"
    )

    masks = [line for line in ended.log.splitlines() if line.startswith("::add-mask::")]
    rest = [line for line in ended.log.splitlines() if not line.startswith("::add-mask::")]
    assert masks
    assert not [line for line in rest if "second-part" in line]


def test_a_wrong_input_is_wrong_use(tmp_path: Path) -> None:
    """Exit code 2 as the command line has it, with an annotation."""
    ended = promote(tmp_path, repository="team/web", source="build-42", dry_run="perhaps")

    assert ended.code == 2
    assert "::error" in ended.log
