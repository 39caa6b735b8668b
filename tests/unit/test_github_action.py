"""The GitHub action: what its step asks for, and what it tells the job, whatever it is given."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts import github_action
from tests.support.github import EXPRESSION, Ended, action, run
from tests.support.runners import PROJECT, answering, asked

MOST_SUMMARY = 1024 * 1024
"""Bytes of a step's summary that GitHub takes; of a larger one it shows nothing."""
DIGEST, BEFORE = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
PROMOTED = {
    "promotionId": "6c1f",
    "outcome": "PROMOTED",
    "rule": "prod-by-pipeline",
    "images": [
        {
            "imageId": {"imageDigest": DIGEST, "imageTag": "prod"},
            "imageManifest": "{}",
            "outcome": "PROMOTED",
            "previousDigest": BEFORE,
        },
        {"imageId": {"imageDigest": DIGEST, "imageTag": "v1"}, "outcome": "UNCHANGED", "previousDigest": DIGEST},
    ],
}
REFUSED = {
    "code": "gate_refused",
    "status": 422,
    "detail": "linux/arm64: CVE-2026-1234 in openssl is CRITICAL, 0 allowed",
    "promotionId": "6c1f",
    "reasons": [
        {
            "code": "finding",
            "detail": "CVE-2026-1234 in openssl is CRITICAL",
            "platform": "linux/arm64",
            "vulnerability": "CVE-2026-1234",
            "package": "openssl",
            "severity": "CRITICAL",
            "fixedIn": "3.0.2",
        }
    ],
}


STILL_WAITING = {
    "promotionId": "6c1f",
    "outcome": "WAITING",
    "waitingFor": ["scan_pending"],
    "waitsUntil": "2026-11-25T10:00:00+00:00",
}
WAITED = "waiting for scan_pending, until 2026-11-25 10:00:00Z at most\nwaiting for frozen\n"


def promote(folder: Path, answer: Any = PROMOTED, *, code: int = 0, told: str = "", **inputs: Any) -> Ended:
    """Run the step with a command line that answers so, and keeps its arguments."""
    uvx = answering(folder, answer, code=code, told=told)
    return run(folder, uvx, **{"repository": "team/web", "source": "staging"} | inputs)


def plain(summary: str) -> str:
    """Return a summary as its reader sees it."""
    return re.sub(r"&#(\d+);", lambda found: chr(int(found[1])), summary)


def test_inputs_reach_scripts_by_the_environment_only() -> None:
    """In the text of a script, an input could be a command. Each input is used."""
    steps = action()["runs"]["steps"]
    used = {name for step in steps for name in EXPRESSION.findall(json.dumps(step))}

    assert all("${{" not in step.get("run", "") for step in steps)
    assert used == action()["inputs"].keys()


def test_other_actions_are_pinned() -> None:
    """To a commit: a tag can be moved."""
    assert all(re.search(r"@[0-9a-f]{40}$", step["uses"]) for step in action()["runs"]["steps"] if "uses" in step)


def test_what_moved_is_reported(tmp_path: Path) -> None:
    """As outputs, and in the summary from where to where."""
    ended = promote(tmp_path)

    assert ended.code == 0
    assert {name: ended.outputs[name] for name in ("outcome", "promotion-id", "digest", "code")} == {
        "outcome": "PROMOTED",
        "promotion-id": "6c1f",
        "digest": DIGEST,
        "code": "",
    }
    assert "imageManifest" not in ended.outputs["answer"]
    assert ended.outputs.keys() == action()["outputs"].keys()
    summary = plain(ended.summary)
    short, before = DIGEST[:19], BEFORE[:19]
    assert "team/web:staging" in summary
    assert (
        f"| <code>prod</code> | <code>PROMOTED</code> | <code>{before}</code> | <code>{short}</code> |" in summary
    )
    assert f"| <code>v1</code> | <code>UNCHANGED</code> | <code>{short}</code> | <code>{short}</code> |" in summary


def test_what_refused_is_reported(tmp_path: Path) -> None:
    """The findings in the summary, the first sentence as an annotation; the step fails as the command does."""
    ended = promote(tmp_path, REFUSED, code=3)

    assert ended.code == 3
    assert (ended.outputs["outcome"], ended.outputs["code"]) == ("REFUSED", "gate_refused")
    assert f"::error title=ecr-promoter::gate_refused: {REFUSED['detail']}\n" in ended.log
    summary = plain(ended.summary)
    for text in ("linux/arm64", "CRITICAL", "CVE-2026-1234", "openssl", "3.0.2"):
        assert f"<code>{text}</code>" in summary


def test_what_the_step_waited_for_is_reported(tmp_path: Path) -> None:
    """In the log as it changes, and in the summary beside what moved."""
    ended = promote(tmp_path, told=WAITED, wait="true")

    assert (ended.code, ended.outputs["outcome"]) == (0, "PROMOTED")
    assert WAITED in ended.log
    summary = plain(ended.summary)
    assert "What it waited for:\n\n- waiting for scan_pending, until 2026-11-25 10:00:00Z at most\n" in summary
    assert "- waiting for frozen\n" in summary
    assert "<code>prod</code>" in summary


