"""Answers and problem documents of the HTTP API."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.event_handler import Response

from promoter.domain import documents, drift, waiting
from promoter.domain.answers import Answer, NotPromoted, Waiting
from promoter.domain.clock import utc_now
from promoter.domain.errors import PromoterError
from promoter.domain.model import Manifest, Promoted, Promotion, Repository, TagMove, Unreadable
from promoter.domain.ports import Found
from promoter.domain.records import Head, Record
from promoter.domain.rule import Freeze

if TYPE_CHECKING:
    from promoter.promotion.reconcile import Reconciled

JSON = "application/json"
PROBLEM = "application/problem+json"  # RFC 9457
MAX_MANIFEST_BYTES = 5_000_000  # of manifests in one answer; Lambda answers with 6 MB at most


def answered(promotion: Promotion, answer: Answer) -> Response[str]:
    """Return how a promotion ended: its document, or a problem document with the tags that it had put before.

    Of one that waits, return the record, and where to read it again.
    """
    if isinstance(answer, Waiting):
        return accepted(promotion, answer.record)
    if isinstance(answer, NotPromoted):
        done = [image(promotion.repository, answer.image_digest, move) for move in answer.moves]
        return refused(answer.error, promotion_id=promotion.promotion_id, images=done)
    return respond(promoted(answer) | ({"undoes": promotion.undoes} if promotion.undoes else {}))


def accepted(promotion: Promotion, record: Record) -> Response[str]:
    """Return what a promotion waits for; if it has waited for as long as it may by now, how it ended."""
    now = waiting.as_of(record, utc_now())
    if ended := documents.not_promoted(now):
        return answered(promotion, ended)
    return respond(documents.document(now), status=202, headers={"Location": f"/promotions/{record.promotion_id}"})


def promoted(answer: Promoted) -> dict[str, Any]:
    """Return the answer's document; each image has PutImage's `image` structure and what became of its tag."""
    images, room = [], MAX_MANIFEST_BYTES
    for move in answer.moves:
        manifest = answer.manifest_of(move)
        text = manifest.body.decode()
        room -= len(json.dumps(json.dumps(text)))  # a body is JSON inside Lambda's JSON
        images.append(
            image(answer.repository, manifest.digest, move)
            | ({"imageManifest": text} if text and room >= 0 else {})
            | {"imageManifestMediaType": manifest.media_type}
        )
    return {
        "promotionId": answer.promotion_id,
        "outcome": answer.outcome,
        "rule": answer.rule,
        "images": images,
    }


def image(repository: Repository, digest: str | None, move: TagMove) -> dict[str, Any]:
    """Return one tag's entry, without the manifest; `digest` is the promotion's own image."""
    return {
        "registryId": repository.registry_id,
        "repositoryName": repository.name,
        "imageId": {"imageDigest": move.image_digest or digest, "imageTag": move.image_tag},
        "outcome": move.outcome,
        "previousDigest": move.previous_digest,
    }


def frozen(each: Freeze) -> dict[str, Any]:
    """Return a freeze's document."""
    return {
        "repositories": each.repositories[0] if each.repositories else "*",
        "rule": each.rules[0] if each.rules else "*",
        "reason": each.reason,
        "by": each.by,
        "since": each.start.isoformat(),
        "until": each.end.isoformat() if each.end else None,
    }


def compared(found: Sequence[tuple[Head, Found]]) -> list[dict[str, Any]]:
    """Return the documents of heads, each with where the registry has its tag."""
    return [_compared(head, answer) for head, answer in found]


def _compared(head: Head, answer: Found) -> dict[str, Any]:
    digest = answer.digest if isinstance(answer, Manifest) else None
    return {
        "imageTag": head.image_tag,
        "imageDigest": head.image_digest,
        "registryDigest": digest,
        "drift": None if isinstance(answer, Unreadable) else digest != head.image_digest,
        "promotionId": head.promotion_id,
        "movedAt": head.moved_at.isoformat(),
        **({"unreadable": answer.reason} if isinstance(answer, Unreadable) else {}),
    }


def page(name: str, entries: Sequence[Mapping[str, Any]], next_token: str | None) -> dict[str, Any]:
    """Return a page of a list, with the token that asks for the next page, where there is one."""
    return {name: entries} | ({"nextToken": next_token} if next_token else {})


def reconciled(done: Reconciled) -> dict[str, Any]:
    """Return what a run of reconcile did."""
    return {
        "settled": list(done.settled),
        "finished": done.finished,
        "waiting": done.waiting,
        "drifted": [drift.document(head) for head in done.drifted],
        "failures": list(done.failures),
    }


def refused(
    error: PromoterError, *, promotion_id: str | None, images: Sequence[Mapping[str, Any]] = ()
) -> Response[str]:
    """Return an error as a problem document (RFC 9457); `images` are the tags put before it happened."""
    document = {
        "type": f"urn:ecr-promoter:{error.code}",
        "title": error.title,
        "status": error.http_status,
        "detail": documents.cut(error.detail, documents.MOST_DETAIL),
        "code": error.code,
    }
    reasons = [documents.reason(each) for each in error.reasons]
    extension = {"promotionId": promotion_id, "field": error.field, "reasons": reasons, "images": images}
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
    return respond(
        document | {name: value for name, value in extension.items() if value},
        status=error.http_status,
        content_type=PROBLEM,
        headers=headers,
    )


def respond(
    document: Mapping[str, Any],
    *,
    status: int = 200,
    content_type: str = JSON,
    headers: Mapping[str, str] | None = None,
) -> Response[str]:
    """Return a JSON response that no cache keeps."""
    return Response(
        status_code=status,
        content_type=content_type,
        body=json.dumps(document),
        headers={"Cache-Control": "no-store", **(headers or {})},
    )
