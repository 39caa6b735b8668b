"""Waiting for a condition instead of for a time."""

from __future__ import annotations

import time
from collections.abc import Callable

INTERVAL = 0.05  # seconds between two looks at the condition


def wait_until(condition: Callable[[], bool], *, seconds: float) -> bool:
    """Wait until the condition holds; return whether it did within so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(INTERVAL)
    return True
