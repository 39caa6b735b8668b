"""The time, as dependencies give it to what must not look at a clock itself."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the time now, with its time zone."""
    return datetime.now(UTC)
