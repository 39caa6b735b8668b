"""The only reader of the environment: what the stack tells each function."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from promoter.domain.limits import PATIENCE_SECONDS

POLICY_FILE = Path(__file__).with_name("policy.json")


class Settings(NamedTuple):
    """What promotions need: their own account's registry, its Region, the table.

    `lease_duration` is how long a promotion may have its tags: longer than an invocation of the promoter, with
    the PutImage calls that it began. `history` is how long records are kept, `patience` how long a promotion waits
    for others. `operators` are globs on callers. If there are none, all whom API Gateway admits are operators.
    """

    registry_id: str
    region: str
    table: str
    lease_duration: timedelta
    history: timedelta
    patience: timedelta
    operators: tuple[str, ...]
    policy_file: Path = POLICY_FILE

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Read the settings. Raises RuntimeError, naming the variable that is missing or wrong."""
        variables = _Variables(environment)
        return cls(
            registry_id=variables.text("PROMOTER_REGISTRY_ID"),
            region=variables.text("AWS_REGION"),
            table=variables.text("PROMOTER_TABLE"),
            lease_duration=variables.seconds("PROMOTER_LEASE_SECONDS"),
            history=timedelta(days=variables.number("PROMOTER_HISTORY_DAYS")),
            patience=variables.seconds("PROMOTER_PATIENCE_SECONDS", default=PATIENCE_SECONDS),
            operators=variables.texts("PROMOTER_OPERATORS"),
        )


class EventSettings(NamedTuple):
    """The URL of the promoter's `queue` of events, and of the one for events that failed `tries` times.

    `retry` is the time between two tries.
    """

    queue: str
    failed_queue: str
    tries: int
    retry: timedelta

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> EventSettings:
        """Read the settings. Raises RuntimeError, naming the variable that is missing or wrong."""
        variables = _Variables(environment)
        return cls(
            queue=variables.text("PROMOTER_EVENTS_QUEUE"),
            failed_queue=variables.text("PROMOTER_FAILED_EVENTS_QUEUE"),
            tries=variables.number("PROMOTER_EVENT_TRIES"),
            retry=variables.seconds("PROMOTER_EVENT_RETRY_SECONDS"),
        )


class AnnouncerSettings(NamedTuple):
    """The URL of the queue in which the announcer puts aside what cannot be announced."""

    unannounced_queue: str

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> AnnouncerSettings:
        """Read the settings. Raises RuntimeError, naming the variable that is missing."""
        return cls(unannounced_queue=_Variables(environment).text("PROMOTER_UNANNOUNCED_QUEUE"))


class RunSettings(NamedTuple):
    """How much `time` the reconciler has for a run on schedule."""

    time: timedelta

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> RunSettings:
        """Read the settings. Raises RuntimeError, naming the variable that is missing or wrong."""
        return cls(time=_Variables(environment).seconds("PROMOTER_RECONCILE_SECONDS"))


@dataclass(frozen=True)
class _Variables:
    """The variables of an environment. Reading one that is missing or wrong raises RuntimeError with its name."""

    environment: Mapping[str, str]

    def text(self, name: str) -> str:
        """Return a variable as it is."""
        try:
            return self.environment[name]
        except KeyError as error:
            raise RuntimeError(
                f"The environment variable {name} is not set. The stack sets it, or Lambda itself."
            ) from error

    def number(self, name: str, *, default: int | None = None) -> int:
        """Return a variable that is an integer."""
        if default is not None and name not in self.environment:
            return default
        text = self.text(name)
        try:
            return int(text)
        except ValueError as error:
            raise RuntimeError(f"The environment variable {name} is not an integer: {text}") from error

    def seconds(self, name: str, *, default: int | None = None) -> timedelta:
        """Return a variable that is a number of seconds."""
        return timedelta(seconds=self.number(name, default=default))

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a variable that is a JSON list of texts."""
        text = self.text(name)
        try:
            found = json.loads(text)
        except ValueError as error:
            raise RuntimeError(f"The environment variable {name} is not JSON: {text}") from error
        if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
            raise RuntimeError(f"The environment variable {name} is not a JSON list of texts: {text}")
        return tuple(found)
