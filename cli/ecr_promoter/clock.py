"""The time that passes while the program waits."""

from __future__ import annotations

import time


def now() -> float:
    """Return seconds that only go forward."""
    return time.monotonic()


def sleep(seconds: float) -> None:
    """Let so many seconds pass."""
    time.sleep(seconds)