@pytest.mark.parametrize(("code", "outcome"), [(3, "REFUSED"), (4, "FAILED")])
def test_the_outcome_of_an_error_is_that_of_its_exit_code(tmp_path: Path, code: int, outcome: str) -> None:
    """The problem document of the API has a code, and no outcome."""
    assert promote(tmp_path, REFUSED, code=code).outputs["outcome"] == outcome


def test_a_promotion_that_still_waits_fails_the_step(tmp_path: Path) -> None:
    """Nothing was promoted yet. The job learns how to follow the promotion."""
    ended = promote(tmp_path, STILL_WAITING, code=5, told=WAITED, timeout="30m")

    assert (ended.code, ended.outputs["outcome"], ended.outputs["promotion-id"]) == (5, "WAITING", "6c1f")
    follow = "WAITING: the promotion goes on without this job. Follow it: ecr-promoter status 6c1f --wait"
    assert f"::error title=ecr-promoter::{follow}\n" in ended.log
    assert follow in plain(ended.summary)
    assert "- waiting for frozen\n" in plain(ended.summary)


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_a_job_that_is_cancelled_leaves_the_promotion_waiting(tmp_path: Path, number: str) -> None:
    """GitHub signals the process of the step only. The command line is told by a signal that uvx passes on."""
    uvx = f"""#!{sys.executable}
import os, signal, sys
def leave(*_):
    print({json.dumps(STILL_WAITING)!r})
    sys.exit(5)
signal.signal(signal.SIGTERM, leave)
signal.signal(signal.SIGINT, signal.SIG_IGN)
print("waiting for scan_pending", file=sys.stderr, flush=True)
os.kill(os.getppid(), signal.{number})
signal.alarm(30)  # ends this if the signal does not come
signal.pause()
"""
    ended = run(tmp_path, uvx, repository="team/web", source="staging", wait="true")

    assert (ended.code, ended.outputs["outcome"]) == (5, "WAITING")
    assert "ecr-promoter status 6c1f --wait" in plain(ended.summary)
    (step,) = [each for each in action()["runs"]["steps"] if each.get("id") == "promote"]
    assert step["run"].startswith("exec ")  # bash would neither end nor pass the signal on


@pytest.mark.parametrize("printed", ["", "no JSON", "[]", "null"])
def test_a_command_without_an_answer_fails_the_step(tmp_path: Path, printed: str) -> None:
    """What it told is in the log."""
    ended = promote(tmp_path, printed, code=2, told="ecr-promoter: There is no token to send.\n")

    assert ended.code == 2
    assert "There is no token to send." in ended.log
    assert "::error title=ecr-promoter::exit code 2: The log of the step says why." in ended.log
    assert ended.outputs["outcome"] == ""


def test_the_inputs_are_the_arguments(tmp_path: Path) -> None:
    """Lists are separated by spaces or lines. What is left out is not said."""
    promote(tmp_path)
    assert asked(tmp_path) == ["promote", "--output=json", "--", "team/web", "staging"]

    promote(
        tmp_path,
        to="prod\nv1.4.0  latest",
        expect=f"prod={BEFORE} v1.4.0=none",
        dry_run="TRUE",
        wait="true",
        timeout="30m",
        idempotency_key="web-7",
        api_url="https://api.example",
        stack="Promoter",
        audience="promoter",
        aws_region="eu-west-1",
    )

    assert asked(tmp_path) == [
        "promote",
        "--output=json",
        "--idempotency-key=web-7",
        "--stack=Promoter",
        "--timeout=30m",
        "--to=prod",
        "--to=v1.4.0",
        "--to=latest",
        f"--expect=prod={BEFORE}",
        "--expect=v1.4.0=none",
        "--dry-run",
        "--wait",
        "--api-url=https://api.example",
        "--region=eu-west-1",
        "--token",
        "--audience=promoter",
        *("--", "team/web", "staging"),
    ]


@pytest.mark.parametrize("name", ["dry_run", "wait"])
def test_a_flag_that_is_neither_true_nor_false_stops_the_step(tmp_path: Path, name: str) -> None:
    """Nothing is promoted by a typing mistake in `dry-run`."""
    inputs: dict[str, Any] = {name: "yes"}

    ended = promote(tmp_path, **inputs)

    assert ended.code == 2  # wrong use, as the command line has it
    assert (
        f"::error title=ecr-promoter::input {name.replace('_', '-')} must be true or false, not 'yes'" in ended.log
    )
    assert not (tmp_path / "arguments.json").exists()


