"""What the table's stream tells is announced, as docs/reference/events.schema.json says."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from botocore.exceptions import ClientError
from ministack.services import eventbridge

from promoter.aws.dynamodb import items, keys
from promoter.aws.event_bus import RETRIED_FOR, Announcer, Unsent
from promoter.domain import documents
from promoter.domain.answers import NotPromoted
from promoter.domain.errors import Expired, GateRefused, LedgerError, Throttled
from promoter.domain.model import ImageId, Outcome, Promoted, Reason, Seen, TagMove, Trigger, Wait
from promoter.domain.records import Record
from promoter.entrypoints.stream import read
from tests.support.announced import entries_of
from tests.support.registries import REPOSITORY, manifest

DOCS = Path(__file__).parents[3] / "docs" / "reference"
SCHEMA = jsonschema.Draft202012Validator(
    json.loads((DOCS / "events.schema.json").read_text()), format_checker=jsonschema.FormatChecker()
)
IMAGE, OTHER = manifest('{"a": 1}'), manifest('{"b": 1}')
NOW, REGION = datetime(2026, 11, 23, 12, tzinfo=UTC), "eu-central-1"
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
    (
        NotPromoted(GateRefused("no", reasons=(Reason("finding", "bad", severity="HIGH"),))),
        "Promotion Refused",
        "REFUSED",
    ),
    (NotPromoted(Throttled("slow down")), "Promotion Failed", "FAILED"),
]


def item(record: Record) -> dict[str, Any]:
    """Return a record's item as the ledger writes it."""
    return items.record_item(record, REGION) | items.end_of(record, timedelta(days=1))


WAITS = documents.waits(
    replace(OPEN, image_digest=IMAGE.digest),
    Wait(until=NOW + timedelta(days=1), seen={"prod": Seen(OTHER.digest, 3)}),
    [Reason("unsigned", "The image is not signed.")],
    (TagMove("prod", Outcome.PLANNED, OTHER.digest),),
)


def waiting(next_try: datetime, record: Record = WAITS) -> dict[str, Any]:
    """Return the item of a promotion that waits, as each try writes it."""
    return items.record_item(record, REGION) | items.waiting_of(record, next_try)


def accepted(record: Record = WAITS) -> dict[str, Any]:
    """Return the item of a promotion that was accepted to wait."""
    return waiting(NOW, record) | items.accepted(record, NOW)


def change(new: dict[str, Any] | None, old: dict[str, Any] | None = None, *, at: datetime = NOW) -> dict[str, Any]:
    """Return a record of the stream."""
    images = {"NewImage": new, "OldImage": old}
    told = {name: each for name, each in images.items() if each}
    return {"eventSource": "aws:dynamodb", "dynamodb": told | {"ApproximateCreationDateTime": at.timestamp()}}


def entries(*changes: dict[str, Any]) -> list[Any]:
    """Return the entries of PutEvents that tell of changes."""
    return entries_of(changes)


@pytest.mark.parametrize(("answer", "detail_type", "outcome"), ANSWERS, ids=[each[2] for each in ANSWERS])
def test_every_end_is_announced(answer: Any, detail_type: str, outcome: str) -> None:
    """By a detail-type of its own, with the documented detail; not with what is only the ledger's business."""
    (entry,) = entries(change(item(documents.ended(OPEN, answer, now=NOW))))

    detail = json.loads(entry["Detail"])
    assert (entry["Source"], entry["DetailType"], detail["outcome"]) == ("ecr-promoter", detail_type, outcome)
    assert detail["promotionId"] == "p-1"
    SCHEMA.validate(detail)
    assert "secret" not in entry["Detail"]


def test_a_request_that_waits_is_announced_once() -> None:
    """With what it waits for; not each time that it is tried, with or without a lease."""
    tried, again = waiting(NOW + timedelta(minutes=30)), waiting(NOW + timedelta(hours=1))
    leased = items.record_item(WAITS, REGION) | {"lease": {"S": "l"}}

    told = entries(change(accepted()), change(tried, accepted()), change(leased, tried), change(again, leased))

    (entry,) = told
    detail = json.loads(entry["Detail"])
    assert (entry["DetailType"], detail["outcome"], detail["waitingFor"]) == (
        "Promotion Waiting",
        "WAITING",
        ["unsigned"],
    )
    assert "secret" not in entry["Detail"]
    SCHEMA.validate(detail)


