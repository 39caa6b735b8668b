"""Items of the table and the values that they hold: records, heads, rows of a history.

A record's document is two attributes: `asked` is what was asked for; `answer` is how it ended, or what is
intended while the promotion is under way. The end of a promotion sends only what differs from that. Members that
other attributes hold, such as promotionId and outcome, are in neither; nor are the tags, if each has an image.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from promoter.aws.dynamodb import keys
from promoter.aws.dynamodb.table import Item
from promoter.domain import documents
from promoter.domain.history import HistoryEntry, entry_of
from promoter.domain.model import ImageId, Outcome, Seen, TagMove, Trigger, Wait
from promoter.domain.records import Head, Position, Record

ELSEWHERE = (
    "promotionId",
    "outcome",
    "registryId",
    "repositoryName",
    "waitingFor",
    "waitsUntil",
    "endedAt",
)
"""Members of a document that stand in the item's key and other attributes."""
ANSWER = ("images", "code", "detail", "reasons")

NONE = "none"
"""The `previous` of a tag that did not exist before."""


def document_parts(record: Record) -> dict[str, Any]:
    """Return the attributes that hold a record's document."""
    members = documents.document(record)
    if members.get("imageTags") == [image["imageTag"] for image in members.get("images", ())]:
        members.pop("imageTags", None)
    parts = {
        "asked": {name: each for name, each in members.items() if name not in {*ELSEWHERE, *ANSWER}},
        "answer": {name: members[name] for name in ANSWER if name in members},
    }
    return {name: {"S": json.dumps(part, separators=(",", ":"))} for name, part in parts.items()}


def changed_parts(record: Record, intended: Record) -> dict[str, Any]:
    """Return the parts of an ended promotion's document that differ from what was intended."""
    moves = tuple(
        replace(move, outcome=Outcome.PROMOTED) if move.outcome is Outcome.PLANNED else move
        for move in intended.moves
    )
    ended, expected = document_parts(record), document_parts(replace(intended, moves=moves))
    if [move.image_tag for move in moves] != list(intended.image_tags):
        return ended  # the item may intend more than is known here
    return {name: part for name, part in ended.items() if part != expected[name]}


def record_item(record: Record, region: str) -> dict[str, Any]:
    """Return what the item of a record has at any time."""
    place = {"repository": {"S": keys.place(region, record.repository)}}
    fingerprint = {"fingerprint": {"S": record.fingerprint}} if record.fingerprint else {}
    return keys.promotion(record.promotion_id) | place | document_parts(record) | fingerprint | wait_of(record)


def end_of(record: Record, kept: timedelta) -> dict[str, Any]:
    """Return what a record's item has from its end on, beside its document, for as long as it is `kept`.

    `retryable` marks one that may be tried again and has put nothing, `partly` one that may and has put tags.
    """
    at = _end(record)
    put = any(move.outcome is Outcome.PROMOTED for move in record.moves)
    mark = {} if documents.is_final(record) else {"partly" if put else "retryable": {"BOOL": True}}
    return {
        "outcome": {"S": f"{record.outcome}"},
        "listedAt": {"S": ended_at(record)},
        "expires": {"N": keys.seconds(at + kept)},
    } | mark


def waiting_of(record: Record, next_try: datetime) -> dict[str, Any]:
    """Return what a record's item has while the promotion waits, beside its document."""
    return {
        "outcome": {"S": Outcome.WAITING},
        "listing": {"S": keys.waiting(record.promotion_id)},
        "listedAt": {"S": _in_time(next_try, record.promotion_id)},
    }


def accepted(record: Record, at: datetime) -> dict[str, Any]:
    """Return what tells the stream that a request is accepted to wait; the next write of the item removes it."""
    return {"accepted": {"S": keys.sortable(at)}} if record.trigger is Trigger.REQUEST else {}


def waits_until(record: Record) -> str:
    """Return until when a record's promotion waits, and after how many leases.

    That tells this wait from others under the same promotionId.
    """
    return f"{keys.sortable(record.wait.until)}#{record.wait.leases}" if record.wait else ""


def wait_of(record: Record) -> dict[str, Any]:
    """Return how long a promotion waits, and what holds until then; nothing for one that may not wait."""
    wait = record.wait
    if wait is None:
        return {}
    members = {
        "seen": None if wait.seen is None else {tag: list(seen) for tag, seen in wait.seen.items()},
        "expectedDigests": dict(wait.expected_digests),
        "reachedAt": wait.reached_at.isoformat() if wait.reached_at else None,
    }
    document = json.dumps(
        {name: each for name, each in members.items() if each is not None}, separators=(",", ":")
    )
    return {"waitsUntil": {"S": waits_until(record)}, "waits": {"S": document}}


def _read_wait(item: Item) -> Wait | None:
    if "waits" not in item:
        return None
    members = json.loads(item["waits"]["S"])
    seen, reached_at = members.get("seen"), members.get("reachedAt")
    return Wait(
        until=keys.moment(item["waitsUntil"]["S"]),
        seen=None if seen is None else {tag: Seen(*each) for tag, each in seen.items()},
        expected_digests=members.get("expectedDigests", {}),
        reached_at=datetime.fromisoformat(reached_at) if reached_at else None,
        leases=int(item["waitsUntil"]["S"].partition("#")[2]),
    )


def ended_at(record: Record) -> str:
    """Return where a promotion that ended stands in its histories: in the order of time."""
    return _in_time(_end(record), record.promotion_id)


