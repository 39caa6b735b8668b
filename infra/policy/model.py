"""The shape of promotions.yaml: the one model that checks it. docs/reference/policy.md is its reference."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, field_validator

from infra.policy import complexity, languages
from infra.policy.freeze import FreezeModel
from infra.policy.gate import GateModel
from infra.policy.shape import STRICT, Mistake
from infra.policy.text import cut, shown
from infra.policy.values import Account, CallerGlob, Name, Pattern, RepositoryGlob
from promoter.domain.limits import LONGEST_TAG, MAX_TAGS
from promoter.domain.templates import BUILT_IN, names_in


class TargetModel(BaseModel):
    """Another repository, account or Region to promote into."""

    model_config = STRICT

    repository: Annotated[str | None, Field(description="template of the repository's name")] = None
    registry: Annotated[Account | None, Field(description="account id, in quotes")] = None
    region: Annotated[str | None, Field(description="AWS Region")] = None


class RuleModel(BaseModel):
    """One rule: who may put which tags on which images of which repositories, and when."""

    model_config = STRICT

    name: Annotated[Name, Field(description="unique name, shown in answers, logs and metrics")]
    on: Annotated[Literal["scan", "request"], Field(description="trigger: a finished scan, or an HTTP request")]
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
    to_matching: Annotated[
        list[Pattern], Field(description="patterns of further tags that a caller may name")
    ] = []
    callers: Annotated[
        list[CallerGlob] | None,
        Field(min_length=1, description="who may ask: IAM ARNs, github:OWNER/REPO:…, jwt:SUBJECT, with *"),
    ] = None
    gate: Annotated[GateModel | None, Field(description="conditions that the image must meet")] = None
    target: Annotated[TargetModel | None, Field(description="not supported yet")] = None

    @field_validator("target")
    @classmethod
    def _is_not_served(cls, target: TargetModel | None) -> TargetModel | None:
        if target is not None:
            raise ValueError("is not supported yet: tags are put in the source's own repository; remove the key")
        return target

    def mistakes(self) -> Iterator[Mistake]:
        """Yield the mistakes between the keys of the rule."""
        for name in sorted(BUILT_IN & self._groups()):
            yield ("from",), f"group {cut(name)} hides the built-in name {{{name}}}: rename the group"
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
                    remedy = "use fewer *, or fewer repeated characters after a *, or on: request"
                    yield ("repositories", number), f"{shown(glob)} is too complex for EventBridge: {remedy}"
            for member in ("to_matching", "callers"):
                if getattr(self, member):
                    yield (member,), "is only for rules with on: request: a scan has no caller who names tags"
            if not self.to:
                yield ("to",), "is missing: a scan rule must name the tags that it puts"
        elif not self.to and not self.to_matching:
            yield ("to",), "is missing: a rule without to and to_matching puts no tags"

    def _groups(self) -> set[str]:
        return set(re.compile(self.from_).groupindex) if self.from_ is not None else set()

    def _template_mistakes(self, template: str) -> Iterator[str]:
        if unknown := self.unknown_names(template):
            known = ", ".join(sorted(BUILT_IN | self._groups()))
            yield f"no group of from is named {shown(unknown[0])}: write one of {cut(known)}"
        elif "{repository}" in template and any("/" in glob or "*" in glob for glob in self.repositories):
            yield "{repository} may contain a slash, which a tag cannot: use another name"
        elif not languages.meet(languages.of_template(template, self.from_, self.repositories), languages.TAG):
            remedy = f"write letters, digits, _ . - (not first) and {{names}}, at most {LONGEST_TAG} characters"
            yield f"{shown(template)} makes no tag: {remedy}"


class PolicyModel(BaseModel):
    """The policy of ecr-promoter: who may put which tags on which images, and when."""

    model_config = STRICT

    rules: Annotated[list[RuleModel], Field(min_length=1)]
    freeze: Annotated[list[FreezeModel], Field(description="times in which rules promote nothing")] = []

    def compiled(self) -> dict[str, Any]:
        """Return the plain JSON that promoter.domain.policy.load reads."""
        return {
            "rules": [rule.compiled() for rule in self.rules],
            "freeze": [freeze.compiled() for freeze in self.freeze],
        }
