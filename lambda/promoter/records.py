"""What is kept of a promotion, as a document: for the ledger, the API and the announcements alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from promoter.errors import Frozen, PromoterError, error_of
from promoter.model import ImageId, Outcome, Promoted, Promotion, Reason, Record, Repository, TagMove, Trigger

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


MOST = 400
"""Characters of one member of a reason."""


def opened(wish: Promotion, *, rule: str | None = None) -> Record:
    """Return the record of a wish that is under way."""
    return Record(
        promotion_id=wish.promotion_id,
        trigger=wish.trigger,
        repository=wish.repository,
        source=wish.source.image_id,
        asked_at=wish.asked_at,
        rule=rule or wish.rule,
        caller=wish.caller,
        undoes=wish.undoes,
        undone=wish.expected_digests if wish.undoes else {},
        override=wish.override,
        fingerprint=wish.fingerprint,
        image_digest=wish.source.image_digest,
        image_tags=wish.image_tags or (),
    )


def ended(record: Record, answer: Promoted | PromoterError, *, now: datetime) -> Record:
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
            ended_at=now,
        )
    return replace(
        record,
        image_digest=answer.image_digest or record.image_digest,
        moves=answer.moves,
        outcome=answer.outcome,
        code=answer.code,
        detail=answer.detail,
        reasons=answer.reasons,
        ended_at=now,
    )


def error(record: Record) -> PromoterError | None:
    """Return the error that ended a promotion, as it was told then; None if none did."""
    if record.code is None:
        return None
    told = error_of(record.code)(record.detail or "", reasons=record.reasons)
    told.moves, told.image_digest = record.moves, record.image_digest
    return told


def is_final(record: Record) -> bool:
    """Say whether the record's answer stands: it ended, and not with what the same promotion may overcome."""
    told = error(record)
    passes = told is not None and (told.retryable or isinstance(told, Frozen))
    return record.outcome is not None and not passes


def document(record: Record) -> dict[str, Any]:
    """Return the record as JSON in the API's names; members that do not apply are left out.

    Not in it is the fingerprint, which is nobody's business but the ledger's.
    """
    members = {
        "promotionId": record.promotion_id,
        "outcome": record.outcome,
        "trigger": record.trigger,
        "rule": record.rule,
        "caller": record.caller,
        "undoes": record.undoes,
        "undone": dict(record.undone),
        "override": {"reason": record.override} if record.override else None,
        "registryId": record.repository.registry_id,
        "repositoryName": record.repository.name,
        "source": _filled({"imageTag": record.source.image_tag, "imageDigest": record.source.image_digest}),
        "imageDigest": record.image_digest,
        "imageManifestMediaType": record.media_type,
        "imageTags": list(record.image_tags),
        "images": [image(move) for move in record.moves],
        "code": record.code,
        "detail": record.detail,
        "reasons": [reason(each) for each in record.reasons],
        "askedAt": record.asked_at.isoformat(),
        "endedAt": record.ended_at.isoformat() if record.ended_at else None,
    }
    return _filled(members)


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
    """Return a reason's document: `code`, `detail`, and what applies of the rest; none of it is a novel.

    Histories have a copy for each tag, and a transaction takes 4 MB (DynamoDB, TransactWriteItems).
    """
    members = {name: getattr(each, member) for name, member in REASON_MEMBERS.items()}
    return _filled({name: text[:MOST] if text else None for name, text in members.items()})


def _read_reason(members: Mapping[str, str]) -> Reason:
    return Reason(**{member: members[name] for name, member in REASON_MEMBERS.items() if name in members})


def _filled(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value not in (None, "", [], {})}
