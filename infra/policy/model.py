"""The shape of promotions.yaml: the one model that checks it. docs/reference/policy.md is its reference."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from infra.policy import complexity, languages
from infra.policy.signing import Signing
from infra.policy.text import cut, shown
from infra.policy.values import (
    Account,
    CallerGlob,
    Day,
    Duration,
    Moment,
    Name,
    Pattern,
    RepositoryGlob,
    Sentence,
    Zone,
    instant,
)
from promoter.domain.templates import BUILT_IN, names_in

MAX_TAGS = 40  # as for a request: each is a PutImage
Severity = Literal["CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "UNTRIAGED", "UNDEFINED"]
Place = tuple[str | int, ...]
Mistake = tuple[Place, str]
"""Where in the document, and what to write instead."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ExpiredError(ValueError):
    """The day until which an exception was good is over."""


class IgnoreModel(_Model):
    """A vulnerability that does not count, until when, and why; validated with the context `today`."""

    id: Annotated[str, Field(min_length=1, description="the vulnerability's id, as CVE-2026-1234")]
    until: Annotated[Day, Field(description="the last day on which it does not count, UTC")]
    reason: Annotated[Sentence, Field(description="why it may be ignored")]
    package: Annotated[str | None, Field(min_length=1, description="in this package only")] = None

    @field_validator("until")
    @classmethod
    def _is_not_over(cls, until: date, info: ValidationInfo) -> date:
        if info.context and until < info.context["today"]:
            raise ExpiredError(f"{until} is over: take the entry out, or decide anew until when")
        return until


class GateModel(_Model):
    """What a rule demands of the image."""

    findings: Annotated[
        dict[Severity, Annotated[int, Field(ge=0)]] | None,
        Field(description="highest count allowed a severity; a severity left out is not limited"),
    ] = None
    fixable_only: Annotated[bool, Field(description="findings without a fix do not count")] = False
    min_age: Annotated[Duration, Field(description="a finding counts from this age on")] = timedelta()
    max_scan_age: Annotated[
        Duration | None, Field(description="how long ago the last scan may have ended; default: any time")
    ] = None
    ignore: Annotated[list[IgnoreModel], Field(description="findings that do not count for a while")] = []
    signed: Annotated[
        Signing,
        Field(
            description="a signature must refer to the image, or one by these signing profiles",
            json_schema_extra={"default": False},
        ),
    ] = None
    soak: Annotated[Duration, Field(description="time since the image was pushed")] = timedelta()

    @field_validator("max_scan_age")
    @classmethod
    def _lets_scans_pass(cls, most: timedelta | None) -> timedelta | None:
        if most == timedelta():
            raise ValueError("0s is over when a scan ends: write how old one may be, as 7d, or take it out")
        return most

    def mistakes(self) -> Iterator[Mistake]:
        """Yield what makes the gate other than it looks."""
        if self.findings is None and self.max_scan_age is not None:
            yield ("max_scan_age",), "has no effect without findings: add them, {} for any number, or take it out"
        if not self.findings:
            for member in sorted({"fixable_only", "min_age", "ignore"} & self.model_fields_set):
                yield (member,), "has no effect without limits in findings: add some, or take it out"

    def compiled(self, *, trigger: str) -> dict[str, Any]:
        """Return the JSON that promoter.domain.gate.load reads; durations are seconds."""
        return {
            "findings": {} if self.findings is None and trigger == "scan" else self.findings,
            "fixable_only": self.fixable_only,
            "min_age": int(self.min_age.total_seconds()),
            "max_scan_age": None if self.max_scan_age is None else int(self.max_scan_age.total_seconds()),
            "ignore": [each.model_dump(mode="json") for each in self.ignore],
            "signed": self.signed is not None,
            "signing_profiles": self.signed.profiles if self.signed else [],
            "soak": int(self.soak.total_seconds()),
        }


class TargetModel(_Model):
    """Another repository, account or Region to promote into."""

    repository: Annotated[str | None, Field(description="template of the repository's name")] = None
    registry: Annotated[Account | None, Field(description="account id, in quotes")] = None
    region: Annotated[str | None, Field(description="AWS Region")] = None


