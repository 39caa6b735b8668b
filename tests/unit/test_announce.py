"""What the table's stream tells is announced, as docs/events.schema.json says."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ministack.services import eventbridge

from promoter import records
from promoter.announce import announcements, send
from promoter.errors import GateRefused, LedgerError, Throttled
from promoter.ledger import DynamoLedger
from promoter.model import ImageId, Outcome, Promoted, Reason, Record, TagMove, Trigger
from tests.support.registries import REPOSITORY, manifest

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA = jsonschema.Draft202012Validator(
    json.loads((DOCS / "events.schema.json").read_text()), format_checker=jsonschema.FormatChecker()
)
IMAGE, OTHER = manifest('{"a": 1}'), manifest('{"b": 1}')
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
OPEN = Record(
    promotion_id="p-1",
    trigger=Trigger.REQUEST,
    repository=REPOSITORY,
    source=ImageId("staging"),
    asked_at=NOW,
    rule="prod",
    caller="arn:x",
    fingerprint="secret",
    image_tags=("prod",),
)
MOVE = TagMove("prod", Outcome.PROMOTED, OTHER.digest)
ANSWERS: list[tuple[Any, str, str]] = [
    (Promoted("p-1", "prod", REPOSITORY, IMAGE, (MOVE,)), "Image Promoted", "PROMOTED"),
    (
        Promoted("p-1", "prod", REPOSITORY, IMAGE, (TagMove("prod", Outcome.UNCHANGED, IMAGE.digest),)),
        "Image Promoted",
        "UNCHANGED",
    ),
    (GateRefused("no", reasons=(Reason("finding", "bad", severity="HIGH"),)), "Promotion Refused", "REFUSED"),
    (Throttled("slow down"), "Promotion Failed", "FAILED"),
]


def item(record: Record) -> dict[str, Any]:
    """Return a record's item as the ledger writes it."""
    ledger = DynamoLedger(None, "t", lease=timedelta(), history=timedelta(days=1))  # type: ignore[arg-type]
    return ledger._ended(record)


def change(new: dict[str, Any] | None, old: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a record of the stream."""
    images = {"NewImage": new, "OldImage": old}
    return {"eventSource": "aws:dynamodb", "dynamodb": {name: each for name, each in images.items() if each}}


@pytest.mark.parametrize(("answer", "detail_type", "outcome"), ANSWERS, ids=[each[2] for each in ANSWERS])
def test_every_end_is_announced(answer: Any, detail_type: str, outcome: str) -> None:
    """By a detail-type of its own, with the documented detail; not with what is only the ledger's business."""
    (entry,) = announcements([change(item(records.ended(OPEN, answer, now=NOW)))])

    detail = json.loads(entry["Detail"])
    assert (entry["Source"], entry["DetailType"], detail["outcome"]) == ("ecr-promoter", detail_type, outcome)
    assert detail["promotionId"] == "p-1"
    SCHEMA.validate(detail)
    assert "secret" not in entry["Detail"]


def test_what_has_not_ended_is_not_announced() -> None:
    """An open record, a history, a watch, an item that expired."""
    ended = item(records.ended(OPEN, ANSWERS[0][0], now=NOW))
    opened = {name: value for name, value in ended.items() if name != "outcome"}
    history = ended | {"pk": {"S": "history#x#prod"}}

    assert list(announcements([change(opened), change(history), change(None, ended), change({})])) == []


def test_drift_is_announced_once() -> None:
    """When it is found, not each time the head is looked at."""
    head = {
        "pk": {"S": f"heads#{REPOSITORY.registry_id}/{REPOSITORY.name}"},
        "sk": {"S": "prod"},
        "digest": {"S": IMAGE.digest},
        "promotion": {"S": "p-1"},
        "moved": {"S": "2026-11-23T12:00:00.000000Z"},
    }
    elsewhere, gone = head | {"drift": {"S": OTHER.digest}}, head | {"drift": {"S": "none"}}

    entries = list(announcements([change(elsewhere, head), change(elsewhere, elsewhere), change(gone, elsewhere)]))

    details = [json.loads(entry["Detail"]) for entry in entries]
    assert [entry["DetailType"] for entry in entries] == ["Tag Drifted"] * 2
    assert [detail["registryDigest"] for detail in details] == [OTHER.digest, None]
    for detail in details:
        SCHEMA.validate(detail)


def test_the_documented_rule_of_a_consumer_matches() -> None:
    """The pattern of docs/events.md, by EventBridge's own matching."""
    text = (DOCS / "events.md").read_text()
    pattern = text.split("## A consumer's rule")[1].split("```json")[1].split("```")[0]

    def heard(answer: Any) -> bool:
        (entry,) = announcements([change(item(records.ended(OPEN, answer, now=NOW)))])
        event = {
            "id": "e",
            "account": "123456789012",
            "region": "eu-central-1",
            "time": "2026-11-23T12:00:00Z",
            "resources": entry["Resources"],
            "source": entry["Source"],
            "detail-type": entry["DetailType"],
            "detail": json.loads(entry["Detail"]),
        }
        told = eventbridge._test_event_pattern({"EventPattern": pattern, "Event": json.dumps(event)})
        return bool(json.loads(told[2])["Result"])

    assert [heard(answer) for answer, _, _ in ANSWERS] == [True, False, False, False]


def test_the_documented_example_is_of_the_schema() -> None:
    """But for the digests, which are shortened for reading."""
    text = (DOCS / "events.md").read_text().split("```json")[1].split("```")[0]

    SCHEMA.validate(json.loads(text.replace("e361…", "e" * 64).replace("91ab…", "9" * 64)))


class Bus:
    """EventBridge, which takes ten entries at a time and refuses some."""

    def __init__(self, refused: int) -> None:
        self.refused = refused
        self.taken: list[int] = []

    def put_events(self, Entries: list[Any]) -> dict[str, Any]:  # noqa: N803 - boto3's name
        assert len(Entries) <= 10
        self.taken.append(len(Entries))
        failed = [{"ErrorCode": "ThrottlingException"}] * self.refused
        return {
            "FailedEntryCount": self.refused,
            "Entries": failed + [{"EventId": "e"}] * (len(Entries) - self.refused),
        }


def test_many_announcements_go_out_in_portions() -> None:
    """Ten at a time, which is as many as EventBridge takes."""
    bus = Bus(refused=0)

    send([{}] * 23, bus)  # type: ignore[arg-type]

    assert bus.taken == [10, 10, 3]


def test_an_announcement_that_is_refused_comes_again() -> None:
    """The stream's batch fails, so that Lambda brings it once more."""
    with pytest.raises(LedgerError, match="ThrottlingException"):
        send([{}], Bus(refused=1))  # type: ignore[arg-type]
