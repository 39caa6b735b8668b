#!/usr/bin/env python3
"""The step of action.yml: runs the command line of this clone, and reports what it did to GitHub.

Needs nothing but Python and uv. The command line runs from the clone itself, with the packages of
cli/requirements.txt, whose hashes uv checks: no code runs that the commit does not name. The inputs come in the
environment. The command line itself fetches the job's OIDC token, if one is sent: the token is in no argument, no
file and no output.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NONE = "-"
SHORT = len("sha256:") + 12
USAGE, FAILED = 2, 4
OF_EXIT_CODE = {3: "REFUSED", FAILED: "FAILED"}
"""The outcomes of problem documents, which have none."""
WAITING = "waiting for "
"""Begins the lines with which the command line says what it waits for."""
MOST_ANSWER = 500_000  # characters of an output; GitHub takes 1 MB of all outputs of a job
MOST_ROWS = 300_000  # bytes of one list of the summary; GitHub shows nothing of a summary over 1 MiB
MOST_TEXT = 1_000  # characters of one cell
PYTHONS = ">=3.11,<3.15"
"""Those of pyproject.toml."""


class WrongInput(Exception):
    """An input of the action is wrong. Nothing was asked."""


class NotInstalled(Exception):
    """The command line could not be installed. Nothing was asked."""


def main(environment: Mapping[str, str]) -> int:
    """Promote, report, and return the exit code of the command line."""
    for line in environment.get("ECR_PROMOTER_TOKEN", "").splitlines():
        say(f"::add-mask::{escaped_command(line)}")  # GitHub masks no text over several lines
    try:
        asked = arguments(environment)
    except WrongInput as wrong:
        return failed(USAGE, f"{wrong}")
    try:
        ended = installed_and_run(environment["GITHUB_ACTION_PATH"], asked)
    except NotInstalled as error:
        return failed(FAILED, f"The command line was not installed, and nothing was promoted. {error}")
    answer = read(ended.printed)
    append(environment.get("GITHUB_OUTPUT"), outputs(answer, ended.code))
    append(environment.get("GITHUB_STEP_SUMMARY"), summary(environment, answer, ended))
    return failed(ended.code, reason(answer, ended.code)) if ended.code else 0


def failed(code: int, why: str) -> int:
    """Annotate the run with the cause, and return the exit code."""
    say(f"::error title=ecr-promoter::{escaped_command(why)}")
    return code


def installed_and_run(clone: str, asked: list[str]) -> Ended:
    """Run the command line of the clone. Nothing that it prints is taken for a command of the workflow."""
    end = secrets.token_hex(16)
    say(f"::stop-commands::{end}")
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            python = install(clone, folder)
            # -P: no file in the folder of the job stands in for a module.
            return run([python, "-P", "-m", "ecr_promoter", *asked], {"PYTHONPATH": str(Path(clone, "cli"))})
    finally:
        say(f"::{end}::")


def install(clone: str, folder: str) -> str:
    """Install the packages of the command line into a folder; return the Python that finds them.

    Raises NotInstalled if uv is missing or fails.
    """
    # In the folder, uv reads no settings of the job's own project. It is found as the runner finds it.
    pins = str(Path(clone, "cli", "requirements.txt").resolve())
    checked = ("--require-hashes", "--only-binary", ":all:", "--requirement", pins)
    for command in (
        ("uv", "venv", "--quiet", "--python", PYTHONS, "packages"),
        ("uv", "pip", "install", "--quiet", "--python", "packages", *checked),
    ):
        try:
            subprocess.run(command, cwd=folder, check=True)  # noqa: S603
        except OSError as error:
            raise NotInstalled(
                f"uv cannot be started: {error.strerror}. Install uv in an earlier step."
            ) from error
        except subprocess.CalledProcessError as error:
            raise NotInstalled(f"uv ended with exit code {error.returncode}, and the log says why.") from error
    return str(Path(folder, "packages", "bin", "python"))


@dataclass(frozen=True)
class Ended:
    """How the command line ended: its exit code, what it printed, and its lines on what it waited for."""

    code: int
    printed: str
    waited: tuple[str, ...]


def run(command: list[str], variables: Mapping[str, str]) -> Ended:
    """Run the command line, with its notes in the log as they come.

    When GitHub ends the job, the command line is told: it leaves the promotion waiting and says how to follow it.
    """
    waited = []
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as printed:
        process = subprocess.Popen(  # noqa: S603 - no shell reads the arguments
            command,
            env={**os.environ, "PYTHONIOENCODING": "utf-8", **variables},
            stdout=printed,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        on_cancel(lambda *_: process.terminate())
        for line in process.stderr or ():
            say(line.rstrip("\n"))
            if line.startswith(WAITING):
                waited.append(line.strip())
        code = process.wait()
        printed.seek(0)
        return Ended(code, printed.read(), tuple(waited))


def on_cancel(do: Callable[..., object]) -> None:
    """Do this when GitHub ends the job."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, do)


