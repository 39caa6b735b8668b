"""Our own event: a promotion that waits for what passes within seconds is due. It comes back through the queue."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from promoter.domain.names import SERVICE

DETAIL_TYPE = "Promotion Due"
FIRST_PAUSE, LONGEST_PAUSE = 3, 300
"""Seconds before a promotion comes back for the first time; each time it is twice as long."""


class Due(NamedTuple):
    """A promotion to try, after a `pause` of so many seconds."""

    promotion_id: str
    pause: int


def read(event: Mapping[str, Any]) -> Due | None:
    """Read the event; None: it is another one."""
    if (event.get("source"), event.get("detail-type")) != (SERVICE, DETAIL_TYPE):
        return None
    return Due(event["detail"]["promotionId"], event["detail"]["pause"])


def message(due: Due) -> str:
    """Return the message that `read` reads."""
    return json.dumps(
        {
            "source": SERVICE,
            "detail-type": DETAIL_TYPE,
            "detail": {"promotionId": due.promotion_id, "pause": due.pause},
        }
    )
