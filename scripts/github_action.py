#!/usr/bin/env python3
"""The step of action.yml: runs the command line of this clone, and reports what it did to GitHub.

Needs nothing but Python and uv. The inputs come in the environment. The command line itself fetches the job's OIDC
token, if one is sent: the token is in no argument, no file and no output.
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
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NONE = "-"
SHORT = len("sha256:") + 12
OF_EXIT_CODE = {3: "REFUSED", 4: "FAILED"}
"""The outcomes of problem documents, which have none."""
WAITING = "waiting for "
"""Begins the lines with which the command line says what it waits for."""
MOST_ANSWER = 500_000  # characters of an output; GitHub takes 1 MB of all outputs of a job


def main(environment: Mapping[str, str]) -> int:
    """Promote, report, and return the exit code of the command line."""
    if token := environment.get("ECR_PROMOTER_TOKEN"):
        say(f"::add-mask::{token}")
    command = ["uvx", "--from", environment["GITHUB_ACTION_PATH"], "ecr-promoter", *arguments(environment)]
    # What the service says is printed below. Nothing of it may be taken for a command of the workflow.
    end = secrets.token_hex(16)
    say(f"::stop-commands::{end}")
    ended = run(command)
    say(f"::{end}::")
    answer = read(ended.printed)
    append(environment.get("GITHUB_STEP_SUMMARY"), summary(environment, answer, ended))
    append(environment.get("GITHUB_OUTPUT"), outputs(answer, ended.code))
    if ended.code:
        say(f"::error title=ecr-promoter::{escaped_command(reason(answer, ended.code))}")
    return ended.code


@dataclass(frozen=True)
class Ended:
    """How the command line ended: its exit code, what it printed, and its lines on what it waited for."""

    code: int
    printed: str
    waited: tuple[str, ...]


def run(command: list[str]) -> Ended:
    """Run the command line, with its notes in the log as they come.

    When GitHub ends the job, the command line is told: it leaves the promotion waiting and says how to follow it.
    """
    waited = []
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as printed:
        # uvx is found as the runner finds it; no shell reads the arguments.
        process = subprocess.Popen(  # noqa: S603
            command, stdout=printed, stderr=subprocess.PIPE, text=True, encoding="utf-8", errors="replace"
        )
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: process.terminate())  # uvx passes on SIGTERM only
        for line in process.stderr or ():
            say(line.rstrip("\n"))
            if line.startswith(WAITING):
                waited.append(line.strip())
        code = process.wait()
        printed.seek(0)
        return Ended(code, printed.read(), tuple(waited))


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
    """Return whether an input is true. Ends the step for what is neither true nor false."""
    text = environment.get(f"INPUT_{name}", "").strip().lower()
    if text not in ("true", "false", ""):
        sys.exit(f"input {name.lower().replace('_', '-')} must be true or false, not {text!r}")
    return text == "true"


def read(printed: str) -> dict[str, Any]:
    """Return the answer that the command line has printed, without the manifests; nothing if it printed none."""
    try:
        answer = json.loads(printed)
    except ValueError:
        return {}
    if not isinstance(answer, dict):
        return {}
    for image in answer.get("images") or ():
        image.pop("imageManifest", None)
    return answer


def outputs(answer: Mapping[str, Any], code: int) -> str:
    """Return the outputs of the step, in the form that takes any text."""
    images = answer.get("images") or [{}]
    whole = json.dumps(answer, separators=(",", ":"))
    found = {
        "outcome": answer.get("outcome") or (OF_EXIT_CODE.get(code, "") if answer.get("code") else ""),
        "promotion-id": answer.get("promotionId") or "",
        "code": answer.get("code") or "",
        "digest": (images[0].get("imageId") or {}).get("imageDigest") or "",
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
        parts.append("\n".join(["What it waited for:", "", *(f"- {text(line)}" for line in ended.waited)]))
    if images := answer.get("images"):
        parts.append(table(("tag", "outcome", "was on", "is on"), [moved(image) for image in images]))
    if reasons := answer.get("reasons"):
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
    named = image.get("imageId") or {}
    digests = (
        f"{digest}"[:SHORT] if digest else "" for digest in (image.get("previousDigest"), named.get("imageDigest"))
    )
    return [shown(each) for each in (named.get("imageTag"), image.get("outcome"), *digests)]


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


def table(heads: tuple[str, ...], rows: Any) -> str:
    """Return a table in Markdown of cells that are escaped already."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def shown(value: Any) -> str:
    """Return a value as code."""
    return f"<code>{text(f'{value}')}</code>" if value else NONE


def text(value: str) -> str:
    """Return a text in which nothing is Markdown, HTML, a link, a new line or invisible."""
    visible = (each for each in " ".join(value.split()) if unicodedata.category(each)[0] != "C")
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
    sys.exit(main(os.environ))