class RuleModel(_Model):
    """One rule: who may put which tags on which images of which repositories, and when."""

    name: Annotated[Name, Field(description="stands in answers, logs and metrics; unique")]
    on: Annotated[
        Literal["scan", "request"], Field(description="what triggers it: a finished scan, or an HTTP call")
    ]
    registry: Annotated[
        Account | None, Field(description="account id, in quotes; default: the function's own")
    ] = None
    repositories: Annotated[
        list[RepositoryGlob], Field(min_length=1, description="ECR repository names; * stands for any characters")
    ]
    from_: Annotated[
        Pattern | None,
        Field(alias="from", description="regular expression for the whole source tag; default: any source"),
    ] = None
    to: Annotated[list[str], Field(max_length=MAX_TAGS, description="tags to put, as templates")] = []
    to_matching: Annotated[list[Pattern], Field(description="patterns of further tags a caller may name")] = []
    callers: Annotated[
        list[CallerGlob] | None,
        Field(min_length=1, description="who may ask: IAM ARNs, github:OWNER/REPO:…, jwt:SUBJECT, with *"),
    ] = None
    gate: Annotated[GateModel | None, Field(description="what the image has to prove")] = None
    target: Annotated[TargetModel | None, Field(description="not served yet")] = None

    @field_validator("target")
    @classmethod
    def _is_not_served(cls, target: TargetModel | None) -> TargetModel | None:
        if target is not None:
            raise ValueError("is not served yet: tags are put in the source's own repository; take it out")
        return target

    def mistakes(self) -> Iterator[Mistake]:
        """Yield what is wrong between the rule's members."""
        for name in sorted(BUILT_IN & self._groups()):
            yield ("from",), f"group {cut(name)} hides the template name {{{name}}}: give it another name"
        for number, template in enumerate(self.to):
            for message in self._template_mistakes(template):
                yield ("to", number), message
        for place, message in self.gate.mistakes() if self.gate else ():
            yield ("gate", *place), message
        yield from self._trigger_mistakes()

    def unknown_names(self, template: str) -> list[str]:
        """Return the names in a template of `to` that no group of `from` provides."""
        return [name for name in names_in(template) if name not in BUILT_IN | self._groups()]

    def compiled(self) -> dict[str, Any]:
        """Return the JSON that promoter.domain.policy.load reads."""
        gate = self.gate or GateModel()
        return {
            **self.model_dump(mode="json", by_alias=True, exclude={"gate", "target"}),
            "gate": gate.compiled(trigger=self.on) if self.gate or self.on == "scan" else None,
        }

    def _trigger_mistakes(self) -> Iterator[Mistake]:
        if self.on == "scan":
            for number, glob in enumerate(self.repositories):
                if complexity.of_globs([glob]) > complexity.SAFE:
                    remedy = "use fewer *, and fewer repeated characters behind one, or on: request"
                    yield ("repositories", number), f"{shown(glob)} is too complex for EventBridge: {remedy}"
            for member in ("to_matching", "callers"):
                if getattr(self, member):
                    yield (member,), "is for rules with on: request; a scan has no caller who names tags"
            if not self.to:
                yield ("to",), "is missing: a scan rule has to say which tags it puts"
        elif not self.to and not self.to_matching:
            yield ("to",), "is missing: without to and to_matching the rule puts nothing"

    def _groups(self) -> set[str]:
        return set(re.compile(self.from_).groupindex) if self.from_ is not None else set()

    def _template_mistakes(self, template: str) -> Iterator[str]:
        if unknown := self.unknown_names(template):
            known = ", ".join(sorted(BUILT_IN | self._groups()))
            yield f"no group of from is named {shown(unknown[0])}; known here: {cut(known)}"
        elif "{repository}" in template and any("/" in glob or "*" in glob for glob in self.repositories):
            yield "{repository} may contain a slash, which no tag can: name the tag otherwise"
        elif not languages.meet(languages.of_template(template, self.from_, self.repositories), languages.TAG):
            yield f"{shown(template)} makes no tag: letters, digits, _ . - (not first), at most 128, and {{names}}"


class FreezeModel(_Model):
    """A time in which rules rest."""

    from_: Annotated[Moment, Field(alias="from", description="first day, or the exact time")]
    to: Annotated[Moment, Field(description="last day, or the exact time from which promotions go on")]
    reason: Annotated[Sentence, Field(description="stands in the refusals")]
    rules: Annotated[list[Name] | None, Field(min_length=1, description="names of rules; default: all")] = None
    repositories: Annotated[list[RepositoryGlob] | None, Field(min_length=1, description="default: all")] = None
    timezone: Annotated[Zone, Field(description="IANA name, for days and times without an offset")] = "UTC"

    def mistakes(self, rules: set[str]) -> Iterator[Mistake]:
        """Yield what keeps the freeze from freezing."""
        if instant(self.from_, self.timezone, end=False) >= instant(self.to, self.timezone, end=True):
            yield ("to",), f"{self.to} is not after {self.from_}: the freeze would never hold"
        for number, name in enumerate(self.rules or ()):
            if name not in rules:
                yield ("rules", number), f"no rule is named {name}: rules are {cut(', '.join(sorted(rules)))}"

    def compiled(self) -> dict[str, Any]:
        """Return the JSON that domain.policy.load reads: seconds since 1970, `to` being the first one after."""
        return {
            "from": int(instant(self.from_, self.timezone, end=False).timestamp()),
            "to": int(instant(self.to, self.timezone, end=True).timestamp()),
            **self.model_dump(mode="json", include={"reason", "rules", "repositories"}),
        }


class PolicyModel(_Model):
    """The policy of ecr-promoter: who may put which tags on which images, and when."""

    rules: Annotated[list[RuleModel], Field(min_length=1)]
    freeze: Annotated[list[FreezeModel], Field(description="times in which rules rest")] = []

    def compiled(self) -> dict[str, Any]:
        """Return the plain JSON that promoter.domain.policy.load reads."""
        return {
            "rules": [rule.compiled() for rule in self.rules],
            "freeze": [freeze.compiled() for freeze in self.freeze],
        }
