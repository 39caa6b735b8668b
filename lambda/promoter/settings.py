"""The only reader of the environment."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

POLICY_FILE = Path(__file__).with_name("policy.json")


@dataclass(frozen=True)
class Settings:
    """What the function is told: its own account's registry, its Region, its table.

    `lease` is how long a turn lasts, longer than any invocation; `history` how long records are kept. Events come
    from `events_queue` (its URL) `event_tries` times, `event_retry` apart, and then go to `failed_events_queue`;
    announcements that cannot be sent go to `unannounced_queue`.
    `operators` are globs on callers; none: everybody whom API Gateway lets in operates.
    """

    registry_id: str
    region: str
    table: str
    lease: timedelta
    history: timedelta
    events_queue: str
    failed_events_queue: str
    unannounced_queue: str
    event_tries: int
    event_retry: timedelta
    operators: tuple[str, ...]
    policy_file: Path = POLICY_FILE

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Read the settings. Raises RuntimeError naming the variable that is missing."""
        try:
            return cls(
                registry_id=environment["PROMOTER_REGISTRY_ID"],
                region=environment["AWS_REGION"],
                table=environment["PROMOTER_TABLE"],
                lease=timedelta(seconds=int(environment["PROMOTER_LEASE_SECONDS"])),
                history=timedelta(days=int(environment["PROMOTER_HISTORY_DAYS"])),
                events_queue=environment["PROMOTER_EVENTS_QUEUE"],
                failed_events_queue=environment["PROMOTER_FAILED_EVENTS_QUEUE"],
                unannounced_queue=environment["PROMOTER_UNANNOUNCED_QUEUE"],
                event_tries=int(environment["PROMOTER_EVENT_TRIES"]),
                event_retry=timedelta(seconds=int(environment["PROMOTER_EVENT_RETRY_SECONDS"])),
                operators=tuple(json.loads(environment["PROMOTER_OPERATORS"])),
            )
        except KeyError as error:
            raise RuntimeError(
                f"environment variable {error.args[0]} is not set; the stack and Lambda set it"
            ) from error