def test_a_request_that_waits_again_under_its_key_is_announced_again() -> None:
    """The earlier promotion has expired, and this one is another."""
    expired = item(documents.ended(OPEN, NotPromoted(Expired("no")), now=NOW))

    assert [entry["DetailType"] for entry in entries(change(accepted(), expired))] == ["Promotion Waiting"]


def test_a_promotion_by_event_waits_without_an_announcement() -> None:
    """Every push waits for its scans: that is no news."""
    record = replace(WAITS, trigger=Trigger.SCAN, caller=None)

    assert entries(change(accepted(record))) == []


def test_what_has_not_ended_is_not_announced() -> None:
    """An open record, a history, a manifest that waits, an item that expired."""
    ended = item(documents.ended(OPEN, ANSWERS[0][0], now=NOW))
    opened = {name: value for name, value in ended.items() if name != "outcome"}
    history = ended | {"pk": {"S": "history#x#prod"}}
    manifest_of = keys.manifest("p-1") | {"body": {"B": b"{}"}}

    assert entries(change(opened), change(history), change(manifest_of), change(None, ended), change({})) == []


def test_drift_is_announced_once() -> None:
    """When it is found, not each time the head is looked at."""
    head = {
        "pk": {"S": keys.heads(REGION, REPOSITORY)},
        "sk": {"S": "prod"},
        "digest": {"S": IMAGE.digest},
        "promotion": {"S": "p-1"},
        "moved": {"S": "2026-11-23T12:00:00.000000Z"},
    }
    elsewhere, gone = head | {"drift": {"S": OTHER.digest}}, head | {"drift": {"S": "none"}}

    told = entries(change(elsewhere, head), change(elsewhere, elsewhere), change(gone, elsewhere))

    details = [json.loads(entry["Detail"]) for entry in told]
    assert [entry["DetailType"] for entry in told] == ["Tag Drifted"] * 2
    assert [detail["registryDigest"] for detail in details] == [OTHER.digest, None]
    for detail in details:
        SCHEMA.validate(detail)


def test_the_documented_rule_of_a_consumer_matches() -> None:
    """The pattern of docs/reference/events.md, by EventBridge's own matching."""
    text = (DOCS / "events.md").read_text()
    pattern = text.split("## A consumer's rule")[1].split("```json")[1].split("```")[0]

    def heard(answer: Any) -> bool:
        (entry,) = entries(change(item(documents.ended(OPEN, answer, now=NOW))))
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


@dataclass
class Bus:
    """EventBridge, which takes ten entries and 256 KB at a time; `answers` says how it fails promotions, by id."""

    answers: dict[str, str] = field(default_factory=dict)
    failure: str | None = None
    taken: list[list[str]] = field(default_factory=list)

    def put_events(self, Entries: list[Any]) -> dict[str, Any]:  # noqa: N803 - boto3's name
        details = [json.loads(entry["Detail"])["promotionId"] for entry in Entries]
        if self.failure:
            raise ClientError({"Error": {"Code": self.failure}}, "PutEvents")
        size = sum(len(value.encode()) for entry in Entries for key, value in entry.items() if key != "Resources")
        if len(Entries) > 10 or size >= 256 * 1024 or "invalid" in details:
            raise ClientError({"Error": {"Code": "ValidationException"}}, "PutEvents")
        results = [
            {"ErrorCode": self.answers[name]} if name in self.answers else {"EventId": "e"} for name in details
        ]
        self.taken.append([name for name in details if name not in self.answers])
        return {"FailedEntryCount": len(self.answers), "Entries": results}


@dataclass
class Aside:
    """Remembers what was put aside, and why."""

    messages: list[tuple[Any, str, str]] = field(default_factory=list)

    def put(self, body: str, attributes: Mapping[str, str]) -> None:
        self.messages.append((json.loads(body), attributes["promotionId"], attributes["ERROR_CODE"]))


def announced(bus: Bus, *changes: dict[str, Any], now: datetime = NOW) -> Aside:
    """Announce changes; return what was put aside."""
    aside = Aside()
    sent, unsent = announce(bus, aside, changes, now=now)
    assert (sent, len(unsent)) == (sum(map(len, bus.taken)), len(aside.messages))
    return aside


def announce(
    bus: Bus, aside: Aside, changes: Sequence[dict[str, Any]], *, now: datetime = NOW
) -> tuple[int, tuple[Unsent, ...]]:
    """Read changes as the stream brings them, and announce what they tell."""
    return Announcer(bus, aside, lambda: now).announce(list(read(changes)))  # type: ignore[arg-type]


