"""Announcements: what the table's stream tells of, sent to EventBridge. docs/events.md has the details.

The stream, not the promotion, carries them: what is recorded is announced, also if the function dies right after.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from promoter import drift, dynamo
from promoter.errors import LedgerError
from promoter.items import head_of
from promoter.model import Outcome

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

SOURCE, VERSION = "ecr-promoter", "1"
DETAIL_TYPES = {
    Outcome.PROMOTED: "Image Promoted",
    Outcome.UNCHANGED: "Image Promoted",
    Outcome.REFUSED: "Promotion Refused",
    Outcome.FAILED: "Promotion Failed",
}
DRIFTED = "Tag Drifted"
AT_ONCE = 10  # entries of one PutEvents


def announcements(stream_records: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield an entry of PutEvents for each promotion that ended and each tag that was found elsewhere."""
    for stream_record in stream_records:
        change = stream_record.get("dynamodb", {})
        new, old = change.get("NewImage") or {}, change.get("OldImage") or {}
        key = dynamo.text(new, "pk") or ""
        if key.startswith("promotion#") and "outcome" in new:
            yield _entry(DETAIL_TYPES[Outcome(new["outcome"]["S"])], json.loads(new["document"]["S"]))
        elif key.startswith("heads#") and "drift" in new and new["drift"] != old.get("drift"):
            yield _entry(DRIFTED, drift.document(head_of(new)))


def send(entries: Sequence[Mapping[str, Any]], client: EventBridgeClient) -> None:
    """Send all. Raises LedgerError if one could not be sent: then the stream brings all of them again."""
    for start in range(0, len(entries), AT_ONCE):
        portion: list[Any] = list(entries[start : start + AT_ONCE])
        try:
            answer = client.put_events(Entries=portion)
        except (ClientError, BotoCoreError) as error:
            raise LedgerError(f"announcements could not be sent: {error}") from error
        if answer["FailedEntryCount"]:
            told = [
                f"{entry['ErrorCode']}: {entry.get('ErrorMessage')}"
                for entry in answer["Entries"]
                if "ErrorCode" in entry
            ]
            raise LedgerError(f"{len(told)} announcements could not be sent: {told[0]}")


def _entry(detail_type: str, detail: Mapping[str, Any]) -> dict[str, Any]:
    repository = detail["repositoryName"]
    return {
        "Source": SOURCE,
        "DetailType": detail_type,
        "Detail": json.dumps({"version": VERSION, **detail}),
        "Resources": [f"{detail['registryId']}/{repository}"],
    }
