"""A job of the CI/CD component in templates/, made and run as GitLab and its runner do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.support.runners import PROJECT, run_script

COMPONENT = PROJECT / "templates" / "promote.yml"
INPUT = re.compile(r"\$\[\[ *inputs\.([a-z-]+) *\]\]")
BASH = ("bash", "-e", "-o", "pipefail", "-c")
SH = ("sh", "-e", "-c")
TYPES = {"string": str, "boolean": bool}


@cache
def component() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the inputs of the component, and its jobs."""
    header, jobs = yaml.safe_load_all(COMPONENT.read_text())
    return header["spec"]["inputs"], jobs


def job(**given: Any) -> dict[str, Any]:
    """Return the job that GitLab makes of the component with these inputs."""
    inputs, jobs = component()
    named = {name.replace("_", "-"): value for name, value in given.items()}
    assert named.keys() <= inputs.keys()
    values = {name: named[name] if name in named else spec["default"] for name, spec in inputs.items()}
    for name, value in values.items():
        assert isinstance(value, TYPES[inputs[name].get("type", "string")]), name
    (made,) = interpolated(jobs, values).values()
    assert isinstance(made, dict)
    return made


def interpolated(part: Any, values: Mapping[str, Any]) -> Any:
    """Return a part of the configuration with the inputs in their places.

    An input that is a whole value keeps its type. In a longer text it becomes a text.
    """
    if isinstance(part, dict):
        return {interpolated(name, values): interpolated(each, values) for name, each in part.items()}
    if isinstance(part, list):
        return [interpolated(each, values) for each in part]
    if not isinstance(part, str):
        return part
    if whole := INPUT.fullmatch(part):
        return values[whole[1]]
    return INPUT.sub(lambda found: text_of(values[found[1]]), part)


def text_of(value: Any) -> str:
    """Return an input as a text, as YAML writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True)
class Ended:
    """How the job ended: its exit code, its log, the answer in its artifact, and the variables for later jobs."""

    code: int
    log: str
    answer: Any
    variables: dict[str, str]


def run(
    folder: Path,
    uvx: str,
    *,
    token: Callable[[str], str] = "token for {}".format,
    environment: Mapping[str, str] | None = None,
    shell: Sequence[str] = BASH,
    **inputs: Any,
) -> Ended:
    """Run the job; `token` makes its ID token for an audience."""
    made = job(**{"from": "git+https://gitlab.example.com/platform/ecr-promoter@abc"} | inputs)
    variables = made["variables"]
    assert all(isinstance(value, str) for value in variables.values())  # GitLab takes no others
    known = {"CI_JOB_ID": "42", "CI_COMMIT_SHORT_SHA": "0a1b2c3d", **(environment or {})}
    done = run_script(
        shell,
        "\n".join(made["script"]),
        folder,
        uvx,
        known
        | {name: expanded(value, known) for name, value in variables.items()}
        | {name: token(each["aud"]) for name, each in made["id_tokens"].items()},
    )
    (path,) = made["artifacts"]["paths"]
    report = folder / made["artifacts"]["reports"]["dotenv"]
    lines = report.read_text().splitlines() if report.exists() else []
    return Ended(
        done.returncode,
        done.stdout,
        json.loads((folder / path).read_text()) if (folder / path).exists() else None,
        dict(line.split("=", 1) for line in lines),
    )


def expanded(value: str, variables: Mapping[str, str]) -> str:
    """Return a variable of a job with the variables that it names, such as `$CI_COMMIT_SHORT_SHA`."""
    return re.sub(r"\$(\w+)", lambda found: variables.get(found[1], ""), value)