def arguments(environment: Mapping[str, str]) -> list[str]:
    """Return the arguments of the command line. No value can be taken for an option."""
    names = ("IDEMPOTENCY_KEY", "STACK", "TIMEOUT")
    given = {name: environment.get(f"INPUT_{name}", "").strip() for name in names}
    options = [f"--{name.lower().replace('_', '-')}={value}" for name, value in given.items() if value]
    for name, option in (("TO", "--to"), ("EXPECT", "--expect")):
        options += [f"{option}={value}" for value in environment.get(f"INPUT_{name}", "").split()]
    options += [f"--{name.lower().replace('_', '-')}" for name in ("DRY_RUN", "WAIT") if flag(environment, name)]
    if url := environment.get("INPUT_API_URL", "").strip():
        options.append(f"--api-url={url}")
    if region := environment.get("INPUT_AWS_REGION", "").strip():
        options.append(f"--region={region}")
    if audience := environment.get("INPUT_AUDIENCE", "").strip():
        options += ["--token", f"--audience={audience}"]
    return [
        "promote",
        "--output=json",
        *options,
        "--",
        environment["INPUT_REPOSITORY"],
        environment["INPUT_SOURCE"],
    ]


def flag(environment: Mapping[str, str], name: str) -> bool:
    """Return whether an input is true. Raises WrongInput for what is neither true nor false."""
    text = environment.get(f"INPUT_{name}", "").strip().lower()
    if text not in ("true", "false", ""):
        raise WrongInput(f"input {name.lower().replace('_', '-')} must be true or false, not {text!r}")
    return text == "true"


def read(printed: str) -> dict[str, Any]:
    """Return the answer that the command line has printed, without the manifests; nothing if it printed none."""
    try:
        answer = json.loads(printed)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(answer, dict):
        return {}
    for image in objects(answer.get("images")):
        image.pop("imageManifest", None)
    return answer


def objects(members: Any) -> list[dict[str, Any]]:
    """Return the objects of a list. What a newer service may have put in their place is left out."""
    return [each for each in members if isinstance(each, dict)] if isinstance(members, list) else []


