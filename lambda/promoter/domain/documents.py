"""What is kept of a promotion, as a document: for the ledger, the API and the announcements alike."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from promoter.domain.answers import NotPromoted
from promoter.domain.errors import Cancelled, Expired, Frozen, error_of
from promoter.domain.model import (
    ImageId,
    Outcome,
    Promoted,
    Promotion,
    Reason,
    Repository,
    TagMove,
    Trigger,
    Wait,
)
from promoter.domain.records import MORE, Record
from promoter.domain.texts import shortened

REASON_MEMBERS = {
    "code": "code",
    "detail": "sentence",
    "rule": "rule",
    "platform": "platform",
    "imageDigest": "image_digest",
    "vulnerability": "vulnerability",
    "package": "package",
    "severity": "severity",
    "fixedIn": "fixed_in",
}

RUN_AGAIN = (Frozen, Expired, Cancelled)
"""Refusals that do not stand: the same Idempotency-Key runs the promotion again."""

MOST = 400
"""Characters of one text in a document: of a member of a reason, a name."""

MOST_DETAIL = 1_000
"""Characters of the `detail` and the caller of a document: an ARN with a path is longer than other names."""

MOST_BYTES = 60_000
"""Bytes of a document in JSON.

The record and the histories of 40 tags fit into a transaction's 4 MB (DynamoDB, TransactWriteItems), the item into
400 KB, and the announcement into the 256 KB of PutEvents.
"""

MORE_ROOM = 200
"""Bytes for the reason `more`, and for the name of the member."""


def opened(promotion: Promotion, *, rule: str | None = None) -> Record:
    """Return the record of a promotion that is under way."""
    return Record(
        promotion_id=promotion.promotion_id,
        trigger=promotion.trigger,
        repository=promotion.repository,
        source=promotion.source.image_id,
        asked_at=promotion.asked_at,
        rule=rule or promotion.rule,
        caller=promotion.caller,
        undoes=promotion.undoes,
        undone=promotion.expected_digests if promotion.undoes else {},
        override=promotion.override,
        fingerprint=promotion.fingerprint,
        image_digest=promotion.source.image_digest,
        image_tags=promotion.image_tags or (),
        wait=promotion.wait and promotion.wait._replace(expected_digests=promotion.expected_digests),
    )


def ended(record: Record, answer: Promoted | NotPromoted, *, now: datetime) -> Record:
    """Return the record with how it ended."""
    if isinstance(answer, Promoted):
        return replace(
            record,
            rule=answer.rule,
            image_digest=answer.manifest.digest,
            media_type=answer.manifest.media_type,
            image_tags=tuple(move.image_tag for move in answer.moves),
            moves=answer.moves,
            outcome=answer.outcome,
            detail=None,
            reasons=(),
            ended_at=now,
            wait=None,
        )
    return replace(
        record,
        image_digest=answer.image_digest or record.image_digest,
        moves=answer.moves,
        outcome=answer.outcome,
        code=answer.error.code,
        detail=answer.error.detail,
        reasons=answer.error.reasons,
        ended_at=now,
        wait=None,
    )


def waits(
    record: Record, wait: Wait, reasons: Sequence[Reason], moves: tuple[TagMove, ...] | None = None
) -> Record:
    """Return the record of a promotion that waits for what the reasons say; `moves` are those made before."""
    return replace(
        record,
        outcome=Outcome.WAITING,
        detail=reasons[0].sentence,
        reasons=tuple(reasons),
        moves=record.moves if moves is None else moves,
        wait=wait,
    )


def not_promoted(record: Record) -> NotPromoted | None:
    """Return the answer of a promotion that was refused or failed, as it was given then; None: it was not."""
    if record.code is None:
        return None
    error = error_of(record.code)(record.detail or "", reasons=record.reasons)
    return NotPromoted(error, record.moves, record.image_digest, repeated=True)


def is_final(record: Record) -> bool:
    """Say whether the answer is final: the promotion ended, and not with an error that a retry may overcome."""
    if record.outcome in (None, Outcome.WAITING):
        return False
    error = error_of(record.code) if record.code else None
    return error is None or not (error.retryable or error in RUN_AGAIN)


def document(record: Record) -> dict[str, Any]:
    """Return the record as JSON in the API's names, MOST_BYTES at most; members that do not apply are left out.

    Long texts are cut. Reasons that do not fit are left out, and the last one, `more`, says how many. The
    fingerprint is left out, because only the ledger needs it.
    """
    members = {
        "promotionId": record.promotion_id,
        "outcome": record.outcome,
        "trigger": record.trigger,
        "rule": cut(record.rule),
        "caller": cut(record.caller, MOST_DETAIL),
        "undoes": record.undoes,
        "undone": dict(record.undone),
        "override": {"reason": record.override} if record.override else None,
        "registryId": record.repository.registry_id,
        "repositoryName": record.repository.name,
        "source": source(record.source),
        "imageDigest": record.image_digest,
        "imageManifestMediaType": cut(record.media_type),
        "imageTags": list(record.image_tags),
        "images": [image(move) for move in record.moves],
        "code": record.code,
        "detail": cut(record.detail, MOST_DETAIL),
        "waitingFor": list(record.waiting_for) if record.outcome is Outcome.WAITING else None,
        "waitsUntil": record.wait.until.isoformat() if record.wait and record.outcome is Outcome.WAITING else None,
        "askedAt": record.asked_at.isoformat(),
        "endedAt": record.ended_at.isoformat() if record.ended_at else None,
    }
    return filled(members | {"reasons": fitting(record.reasons, room=MOST_BYTES - _size(members))})


def fitting(reasons: Sequence[Reason], *, room: int) -> list[dict[str, str]]:
    """Return the documents of as many reasons as fit into so many bytes of JSON; the last says how many do not."""
    listed: list[dict[str, str]] = []
    left = room - MORE_ROOM
    for each in map(reason, reasons):
        left -= _size(each) + len(", ")
        if left < 0:
            break
        listed.append(each)
    if len(listed) < len(reasons):
        more = f"and {len(reasons) - len(listed)} more reasons that are too long to be listed"
        listed.append(reason(Reason(MORE, more)))
    return listed


def cut(text: str | None, most: int = MOST) -> str | None:
    """Return the beginning of a long text, with an ellipsis. No half of a surrogate pair is left in it."""
    if text is None:
        return None
    return shortened(text, most).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def source(image_id: ImageId) -> dict[str, Any]:
    """Return what was promoted; long texts are cut."""
    return filled({"imageTag": cut(image_id.image_tag), "imageDigest": cut(image_id.image_digest)})


def image(move: TagMove) -> dict[str, Any]:
    """Return what became of one tag; it names its image where that is not the promotion's."""
    own = {"imageDigest": move.image_digest} if move.image_digest else {}
    return {"imageTag": move.image_tag, "outcome": move.outcome, "previousDigest": move.previous_digest, **own}


