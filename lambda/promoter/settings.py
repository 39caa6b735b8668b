"""The only reader of the environment: what the stack tells each function."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from promoter.domain.limits import PATIENCE_SECONDS

POLICY_FILE = Path(__file__).with_name("policy.json")


@dataclass(frozen=True)
class Settings:
    """What promotions need: their own account's registry, its Region, the table.

    `lease_duration` is how long a promotion may have its tags: longer than an invocation of the promoter, with
    the PutImage calls that it began. `history` is how long records are kept, `patience` how long a promotion waits
    for others. `operators` are globs on callers; none: everyone whom API Gateway lets in operates.
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
        """Read the settings. Raises RuntimeError naming the variable that is missing."""
        with _missing_named():
            return cls(
                registry_id=environment["PROMOTER_REGISTRY_ID"],
                region=environment["AWS_REGION"],
                table=environment["PROMOTER_TABLE"],
                lease_duration=timedelta(seconds=int(environment["PROMOTER_LEASE_SECONDS"])),
                history=timedelta(days=int(environment["PROMOTER_HISTORY_DAYS"])),
                patience=timedelta(seconds=int(environment.get("PROMOTER_PATIENCE_SECONDS", PATIENCE_SECONDS))),
                operators=tuple(json.loads(environment["PROMOTER_OPERATORS"])),
            )


@dataclass(frozen=True)
class EventSettings:
    """The URL of the promoter's `queue` of events, and of the one for events that failed `tries` times.

    `retry` is the time between two tries.
    """

    queue: str
    failed_queue: str
    tries: int
    retry: timedelta

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> EventSettings:
        """Read the settings. Raises RuntimeError naming the variable that is missing."""
        with _missing_named():
            return cls(
                queue=environment["PROMOTER_EVENTS_QUEUE"],
                failed_queue=environment["PROMOTER_FAILED_EVENTS_QUEUE"],
                tries=int(environment["PROMOTER_EVENT_TRIES"]),
                retry=timedelta(seconds=int(environment["PROMOTER_EVENT_RETRY_SECONDS"])),
            )


@dataclass(frozen=True)
class AnnouncerSettings:
    """Where the announcer puts aside what cannot be announced: the URL of a queue."""

    unannounced_queue: str

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> AnnouncerSettings:
        """Read the settings. Raises RuntimeError naming the variable that is missing."""
        with _missing_named():
            return cls(unannounced_queue=environment["PROMOTER_UNANNOUNCED_QUEUE"])


@dataclass(frozen=True)
class RunSettings:
    """How much `time` the reconciler has for a run on schedule."""

    time: timedelta

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> RunSettings:
        """Read the settings. Raises RuntimeError naming the variable that is missing."""
        with _missing_named():
            return cls(time=timedelta(seconds=int(environment["PROMOTER_RECONCILE_SECONDS"])))


@contextmanager
def _missing_named() -> Iterator[None]:
    try:
        yield
    except KeyError as error:
        raise RuntimeError(
            f"environment variable {error.args[0]} is not set; the stack and Lambda set it"
        ) from error
