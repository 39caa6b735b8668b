"""Scan events -> wishes. What AWS sends is read tolerantly; an event is a trigger, never a proof."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from promoter.errors import NotAllowed
from promoter.model import ImageId, Promotion, Repository, Source, Trigger
from promoter.policy import Policy

# Amazon ECR user guide, "Amazon ECR events and EventBridge"; Amazon Inspector user guide, "EventBridge schema".
FINISHED = {
    ("aws.ecr", "ECR Image Scan"): "COMPLETE",
    ("aws.inspector2", "Inspector2 Scan"): "INITIAL_SCAN_COMPLETE",
}
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
PROMOTIONS = uuid.UUID("8f3c8c0e-6d0b-5a54-9c7e-4b8b6f0f2a11")
"""The namespace in which an event, a source tag and a rule make a promotionId, the same at every delivery."""


@dataclass(frozen=True, slots=True)
class Scan:
    """A finished scan: the image, the tags it had then, and when."""

    event_id: str
    repository: Repository
    image_digest: str
    image_tags: tuple[str, ...]
    finished_at: datetime


@dataclass(frozen=True, slots=True)
class Ignored:
    """An event that asks for nothing, and why."""

    reason: str


def read(event: Mapping[str, Any]) -> Scan | Ignored:
    """Read one EventBridge event of either scanner; whatever else arrives is Ignored."""
    kind = (event.get("source"), event.get("detail-type"))
    detail = event.get("detail")
    if kind not in FINISHED or not isinstance(detail, Mapping):
        return Ignored(f"{kind[1]} of {kind[0]} is no finished image scan")
    if detail.get("scan-status") != FINISHED[kind]:
        return Ignored(f"scan-status is {detail.get('scan-status')}, not {FINISHED[kind]}")
    name, digest = detail.get("repository-name"), detail.get("image-digest")
    if not isinstance(name, str) or not name:
        return Ignored("the scan is not of an image in Amazon ECR")
    if not isinstance(digest, str) or not DIGEST.fullmatch(digest):
        return Ignored(f"image-digest {digest} is no sha256 digest")
    return Scan(
        event_id=str(event.get("id", "")),
        repository=_repository(name, account=str(event.get("account", ""))),
        image_digest=digest,
        image_tags=tuple(tag for tag in detail.get("image-tags") or () if isinstance(tag, str) and tag),
        finished_at=_time(event.get("time")),
    )


def wishes(scan: Scan, policy: Policy) -> tuple[Promotion, ...] | Ignored:
    """Return one wish for each of the scan's tags and each rule that serves it, pinned to the scanned digest."""
    reasons: list[str] = []
    found = tuple(_wishes(scan, policy, reasons))
    if found:
        return found
    tags = ", ".join(scan.image_tags) or "no tag"
    return Ignored(f"no scan rule serves {scan.repository.name} with {tags}: {'; '.join(dict.fromkeys(reasons))}")


def _wishes(scan: Scan, policy: Policy, reasons: list[str]) -> Iterator[Promotion]:
    for tag in scan.image_tags or (None,):
        wish = Promotion(
            promotion_id="",
            trigger=Trigger.SCAN,
            repository=scan.repository,
            source=Source(ImageId(tag, scan.image_digest)),
            asked_at=scan.finished_at,
        )
        try:
            rules = policy.serving(wish)
        except NotAllowed as refusal:
            reasons += refusal.reasons or (refusal.detail,)
            continue
        for rule in rules:
            name = f"{scan.event_id}/{tag or ''}/{rule.name}"
            yield replace(wish, promotion_id=str(uuid.uuid5(PROMOTIONS, name)), rule=rule.name)


def _repository(name_or_arn: str, *, account: str) -> Repository:
    """Inspector names the repository by ARN, ECR by name; names contain slashes, never colons."""
    head, arn, name = name_or_arn.partition(":repository/")
    return (
        Repository(head.split(":")[4], name) if arn and head.count(":") == 4 else Repository(account, name_or_arn)
    )


def _time(text: object) -> datetime:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return datetime.now(UTC)
