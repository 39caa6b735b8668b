"""Reads the items of the table that more than one looks at: records and heads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from promoter import dynamo, records
from promoter.model import Head, Record


def record_of(item: Mapping[str, Any]) -> Record:
    """Read a record's item, or one of a history, which has no fingerprint."""
    found = records.read(json.loads(item["document"]["S"]))
    return replace(found, fingerprint=dynamo.text(item, "fingerprint") or "")


def head_of(item: Mapping[str, Any]) -> Head:
    """Read a head's item."""
    return Head(
        repository=dynamo.placed(item["pk"]["S"].partition("#")[2]),
        image_tag=item["sk"]["S"],
        image_digest=item["digest"]["S"],
        promotion_id=item["promotion"]["S"],
        moved_at=datetime.fromisoformat(item["moved"]["S"]),
        drift=dynamo.text(item, "drift"),
        undoes=dynamo.text(item, "undoes"),
        moving="moving" in item or dynamo.number(item, "version") > 1,
    )
