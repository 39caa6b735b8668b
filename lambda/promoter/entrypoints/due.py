"""Our own event: promotions that wait for what has passed by now, or will within seconds, are due.

It comes through the queue, like the events of AWS.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from promoter.domain.names import SERVICE

DETAIL_TYPE = "Promotions Due"
FIRST_PAUSE, LONGEST_PAUSE = 3, 300
"""Seconds before a promotion comes back for the first time; each time it is twice as long."""

MOST = 1000
"""Promotions of a message, of 40 bytes each: every SQS queue takes messages of 256 KB."""


class Due(NamedTuple):
    """Promotions to try, after a `pause` of so many seconds."""

    promotion_ids: tuple[str, ...]
    pause: int


def read(event: Mapping[str, Any]) -> Due | None:
    """Read the event; None: it is another one."""
    if (event.get("source"), event.get("detail-type")) != (SERVICE, DETAIL_TYPE):
        return None
    return Due(tuple(event["detail"]["promotionIds"]), event["detail"]["pause"])


def messages(promotion_ids: Sequence[str], pause: int) -> Iterator[str]:
    """Yield messages that `read` reads."""
    for start in range(0, len(promotion_ids), MOST):
        detail = {"promotionIds": promotion_ids[start : start + MOST], "pause": pause}
        yield json.dumps({"source": SERVICE, "detail-type": DETAIL_TYPE, "detail": detail})