def ended(name: str, detail: str = "no", **members: Any) -> dict[str, Any]:
    """Return the change of a promotion that was refused."""
    answer = NotPromoted(GateRefused(detail))
    record = documents.ended(replace(OPEN, promotion_id=name), answer, now=NOW)
    return change(item(record) | members)


def key(name: str) -> dict[str, Any]:
    return {"key": {"pk": {"S": f"promotion#{name}"}, "sk": {"S": "record"}}}


def test_many_announcements_go_out_in_portions() -> None:
    """Ten at a time, which is as many as EventBridge takes, in their order."""
    bus, names = Bus(), [f"p-{number}" for number in range(23)]

    aside = announced(bus, *map(ended, names))

    assert [len(portion) for portion in bus.taken] == [10, 10, 3]
    assert [name for portion in bus.taken for name in portion] == names
    assert aside.messages == []


def test_large_announcements_go_out_in_smaller_portions() -> None:
    """By their bytes: 256 KB are the most that EventBridge takes at a time."""
    bus = Bus()
    large = ended("p", answer={"S": json.dumps({"detail": "é" * 9_900})})

    aside = announced(bus, *[large] * 10)

    assert [len(portion) for portion in bus.taken] == [4, 4, 2]
    assert aside.messages == []


def test_every_record_of_this_version_fits() -> None:
    """A refusal whose texts are giant is announced with the rest."""
    bus = Bus()
    record = documents.ended(OPEN, NotPromoted(GateRefused("\U0001f4a5" * 500_000)), now=NOW)

    assert announced(bus, ended("p-0"), change(item(record)), ended("p-2")).messages == []

    assert bus.taken == [["p-0", "p-1", "p-2"]]


def unreadable(name: str) -> dict[str, Any]:
    return ended(name, outcome={"S": "A WORD OF A LATER VERSION"})


def too_large(name: str) -> dict[str, Any]:
    """Return the record of a version that did not cut texts."""
    return ended(name, answer={"S": json.dumps({"detail": "x" * 300_000})})


@pytest.mark.parametrize(
    ("stopper", "name", "code"),
    [
        (unreadable("p-1"), "p-1", "unreadable"),
        (ended("p-1", answer={"S": "no JSON"}), "p-1", "unreadable"),
        (ended("p-1", asked={"S": "no JSON"}), "p-1", "unreadable"),
        (too_large("p-1"), "p-1", "too_large"),
        (ended("denied"), "denied", "NotAuthorizedForDetailTypeException"),
        (ended("malformed"), "malformed", "MalformedDetail"),
        (ended("invalid"), "invalid", "ValidationException"),
    ],
)
def test_nothing_waits_behind_what_cannot_be_sent(stopper: dict[str, Any], name: str, code: str) -> None:
    """It is put aside with its key, promotionId and cause, once, and all else goes out."""
    bus = Bus({"denied": "NotAuthorizedForDetailTypeException", "malformed": "MalformedDetail"})

    aside = announced(bus, ended("p-0"), stopper, ended("p-2"))

    assert [sent for portion in bus.taken for sent in portion] == ["p-0", "p-2"]
    assert aside.messages == [(key(name), name, code)]


@pytest.mark.parametrize("code", ["ThrottlingException", "InternalFailure"])
def test_an_announcement_that_may_be_taken_later_comes_again(code: str) -> None:
    """The stream's batch fails, so that Lambda brings it once more; for an hour. Then it is put aside."""
    bus, aside = Bus({"p-1": code}), Aside()

    with pytest.raises(LedgerError, match=code):
        announce(bus, aside, [unreadable("p-0"), ended("p-1")])

    assert aside.messages == []  # or it would be there once more after each try
    aside = announced(Bus({"p-1": code}), ended("p-1"), ended("p-2"), now=NOW + RETRIED_FOR)
    assert aside.messages == [(key("p-1"), "p-1", code)]


def test_a_bus_out_of_order_gets_everything_later() -> None:
    """A missing right can be given, an outage ends: for an hour nothing is put aside."""
    bus, aside = Bus(failure="AccessDeniedException"), Aside()

    with pytest.raises(LedgerError, match="AccessDenied"):
        announce(bus, aside, [ended("p-1")])

    assert aside.messages == []
    assert announced(bus, ended("p-1"), now=NOW + RETRIED_FOR).messages == [
        (key("p-1"), "p-1", "AccessDeniedException")
    ]
