"""The table's stream -> announcements. docs/reference/events.md has the details.

The stream, not the promotion, carries them: what is recorded is announced, also if the function dies right after.
The stream is read in order, so that what cannot be sent is put aside: nothing waits behind it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from promoter.aws.dynamodb import table
from promoter.aws.event_bus import Announcement, Unsent
from promoter.domain import drift
from promoter.domain.model import Outcome

SOURCE, VERSION = "ecr-promoter", "1"
DETAIL_TYPES = {
    Outcome.PROMOTED: "Image Promoted",
    Outcome.UNCHANGED: "Image Promoted",
    Outcome.REFUSED: "Promotion Refused",
    Outcome.FAILED: "Promotion Failed",
}
DRIFTED = "Tag Drifted"


def read(stream_records: Iterable[Mapping[str, Any]]) -> Iterator[Announcement | Unsent]:
    """Yield what has to be announced, in the stream's order, or why that cannot be read."""
    for stream_record in stream_records:
        change = stream_record.get("dynamodb", {})
        new, old = change.get("NewImage") or {}, change.get("OldImage") or {}
        about = (_key(new), _promotion_id(new), _recorded_at(change))
        try:
            entry = _entry_of(new, old)
        except (AttributeError, KeyError, TypeError, ValueError) as error:  # of a version that is not this one
            yield Unsent(*about, code="unreadable", cause=f"{type(error).__name__}: {error}")
            continue
        if entry:
            yield Announcement(*about, entry)


def _recorded_at(change: Mapping[str, Any]) -> datetime:
    """Return when the item changed. Lambda brings a number, the stream's own API a datetime."""
    created = change.get("ApproximateCreationDateTime", datetime.now(UTC))
    return created if isinstance(created, datetime) else datetime.fromtimestamp(created, UTC)


def _key(item: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: item[name] for name in ("pk", "sk") if name in item}


def _promotion_id(item: Mapping[str, Any]) -> str:
    """Return the promotion that an item tells of, as far as it can be read."""
    key = table.text(item, "pk") or ""
    if key.startswith("promotion#"):
        return key.removeprefix("promotion#")
    return str(item.get("promotion", {}).get("S", ""))


def _entry_of(new: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any] | None:
    key = table.text(new, "pk") or ""
    if key.startswith("promotion#") and "outcome" in new:
        return _entry(DETAIL_TYPES[Outcome(new["outcome"]["S"])], json.loads(new["document"]["S"]))
    if key.startswith("heads#") and "drift" in new and new["drift"] != old.get("drift"):
        return _entry(DRIFTED, drift.document(table.head_of(new)))
    return None


def _entry(detail_type: str, detail: Mapping[str, Any]) -> dict[str, Any]:
    repository = detail["repositoryName"]
    return {
        "Source": SOURCE,
        "DetailType": detail_type,
        "Detail": json.dumps({"version": VERSION, **detail}),
        "Resources": [f"{detail['registryId']}/{repository}"],
    }