HOSTILE = [
    "--debug",
    "$(touch hacked)",
    "`touch hacked`",
    "; touch hacked #",
    '"; touch hacked; "',
    "a\n::error::b",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_input_is_a_command_or_an_option(tmp_path: Path, text: str) -> None:
    """It is one argument, in its place."""
    promote(tmp_path, repository=text, source=text, idempotency_key=text, to=text.replace(" ", "_"))

    arguments = asked(tmp_path)
    assert arguments[arguments.index("--") + 1 :] == [text, text]
    assert f"--idempotency-key={text}" in arguments
    assert not (tmp_path / "hacked").exists()


def test_an_answer_cannot_write_to_the_summary_the_outputs_or_the_log(tmp_path: Path) -> None:
    """Markdown, HTML, links, new lines and commands of the workflow in it are text."""
    evil = "</code></td><img src=x>|[a](http://x) ``` @all\n\n# x\noutcome<<EOF\nPROMOTED\nEOF\n::set-env::x\u202e"
    answer = REFUSED | {
        "detail": evil,
        "promotionId": evil,
        "reasons": [{"code": evil, "detail": evil, "package": evil}],
    }

    ended = promote(tmp_path, answer, code=3, told="::add-path::/evil\n", repository=evil)

    assert re.fullmatch(r"(### ecr-promoter: |Promotion |</?code>|&#\d+;|\w| |\||-|\n)*", ended.summary)
    assert not any(line.startswith("#") and "ecr-promoter" not in line for line in ended.summary.splitlines())
    assert "\u202e" not in plain(ended.summary)
    assert ended.outputs["outcome"] == "REFUSED"
    (stop,) = re.findall(r"^::stop-commands::([0-9a-f]{32})$", ended.log, re.MULTILINE)
    before, _, after = ended.log.partition(f"::{stop}::\n")
    assert "::add-path::/evil" in before
    assert [line.partition("::")[0] for line in after.splitlines()] == [""]
    assert after.startswith("::error title=ecr-promoter::")


def test_a_token_of_the_job_is_masked_and_is_no_argument(tmp_path: Path) -> None:
    """It reaches the command line by the environment."""
    uvx = f'#!/bin/sh\ncd {tmp_path}; echo "$@" > arguments; echo "$ECR_PROMOTER_TOKEN" > token; echo \'{{}}\'\n'
    ended = run(
        tmp_path,
        uvx,
        environment={"ECR_PROMOTER_TOKEN": "secret-token"},
        repository="team/web",
        source="staging",
        audience="promoter",
    )

    assert ended.log.startswith("::add-mask::secret-token\n")
    assert (tmp_path / "token").read_text() == "secret-token\n"
    assert "secret-token" not in (tmp_path / "arguments").read_text() + ended.summary + str(ended.outputs)


def test_a_summary_is_never_too_large_for_github(tmp_path: Path) -> None:
    """An image with some thousand findings is refused, and the summary is what says why."""
    reasons = [REFUSED["reasons"][0] | {"detail": "CVE-2026-1234 in openssl is CRITICAL, " * 5}] * 3000  # type: ignore[index]

    ended = promote(tmp_path, {**REFUSED, "reasons": reasons}, code=3, repository="team/web", source="build-42")

    assert len(ended.summary.encode()) <= MOST_SUMMARY
    told = re.search(r"(\d+) more are left out", ended.summary)
    assert told
    assert ended.summary.count("in openssl is CRITICAL&#44; CVE") // 4 + int(told[1]) == 3000


def test_a_missing_uv_is_told_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The step fails with an annotation, not with a traceback, and commands work again after it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    inputs = {"INPUT_REPOSITORY": "team/web", "INPUT_SOURCE": "build-42", "GITHUB_ACTION_PATH": str(tmp_path)}

    code = github_action.main(inputs)

    log = capfd.readouterr().out
    assert code == 4
    assert "::error" in log.rpartition("::stop-commands::")[2]


def test_what_runs_is_what_the_commit_names(tmp_path: Path) -> None:
    """The hash of each package is checked, and none is built; nothing in the folder of the job is imported."""
    promote(tmp_path)

    made, installed = (tmp_path / "bin" / "uv.log").read_text().splitlines()
    assert made.startswith("venv ")
    assert f"--require-hashes --only-binary :all: --requirement {PROJECT}/cli/requirements.txt" in installed


def test_packages_that_uv_does_not_install_end_the_step(tmp_path: Path) -> None:
    """Such as one whose hash is another. Nothing was asked, and commands of the workflow work again."""
    ended = promote(tmp_path, uv="#!/bin/sh\necho Hash mismatch >&2\nexit 1\n")

    assert ended.code == 4
    assert "Hash mismatch" in ended.log
    assert ended.log.splitlines()[-1].startswith("::error title=ecr-promoter::The command line was not installed")
    assert not (tmp_path / "arguments.json").exists()


def test_a_job_that_is_cancelled_while_uv_installs_ends_in_a_line(tmp_path: Path) -> None:
    """Commands of the workflow work again for the steps that clean up."""
    ended = promote(tmp_path, uv="#!/bin/sh\nkill -INT $PPID\nexec sleep 30\n")

    assert ended.code == 4
    assert "Traceback" not in ended.log
    (stop,) = re.findall(r"^::stop-commands::([0-9a-f]{32})$", ended.log, re.MULTILINE)
    assert f"\n::{stop}::\n" in ended.log


@pytest.mark.parametrize("answer", [b'{"outcome": "PROMOTED", "detail": "\xe9"}', b"\xff\xfe"])
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
