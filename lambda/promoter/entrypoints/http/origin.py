"""Who sent a request, and the promotionId that it gets."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass

from promoter.domain.errors import InvalidRequest

KEYS = uuid.UUID("5c1b7c57-70f4-5b0f-8f5e-2f7c1f7c9d53")
"""The namespace in which a caller's Idempotency-Key makes a promotionId."""
KEY = re.compile(r"[\x21-\x7e]{1,255}")
PROMOTION_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
"""What a promotionId can look like; ours are UUIDs. Nothing else is looked up."""


@dataclass(frozen=True)
class Origin:
    """What the body of a request does not say: who sent it, and the account and Region of the function.

    The `idempotency_key` belongs to the `principal`, which is the same in all sessions of the `caller`'s role.
    """

    caller: str | None
    principal: str
    idempotency_key: str | None
    registry_id: str
    region: str

    def promotion_id(self, subject: str = "") -> str:
        """Return a new id, or the one that the principal's Idempotency-Key always gives for this subject."""
        if self.idempotency_key is None:
            return str(uuid.uuid4())
        if not KEY.fullmatch(self.idempotency_key):
            raise InvalidRequest(
                "The Idempotency-Key must have 1 to 255 printable characters without spaces.",
                field="Idempotency-Key",
            )
        return str(uuid.uuid5(KEYS, f"{self.principal}\n{subject}\n{self.idempotency_key}"))


def is_promotion_id(text: str) -> bool:
    """Say whether a promotion can have this id."""
    return PROMOTION_ID.fullmatch(text) is not None