def history_rows(record: Record, region: str, kept: timedelta) -> list[dict[str, Any]]:
    """Return a record's rows in the histories of its tags: what a list shows of it."""
    return [_row(entry_of(record, tag), tag, region, kept) for tag in record.image_tags]


def _row(entry: HistoryEntry, image_tag: str, region: str, kept: timedelta) -> dict[str, Any]:
    if entry.ended_at is None:
        raise ValueError(f"promotion {entry.promotion_id} has not ended")
    texts = {
        "outcome": entry.outcome,
        "trigger": entry.trigger,
        "rule": documents.cut(entry.rule),
        "caller": documents.cut(entry.caller, documents.MOST_DETAIL),
        "undoes": entry.undoes,
        "code": entry.code,
        "digest": entry.image_digest,
        "sourceTag": documents.cut(entry.source.image_tag),
        "sourceDigest": documents.cut(entry.source.image_digest),
    }
    for move in entry.moves:
        texts["previous"] = move.previous_digest or NONE
        texts["tagDigest"] = move.image_digest
        texts["tagOutcome"] = None if move.outcome is entry.outcome else move.outcome
    return {
        "pk": {"S": keys.history(region, entry.repository, image_tag)},
        "sk": {"S": _in_time(entry.ended_at, entry.promotion_id)},
        "expires": {"N": keys.seconds(entry.ended_at + kept)},
    } | {name: {"S": f"{value}"} for name, value in texts.items() if value}


def row_of(item: Item) -> HistoryEntry:
    """Read a row of a tag's history."""
    _, place, image_tag = item["pk"]["S"].split("#", 2)
    outcome, previous = Outcome(item["outcome"]["S"]), keys.text(item, "previous")
    move = TagMove(
        image_tag,
        Outcome(keys.text(item, "tagOutcome") or outcome),
        None if previous == NONE else previous,
        keys.text(item, "tagDigest"),
    )
    return HistoryEntry(
        promotion_id=item["sk"]["S"].partition("#")[2],
        trigger=Trigger(item["trigger"]["S"]),
        repository=keys.placed(place),
        source=ImageId(keys.text(item, "sourceTag"), keys.text(item, "sourceDigest")),
        outcome=outcome,
        ended_at=keys.moment(item["sk"]["S"]),
        image_digest=keys.text(item, "digest"),
        moves=(move,) if previous else (),
        rule=keys.text(item, "rule"),
        caller=keys.text(item, "caller"),
        undoes=keys.text(item, "undoes"),
        code=keys.text(item, "code"),
    )


def promotion_id(item: Item) -> str:
    """Return the promotion that an item records, by its key."""
    return str(item["pk"]["S"].partition("#")[2])


def document_of(item: Item) -> dict[str, Any]:
    """Read the document in a record's item."""
    if keys.text(item, "outcome") == Outcome.WAITING:
        return documents.document(record_of(item))
    return _members(item)


def _members(item: Item) -> dict[str, Any]:
    outcome, repository = keys.text(item, "outcome"), keys.placed(item["repository"]["S"])
    ended = outcome not in (None, Outcome.WAITING)
    answer = _answer(item, is_promoted=outcome == Outcome.PROMOTED)
    image_tags = [image["imageTag"] for image in answer.get("images", ())]
    return {
        "promotionId": promotion_id(item),
        **({"outcome": outcome} if outcome else {}),
        "registryId": repository.registry_id,
        "repositoryName": repository.name,
        **({"imageTags": image_tags} if image_tags else {}),
        **json.loads(item["asked"]["S"]),
        **answer,
        **({"endedAt": keys.moment(item["listedAt"]["S"]).isoformat()} if ended else {}),
    }


def _answer(item: Item, *, is_promoted: bool) -> dict[str, Any]:
    """Read how a promotion ended. If all of it was carried out, each intended move was made."""
    answer: dict[str, Any] = json.loads(item["answer"]["S"])
    for image in answer.get("images", ()) if is_promoted else ():
        if image["outcome"] == Outcome.PLANNED:
            image["outcome"] = Outcome.PROMOTED
    return answer


def record_of(item: Item) -> Record:
    """Read a record's item."""
    fingerprint = keys.text(item, "fingerprint") or ""
    return replace(documents.read(_members(item)), fingerprint=fingerprint, wait=_read_wait(item))


def lease_end(item: Item) -> datetime:
    """Return when the lease of an open record is over."""
    return keys.moment(item["listedAt"]["S"])


def position_of(item: Item) -> Position:
    """Read what a head's item says of a tag; an item that is not there says nothing."""
    return Position(
        keys.text(item, "digest"),
        keys.text(item, "promotion"),
        keys.number(item, "version"),
        keys.text(item, "holder"),
    )


def head_of(item: Item) -> Head:
    """Read a head's item."""
    return Head(
        repository=keys.placed(item["pk"]["S"].partition("#")[2]),
        image_tag=item["sk"]["S"],
        image_digest=item["digest"]["S"],
        promotion_id=item["promotion"]["S"],
        moved_at=keys.moment(item["moved"]["S"]),
        drift=keys.text(item, "drift"),
        undoes=keys.text(item, "undoes"),
        moving="moving" in item or keys.number(item, "version") > 1,
    )


def _end(record: Record) -> datetime:
    if record.ended_at is None:
        raise ValueError(f"promotion {record.promotion_id} has not ended")
    return record.ended_at


def _in_time(ended_at: datetime, promotion_id: str) -> str:
    return f"{keys.sortable(ended_at)}#{promotion_id}"
