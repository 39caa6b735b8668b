#!/usr/bin/env python3
"""The step of action.yml: runs the command line of this clone, and reports what it did to GitHub.

Needs nothing but Python and uv. The inputs come in the environment. The command line itself fetches the job's OIDC
token, if one is sent: the token is in no argument, no file and no output.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NONE = "-"
SHORT = len("sha256:") + 12
MOST_ANSWER = 500_000  # characters of an output; GitHub takes 1 MB of all outputs of a job


def main(environment: Mapping[str, str]) -> int:
    """Promote, report, and return the exit code of the command line."""
    if token := environment.get("ECR_PROMOTER_TOKEN"):
        say(f"::add-mask::{token}")
    command = ["uvx", "--from", environment["GITHUB_ACTION_PATH"], "ecr-promoter", *arguments(environment)]
    # What the service says is printed below. Nothing of it may be taken for a command of the workflow.
    end = secrets.token_hex(16)
    say(f"::stop-commands::{end}")
    # uvx is found as the runner finds it; no shell reads the arguments.
    done = subprocess.run(  # noqa: S603
        command, stdout=subprocess.PIPE, text=True, encoding="utf-8", check=False
    )
    say(f"::{end}::")
    answer = read(done.stdout)
    append(environment.get("GITHUB_STEP_SUMMARY"), summary(environment, answer, done.returncode))
    append(environment.get("GITHUB_OUTPUT"), outputs(answer))
    if done.returncode:
        say(f"::error title=ecr-promoter::{escaped_command(reason(answer, done.returncode))}")
    return done.returncode


def arguments(environment: Mapping[str, str]) -> list[str]:
    """Return the arguments of the command line. No value can be taken for an option."""
    given = {name: environment.get(f"INPUT_{name}", "").strip() for name in ("IDEMPOTENCY_KEY", "STACK")}
    options = [f"--{name.lower().replace('_', '-')}={value}" for name, value in given.items() if value]
    for name, option in (("TO", "--to"), ("EXPECT", "--expect")):
        options += [f"{option}={value}" for value in environment.get(f"INPUT_{name}", "").split()]
    options += ["--dry-run"] if flag(environment, "DRY_RUN") else []
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


def outputs(answer: Mapping[str, Any]) -> str:
    """Return the outputs of the step, in the form that takes any text."""
    images = answer.get("images") or [{}]
    whole = json.dumps(answer, separators=(",", ":"))
    found = {
        "outcome": answer.get("outcome") or ("REFUSED" if answer.get("code") else ""),
        "promotion-id": answer.get("promotionId") or "",
        "code": answer.get("code") or "",
        "digest": (images[0].get("imageId") or {}).get("imageDigest") or "",
        "answer": whole if len(whole) <= MOST_ANSWER else "",
    }
    end = secrets.token_hex(16)
    return "".join(f"{name}<<{end}\n{value}\n{end}\n" for name, value in found.items())


def summary(environment: Mapping[str, str], answer: Mapping[str, Any], code: int) -> str:
    """Return the summary of the job, in Markdown: what moved from where to where, or what refused it."""
    source = f"{environment['INPUT_REPOSITORY']}:{environment['INPUT_SOURCE']}"
    parts = [f"### ecr-promoter: {shown(answer.get('outcome') or answer.get('code') or 'failed')}", shown(source)]
    if code and not answer.get("images"):
        parts.append(text(reason(answer, code)))
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
    """Return one sentence on why nothing was promoted."""
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
