"""Everything outside of the core that a promotion touches, by role."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from promoter.domain.policy import Policy
from promoter.domain.ports import ImageFacts, Ledger, Registry

DEFAULT_PATIENCE = timedelta(seconds=10)
"""How long a promotion waits for others: once for its lease, and once for its share of PutImage's quota."""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Dependencies:
    """The policy, the registry, what is known of images, the ledger, and time.

    `patience` is how long a promotion waits for others; `pause` takes seconds.
    """

    policy: Policy
    registry: Registry
    image_facts: ImageFacts
    ledger: Ledger
    patience: timedelta = DEFAULT_PATIENCE
    now: Callable[[], datetime] = _now
    pause: Callable[[float], None] = time.sleep
