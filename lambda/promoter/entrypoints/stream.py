"""The table's stream -> announcements. docs/reference/events.md has the details.

The stream, not the promotion, carries them: what is recorded is announced, also if the function dies right after.
The stream is read in order, so that what cannot be sent is put aside: nothing waits behind it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from promoter.aws.dynamodb import changes
from promoter.aws.event_bus import Announcement, Unsent
from promoter.domain import drift
from promoter.domain.model import Outcome
from promoter.domain.names import SERVICE
from promoter.domain.records import Head

VERSION = "1"
DETAIL_TYPES = {
    Outcome.PROMOTED: "Image Promoted",
    Outcome.UNCHANGED: "Image Promoted",
    Outcome.REFUSED: "Promotion Refused",
    Outcome.FAILED: "Promotion Failed",
}
WAITS = "Promotion Waiting"
DRIFTED = "Tag Drifted"


def read(stream_records: Iterable[Mapping[str, Any]]) -> Iterator[Announcement | Unsent]:
    """Yield what has to be announced, in the stream's order, or why that cannot be read."""
    for stream_record in stream_records:
        change = stream_record.get("dynamodb", {})
        new, old = change.get("NewImage") or {}, change.get("OldImage") or {}
        about = (changes.key_of(new), changes.promotion_of(new), _recorded_at(change))
        try:
            entry = _announced(changes.read(new, old))
        except (AttributeError, KeyError, TypeError, ValueError) as error:  # of a version that is not this one
            yield Unsent(*about, code="unreadable", cause=f"{type(error).__name__}: {error}")
            continue
        if entry:
            yield Announcement(*about, entry)


def _recorded_at(change: Mapping[str, Any]) -> datetime:
    """Return when the item changed. Lambda brings a number, the stream's own API a datetime."""
    created = change.get("ApproximateCreationDateTime", datetime.now(UTC))
    return created if isinstance(created, datetime) else datetime.fromtimestamp(created, UTC)


def _announced(change: changes.Ended | changes.Accepted | Head | None) -> dict[str, Any] | None:
    match change:
        case changes.Ended(outcome, document):
            return _entry(DETAIL_TYPES[outcome], document)
        case changes.Accepted(document):
            return _entry(WAITS, document)
        case Head():
            return _entry(DRIFTED, drift.document(change))
    return None


def _entry(detail_type: str, detail: Mapping[str, Any]) -> dict[str, Any]:
    repository = detail["repositoryName"]
    return {
        "Source": SERVICE,
        "DetailType": detail_type,
        "Detail": json.dumps({"version": VERSION, **detail}),
        "Resources": [f"{detail['registryId']}/{repository}"],
    }
