"""The time, and how long to wait for others, as dependencies give them to what must not look at a clock itself."""

from __future__ import annotations

import random
from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the time now, with its time zone."""
    return datetime.now(UTC)


def spread_pause(shortest: float, longest: float) -> float:
    """Return some seconds between the two: those who wait for the same thing must not all come again at once."""
    return random.uniform(shortest, longest)  # noqa: S311 - no secret is made of it
