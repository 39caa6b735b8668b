"""Everything outside of the core that a promotion touches, by role."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from promoter.domain.clock import utc_now
from promoter.domain.policy import Policy
from promoter.domain.ports import (
    Freezes,
    Heads,
    History,
    ImageFacts,
    Ledger,
    Registry,
    WaitingPromotions,
    WakeUps,
)


@dataclass(frozen=True)
class Dependencies:
    """The policy, the registry, what is known of images, the ledger's six roles, and time.

    `operators` are globs on callers, as the setting has them. `patience` is how long a promotion waits for others:
    once for its lease, and once for its share of PutImage's quota. `pause` takes seconds.
    """

    policy: Policy
    registry: Registry
    image_facts: ImageFacts
    ledger: Ledger
    heads: Heads
    history: History
    freezes: Freezes
    waiting: WaitingPromotions
    wake_ups: WakeUps
    patience: timedelta
    operators: tuple[str, ...] = ()
    now: Callable[[], datetime] = utc_now
    pause: Callable[[float], None] = time.sleep
