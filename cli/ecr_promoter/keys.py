"""The Idempotency-Key of a command: made once, so that a repeat after a lost answer moves nothing twice."""

from __future__ import annotations

import re
import uuid

from ecr_promoter.exits import UsageMistake

KEY = re.compile(r"[\x21-\x7e]{1,255}")


def key_for(given: str | None) -> str:
    """Return the user's key, or a new one. Raises UsageMistake for what cannot be a key."""
    if given is None:
        return f"cli-{uuid.uuid4()}"
    if not KEY.fullmatch(given):
        raise UsageMistake("--idempotency-key must have 1 to 255 printable characters without spaces.")
    return given