def read(members: Mapping[str, Any]) -> Record:
    """Read a document; the inverse of `document`, but for the fingerprint."""
    source = members.get("source", {})
    return Record(
        promotion_id=members["promotionId"],
        trigger=Trigger(members["trigger"]),
        repository=Repository(members["registryId"], members["repositoryName"]),
        source=ImageId(source.get("imageTag"), source.get("imageDigest")),
        asked_at=datetime.fromisoformat(members["askedAt"]),
        rule=members.get("rule"),
        caller=members.get("caller"),
        undoes=members.get("undoes"),
        undone=members.get("undone", {}),
        override=members.get("override", {}).get("reason"),
        image_digest=members.get("imageDigest"),
        media_type=members.get("imageManifestMediaType"),
        image_tags=tuple(members.get("imageTags", ())),
        moves=tuple(
            TagMove(each["imageTag"], Outcome(each["outcome"]), each["previousDigest"], each.get("imageDigest"))
            for each in members.get("images", ())
        ),
        outcome=Outcome(members["outcome"]) if "outcome" in members else None,
        code=members.get("code"),
        detail=members.get("detail"),
        reasons=tuple(_read_reason(each) for each in members.get("reasons", ())),
        ended_at=datetime.fromisoformat(members["endedAt"]).astimezone(UTC) if "endedAt" in members else None,
    )


def reason(each: Reason) -> dict[str, str]:
    """Return a reason's document: `code`, `detail`, and what applies of the rest; long texts are cut."""
    return filled({name: cut(getattr(each, member)) for name, member in REASON_MEMBERS.items()})


def _read_reason(members: Mapping[str, str]) -> Reason:
    known: dict[str, Any] = {member: members[name] for name, member in REASON_MEMBERS.items() if name in members}
    return Reason(**known)


def _size(members: object) -> int:
    return len(json.dumps(members))  # escaped, as it is stored and sent: a byte a character


def filled(members: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members that apply."""
    return {name: value for name, value in members.items() if value not in (None, "", [], {})}
