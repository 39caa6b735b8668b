"""The deployment's settings: cdk.json's context, parsed once. docs/operations/settings.md says what each means."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import dataclass, fields
from typing import Any, Literal

from aws_cdk.aws_logs import RetentionDays
from constructs import Node

from infra.policy import subjects
from infra.policy.values import CALLER_PREFIXES
from promoter.domain.limits import PATIENCE_SECONDS

RETENTION = {
    1: RetentionDays.ONE_DAY,
    7: RetentionDays.ONE_WEEK,
    14: RetentionDays.TWO_WEEKS,
    30: RetentionDays.ONE_MONTH,
    90: RetentionDays.THREE_MONTHS,
    180: RetentionDays.SIX_MONTHS,
    365: RetentionDays.ONE_YEAR,
    731: RetentionDays.TWO_YEARS,
    1827: RetentionDays.FIVE_YEARS,
    3653: RetentionDays.TEN_YEARS,
}
"""The days that logs may be kept, and CDK's name for each number of days."""
ROOM_FOR_OPERATORS = 3_000  # characters, of the 4 KB for a function's environment variables (AWS Lambda quotas)
OLDEST, NEWEST = (3, 11), (3, 14)  # of Lambda's Python runtimes


class SettingsError(Exception):
    """A setting of cdk.json, or of `cdk -c`, that cannot be deployed; its text names it."""


@dataclass(frozen=True)
class Settings:
    """Memory in MB, timeout in seconds, retention in days, API rates in requests a second."""

    policy: str
    stage: Literal["aws", "local"]
    memory: int
    timeout: int
    concurrency: int | None
    eventConcurrency: int  # noqa: N815 - the names are those of cdk.json
    historyDays: int  # noqa: N815
    reconcileMinutes: int  # noqa: N815
    alarmEmail: str | None  # noqa: N815
    logRetentionDays: int  # noqa: N815
    logLevel: str  # noqa: N815
    authorization: Literal["iam", "jwt"]
    jwtIssuer: str | None  # noqa: N815
    jwtAudience: list[str]  # noqa: N815
    operators: list[str]
    apiRate: int  # noqa: N815
    apiBurst: int  # noqa: N815

    @classmethod
    def read(cls, node: Node) -> Settings:
        """Read the context. Raises SettingsError, naming the setting, or a Python without a Lambda runtime."""
        if not OLDEST <= sys.version_info[:2] <= NEWEST:
            known = " to ".join(f"{major}.{minor}" for major, minor in (OLDEST, NEWEST))
            raise SettingsError(f"the function runs on the Python that deploys it: deploy with Python {known}")
        values = {field.name: node.try_get_context(field.name) for field in fields(cls)}
        for field in fields(cls):
            if str(field.type).startswith("int"):
                values[field.name] = _number(field.name, values[field.name])
        values["jwtAudience"] = _words("jwtAudience", values["jwtAudience"])
        values["operators"] = _words("operators", values["operators"])
        settings = cls(**values)
        settings._check()
        return settings

    def _check(self) -> None:
        _one_of("stage", self.stage, ("aws", "local"))
        _one_of("logLevel", self.logLevel, tuple(logging.getLevelNamesMapping()))
        _one_of("logRetentionDays", self.logRetentionDays, tuple(RETENTION))
        _between("memory", self.memory, 128, 10240)
        # A promotion waits twice at most, and calls AWS. API Gateway answers 504 after 30 s.
        _between("timeout", self.timeout, 2 * PATIENCE_SECONDS + 5, 29)
        _between("historyDays", self.historyDays, 1, 36_500)  # a century: the end of a history has to be a date
        _between("reconcileMinutes", self.reconcileMinutes, 2, 1440)
        if self.alarmEmail is not None and "@" not in self.alarmEmail:
            raise SettingsError(f"setting alarmEmail must be an e-mail address, not {self.alarmEmail!r}")
        _positive("apiRate", self.apiRate)
        _positive("apiBurst", self.apiBurst)
        self._check_concurrency()
        self._check_authorization()
        self._check_operators()

    def _check_concurrency(self) -> None:
        _positive("concurrency", self.concurrency)  # 0 would stop the function
        _between("eventConcurrency", self.eventConcurrency, 2, 1000)  # the limits of SQS event sources
        if self.concurrency is not None and self.concurrency <= self.eventConcurrency:
            raise SettingsError(
                f"setting concurrency must be more than eventConcurrency, {self.eventConcurrency}: events that "
                "Lambda throttles use up their tries"
            )

    def _check_authorization(self) -> None:
        _one_of("authorization", self.authorization, ("iam", "jwt"))
        if self.authorization == "jwt" and not (self.jwtIssuer and self.jwtAudience):
            raise SettingsError("authorization jwt needs jwtIssuer and jwtAudience")
        if self.jwtIssuer and not self.jwtIssuer.startswith("https://"):
            raise SettingsError(f"setting jwtIssuer must be an https:// address, not {self.jwtIssuer!r}")

    def _check_operators(self) -> None:
        if unknown := [glob for glob in self.operators if not glob.startswith(CALLER_PREFIXES)]:
            raise SettingsError(f"setting operators has {unknown[0]!r}: write an IAM ARN, github:… or jwt:…")
        if self.authorization == "jwt" and (lines := subjects.operator_lines(self.operators)):
            raise SettingsError("\n".join(lines))
        if len(json.dumps(self.operators)) > ROOM_FOR_OPERATORS:
            raise SettingsError(
                f"setting operators has more than {ROOM_FOR_OPERATORS} characters, and a function's environment "
                "variables have no room for more: use globs"
            )


def _number(name: str, value: Any) -> int | None:
    """Return the number; `cdk -c name=value` passes it as text."""
    if value is None and name != "concurrency":
        raise SettingsError(f"setting {name} is missing from cdk.json")
    if value in (None, "", "null"):
        return None
    try:
        return int(str(value))
    except ValueError as error:
        raise SettingsError(f"setting {name} must be a whole number, not {value!r}") from error


def _words(name: str, value: Any) -> list[str]:
    """Return a list of texts; `cdk -c name=a,b` passes one text."""
    words = value.split(",") if isinstance(value, str) else value or []
    if not isinstance(words, list) or not all(isinstance(word, str) and word.strip() for word in words):
        raise SettingsError(f"setting {name} must be a list of texts, not {value!r}")
    return [word.strip() for word in words]


def _one_of(name: str, value: Any, known: tuple[Any, ...]) -> None:
    if value not in known:
        raise SettingsError(f"setting {name} must be one of {', '.join(map(str, known))}, not {value!r}")


def _between(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise SettingsError(f"setting {name} must be between {least} and {most}, not {value}")


def _positive(name: str, value: int | None) -> None:
    if value is not None and value < 1:
        raise SettingsError(f"setting {name} must be at least 1, not {value}")
