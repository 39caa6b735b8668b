"""The shape of a rule's gate in promotions.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from infra.policy.shape import STRICT, Mistake
from infra.policy.signing import Signing
from infra.policy.values import Day, Duration, Sentence

Severity = Literal["CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "UNTRIAGED", "UNDEFINED"]


class ExpiredError(ValueError):
    """The last day of an exception is over."""


class IgnoreModel(BaseModel):
    """A vulnerability that is ignored up to a last day, and the reason."""

    model_config = STRICT

    id: Annotated[str, Field(min_length=1, description="id of the vulnerability, such as CVE-2026-1234")]
    until: Annotated[Day, Field(description="last day (UTC) on which the vulnerability is ignored")]
    reason: Annotated[Sentence, Field(description="why it may be ignored")]
    package: Annotated[str | None, Field(min_length=1, description="in this package only")] = None

    @field_validator("until")
    @classmethod
    def _is_not_over(cls, until: date, info: ValidationInfo) -> date:
        """Raise ExpiredError if the day is before the context's `today`."""
        if info.context and until < info.context["today"]:
            raise ExpiredError(f"{until} is over: remove the entry, or set a later day")
        return until


class GateModel(BaseModel):
    """The conditions that an image must meet."""

    model_config = STRICT

    findings: Annotated[
        dict[Severity, Annotated[int, Field(ge=0)]] | None,
        Field(description="highest allowed count of each severity; a severity that is left out has no limit"),
    ] = None
    fixable_only: Annotated[bool, Field(description="findings without a fix do not count")] = False
    min_age: Annotated[Duration, Field(description="age from which a finding counts")] = timedelta()
    max_scan_age: Annotated[
        Duration | None, Field(description="highest age of the last scan; default: any age")
    ] = None
    ignore: Annotated[
        list[IgnoreModel], Field(description="vulnerabilities that are ignored up to a last day")
    ] = []
    signed: Annotated[
        Signing,
        Field(
            description="the image must have a signature, or one by these signing profiles",
            json_schema_extra={"default": False},
        ),
    ] = None
    soak: Annotated[Duration, Field(description="time that must have passed since the image was pushed")] = (
        timedelta()
    )

    @field_validator("max_scan_age")
    @classmethod
    def _lets_scans_pass(cls, most: timedelta | None) -> timedelta | None:
        if most == timedelta():
            raise ValueError("0s refuses every scan: write how old a scan may be, such as 7d, or remove the key")
        return most

    def mistakes(self) -> Iterator[Mistake]:
        """Yield the keys of the gate that have no effect."""
        if self.findings is None and self.max_scan_age is not None:
            yield (
                ("max_scan_age",),
                "has no effect without findings: add findings, {} for any number, or remove the key",
            )
        if not self.findings:
            for member in sorted({"fixable_only", "min_age", "ignore"} & self.model_fields_set):
                yield (member,), "has no effect without limits in findings: add limits, or remove the key"

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
