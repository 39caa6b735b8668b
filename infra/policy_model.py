"""The shape of promotions.yaml: the one model that checks it. docs/policy.md is its reference."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from promoter.templates import BUILT_IN, is_tag, names_in, render

MAX_TAGS = 50  # as for a request: each is a PutImage


def _is_pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from error
    return text


def _is_repository_glob(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9*][a-z0-9._/*-]*", text) or len(text) > 256:
        raise ValueError(
            f"{text!r} matches no ECR repository: lower-case letters, digits, . _ - / and * for any characters"
        )
    return text


def _is_caller_glob(text: str) -> str:
    if not text.startswith(("arn:", "*")):
        raise ValueError(f"{text!r} matches no caller: write an IAM ARN, with * for any characters")
    return text


def _is_account(value: Any) -> Any:
    if isinstance(value, int):
        message = f'is a number: write the account id in quotes, "{value:012d}"'
        raise ValueError(message)  # noqa: TRY004 - Pydantic collects ValueErrors only
    return value


Pattern = Annotated[str, AfterValidator(_is_pattern)]


class RuleModel(BaseModel):
    """One rule: who may put which tags on which images of which repositories, and when."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    on: Literal["scan", "request"]
    registry: Annotated[str, BeforeValidator(_is_account), StringConstraints(pattern=r"^[0-9]{12}$")] | None = None
    repositories: Annotated[list[Annotated[str, AfterValidator(_is_repository_glob)]], Field(min_length=1)]
    from_: Annotated[Pattern | None, Field(alias="from")] = None
    to: Annotated[list[str], Field(max_length=MAX_TAGS)] = []
    to_matching: list[Pattern] = []
    callers: Annotated[list[Annotated[str, AfterValidator(_is_caller_glob)]], Field(min_length=1)] | None = None

    def mistakes(self) -> list[tuple[tuple[str | int, ...], str]]:
        """Return what is wrong between the rule's members, as (place, what to write instead)."""
        found: list[tuple[tuple[str | int, ...], str]] = []
        groups = re.compile(self.from_).groupindex if self.from_ is not None else {}
        for name in BUILT_IN & groups.keys():
            found.append((("from",), f"group {name} hides the template name {{{name}}}: give it another name"))
        for number, template in enumerate(self.to):
            found += [(("to", number), message) for message in self._template_mistakes(template, groups)]
        if self.on == "scan":
            for member in ("to_matching", "callers"):
                if getattr(self, member):
                    found.append(((member,), "is for rules with on: request; a scan has no caller who names tags"))
            if not self.to:
                found.append((("to",), "is missing: a scan rule has to say which tags it puts"))
        elif not self.to and not self.to_matching:
            found.append((("to",), "is missing: without to and to_matching the rule puts nothing"))
        return found

    def _template_mistakes(self, template: str, groups: Any) -> list[str]:
        names = list(names_in(template))
        known = sorted(BUILT_IN | groups.keys())
        if unknown := [name for name in names if name not in known]:
            return [f"no group of from is named {unknown[0]!r}; known here: {', '.join(known)}"]
        if "repository" in names and any("/" in glob or "*" in glob for glob in self.repositories):
            return ["{repository} may contain a slash, which no tag can: name the tag otherwise"]
        if not is_tag(render(template, dict.fromkeys(known, "x"))):
            return [f"{template!r} makes no tag: letters, digits, _ . - (not first), at most 128, and {{names}}"]
        return []


class PolicyModel(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rules: Annotated[list[RuleModel], Field(min_length=1)]

    def mistakes(self) -> list[tuple[tuple[str | int, ...], str]]:
        """Return what is wrong inside and between the rules, as (place, what to write instead)."""
        found: list[tuple[tuple[str | int, ...], str]] = []
        seen: set[str] = set()
        for number, rule in enumerate(self.rules):
            found += [(("rules", number, *place), message) for place, message in rule.mistakes()]
            if rule.name in seen:
                found.append((("rules", number, "name"), f"another rule is named {rule.name}: names are unique"))
            seen.add(rule.name)
        return found