def named(image: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the tag and digest of an image."""
    found = image.get("imageId")
    return found if isinstance(found, dict) else {}


def outputs(answer: Mapping[str, Any], code: int) -> str:
    """Return the outputs of the step, in the form that takes any text."""
    images = objects(answer.get("images")) or [{}]
    whole = json.dumps(answer, separators=(",", ":"))
    found = {
        "outcome": answer.get("outcome") or (OF_EXIT_CODE.get(code, "") if answer.get("code") else ""),
        "promotion-id": answer.get("promotionId") or "",
        "code": answer.get("code") or "",
        "digest": named(images[0]).get("imageDigest") or "",
        "answer": whole if len(whole) <= MOST_ANSWER else "",
    }
    end = secrets.token_hex(16)
    return "".join(f"{name}<<{end}\n{value}\n{end}\n" for name, value in found.items())


def summary(environment: Mapping[str, str], answer: Mapping[str, Any], ended: Ended) -> str:
    """Return the summary of the job, in Markdown: what moved from where to where, or what refused it.

    Also what the step has waited for.
    """
    source = f"{environment['INPUT_REPOSITORY']}:{environment['INPUT_SOURCE']}"
    parts = [f"### ecr-promoter: {shown(answer.get('outcome') or answer.get('code') or 'failed')}", shown(source)]
    if ended.code and not answer.get("images"):
        parts.append(text(reason(answer, ended.code)))
    if ended.waited:
        parts.append("What it waited for:\n\n" + fitting(f"- {text(line)}" for line in ended.waited))
    if images := objects(answer.get("images")):
        parts.append(table(("tag", "outcome", "was on", "is on"), map(moved, images)))
    if reasons := objects(answer.get("reasons")):
        parts.append(
            table(
                ("reason", "platform", "severity", "vulnerability", "package", "fixed in", "says"),
                map(why, reasons),
            )
        )
    if promotion_id := answer.get("promotionId"):
        parts.append(
            f"Promotion {shown(promotion_id)}" + (f" by rule {shown(answer['rule'])}" if "rule" in answer else "")
        )
    return "\n\n".join(parts) + "\n"


def moved(image: Mapping[str, Any]) -> list[str]:
    """Return the row of one tag."""
    now = named(image)
    digests = (
        f"{digest}"[:SHORT] if digest else "" for digest in (image.get("previousDigest"), now.get("imageDigest"))
    )
    return [shown(each) for each in (now.get("imageTag"), image.get("outcome"), *digests)]


def why(found: Mapping[str, Any]) -> list[str]:
    """Return the row of one reason."""
    members = ("code", "platform", "severity", "vulnerability", "package", "fixedIn")
    return [*(shown(found.get(name)) for name in members), text(f"{found.get('detail') or NONE}")]


def reason(answer: Mapping[str, Any], code: int) -> str:
    """Return why nothing was promoted, on one line."""
    if answer.get("outcome") == "WAITING":
        follow = f"ecr-promoter status {answer.get('promotionId')} --wait"
        return f"WAITING: the promotion goes on without this job. Follow it: {follow}"
    told = answer.get("detail") or "The log of the step says why."
    return f"{answer.get('code') or f'exit code {code}'}: {told}"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown of cells that are escaped already."""
    head, rule, *lines = (f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rows))
    return "\n".join((head, rule, fitting(lines)))


def fitting(lines: Iterable[str]) -> str:
    """Return as many lines as the summary has room for, and how many more there are."""
    kept: list[str] = []
    size = left_out = 0
    for line in lines:
        size += len(line.encode(errors="replace")) + 1
        if size <= MOST_ROWS:
            kept.append(line)
        else:
            left_out += 1
    told = f"\n\n{left_out} more are left out: a summary of GitHub has no room for them" if left_out else ""
    return "\n".join(kept) + told


def shown(value: Any) -> str:
    """Return a value as code."""
    return f"<code>{text(f'{value}')}</code>" if value else NONE


def text(value: str) -> str:
    """Return a text in which nothing is Markdown, HTML, a link, a new line or invisible."""
    short = value if len(value) <= MOST_TEXT else f"{value[:MOST_TEXT]}…"
    visible = (each for each in " ".join(short.split()) if unicodedata.category(each)[0] != "C")
    return "".join(each if each.isalnum() or each == " " else f"&#{ord(each)};" for each in visible)


def escaped_command(message: str) -> str:
    """Return a message as a command of the workflow takes it."""
    return message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def say(line: str) -> None:
    """Print a line at once, so that it stands in the log before what is run next."""
    print(line, flush=True)  # noqa: T201 - GitHub reads it


def append(path: str | None, written: str) -> None:
    """Append to a file that GitHub reads when the step has ended."""
    if path:
        with Path(path).open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(written)


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    on_cancel(lambda *_: sys.exit(failed(FAILED, "The job was cancelled.")))
    sys.exit(main(os.environ))
