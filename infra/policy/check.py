"""`python -m infra.policy.check [FILE]`: checks a policy without AWS; `make policy` calls it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from infra.policy import subjects
from infra.policy.file import PolicyError, PolicyFile, read
from infra.policy.model import RuleModel


def main(command_line: Sequence[str]) -> int:
    """Print a summary of the policy, or all its mistakes; return the exit code."""
    parser = argparse.ArgumentParser(prog="make policy", description="Checks a policy, without AWS.")
    parser.add_argument("file", nargs="?", default="promotions.yaml", type=Path)
    parser.add_argument(
        *("-c", "--context"),
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting that is deployed with another value than that of cdk.json",
    )
    given = parser.parse_args(command_line)
    file = given.file
    try:
        policy = checked(file, subjects.settings(given.context)).model
    except PolicyError as error:
        print(error, file=sys.stderr)
        return 1
    for rule in policy.rules:
        print(summary(rule))
        if rule.on == "scan" and rule.registry is not None:
            print(f"  deploys to account {rule.registry} only: scans of other accounts send no events there")
    for freeze in policy.freeze:
        print(f"freeze {written(freeze)}")
    print(f"{file}: {count(policy.rules, 'rule')}, {count(policy.freeze, 'freeze')}, no mistakes")
    return 0


def checked(path: Path, settings: Mapping[str, Any]) -> PolicyFile:
    """Read a policy that is deployed with these settings. Raises PolicyError, also for mistakes in `operators`."""
    tokens = settings.get("authorization") == "jwt"
    lines: list[str] = []
    if tokens:
        operators = settings.get("operators") or []
        lines = subjects.operator_lines(operators.split(",") if isinstance(operators, str) else operators)
    try:
        policy = read(path, tokens=tokens)
    except PolicyError as error:
        lines.append(f"{error}")
    if lines:
        raise PolicyError("\n".join(lines))
    return policy


def count(parts: Sequence[object], noun: str) -> str:
    """Return how many there are, with the noun in the singular for one."""
    return f"{len(parts)} {noun}" if len(parts) == 1 else f"{len(parts)} {noun}s"


def summary(rule: RuleModel) -> str:
    """Return a rule on one line: trigger, sources, target tags, callers, gate."""
    tags = ", ".join([*rule.to, *(f"/{pattern}/" for pattern in rule.to_matching)])
    source = f"{', '.join(rule.repositories)} from {rule.from_ or 'any source'}"
    callers = f", callers {', '.join(rule.callers)}" if rule.callers else ""
    gate = f"gate {written(rule.gate)}" if rule.gate else "no gate"
    return f"{rule.name}: on {rule.on}, {source} to {tags}{callers}, {gate}"


def written(part: BaseModel) -> str:
    """Return a part of the policy on one line, as promotions.yaml could have it."""
    members = part.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return yaml.safe_dump(members, default_flow_style=True, sort_keys=False, width=sys.maxsize).strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
