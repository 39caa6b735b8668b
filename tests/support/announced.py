"""What the announcer would send to EventBridge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from promoter.aws.event_bus import Announcement
from promoter.entrypoints.stream import read


def entries_of(changes: Iterable[Mapping[str, Any]]) -> list[Any]:
    """Return the entries of PutEvents that tell of changes of the table, as its stream brings them."""
    return [each.entry for each in read(changes) if isinstance(each, Announcement)]
