"""Callers with a token: their names must fix its owner, because everybody can get a token of a public issuer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from infra.policy.document import PolicyError, parse
from infra.policy.model import RuleModel
from infra.policy.shape import Mistake, Place
from infra.policy.text import shown

CDK_JSON = Path("cdk.json")
"""The CDK runs the app in the folder of this file, and `make policy` is run there."""
OPERATORS: Place = ("context", "operators")

# GitHub, "OpenID Connect reference": a subject is repo:OWNER/REPO:…, and the caller's name leaves out repo:. Or it
# begins with claims that an organization chose. Only these claims fix the owner. environment:… and
# job_workflow_ref:… do not: everybody may name an environment so, and call a public reusable workflow.
GITHUB = re.compile(
    r"github:([^*:/]+/"
    r"|repository:[^*:/]+/"
    r"|(repository_owner|repository_owner_id|repository_id):[^*:]+(:|$))"
)
# Of other issuers: a whole subject, or at least its first part. A word that begins all subjects of an issuer
# (GitLab, Buildkite, HCP Terraform, CircleCI, Kubernetes, GitHub Enterprise, Vercel, Codefresh, Semaphore, Pulumi)
# is not a part, nor a URL's scheme.
OTHER = re.compile(
    r"jwt:([^*]+$"
    r"|(project_path:|organization:|org/|system:serviceaccount:|repo:|owner:|account:|org:"
    r"|pulumi:([a-z]+:(org:)?)?|[a-z][a-z0-9+.-]*://)?+[^*:/]+[:/])"
)
REMEDY = (
    "write github:OWNER/REPO:…, jwt:SUBJECT with the owner in full and a : or / before the first *, or an IAM ARN"
)


def fixes_owner(glob: str) -> bool:
    """Say whether a glob on callers matches no tokens, or only those of one owner."""
    return glob.startswith("arn:") or bool(GITHUB.match(glob) or OTHER.match(glob))


def rule_mistakes(rules: Mapping[int, RuleModel]) -> Iterator[Mistake]:
    """Yield what lets strangers promote by the numbered rules, where the API takes tokens."""
    for number, rule in rules.items():
        if rule.on == "request" and rule.callers is None:
            yield ("rules", number, "callers"), f"is missing: authorization jwt admits every token; {REMEDY}"
        yield from _glob_mistakes(("rules", number, "callers"), rule.callers or ())


def operator_lines(operators: Sequence[str], cdk_json: Path = CDK_JSON) -> list[str]:
    """Return a line for each mistake of the setting `operators`, where the API takes tokens.

    It has the line and the column where the setting is from cdk.json. On the command line it has none.
    """
    mistakes = list(_glob_mistakes(OPERATORS, operators))
    if not operators:
        mistakes = [(OPERATORS, "is empty: authorization jwt admits every token; name the callers who may freeze")]
    try:
        document = parse(cdk_json)
        if list(document.values["context"]["operators"]) == list(operators):
            return document.lines(mistakes)
    except (PolicyError, LookupError, TypeError):
        pass  # there is no such file, or it does not have the setting
    return [f"setting operators{''.join(f'[{step}]' for step in place[2:])}: {text}" for place, text in mistakes]


def settings(given: Sequence[str], cdk_json: Path = CDK_JSON) -> dict[str, Any]:
    """Return the settings as the CDK gets them: those of cdk.json, if it is there, and the given `name=value`.

    Raises PolicyError for a cdk.json that cannot be read.
    """
    found = parse(cdk_json).values if cdk_json.exists() else {}
    context = found.get("context") if isinstance(found, dict) else None
    return {**(context or {}), **dict(each.partition("=")[::2] for each in given)}


def _glob_mistakes(place: Place, globs: Sequence[str]) -> Iterator[Mistake]:
    for number, glob in enumerate(globs):
        if not fixes_owner(glob):
            yield (*place, number), f"{shown(glob)} does not fix the owner of a token: {REMEDY}"
