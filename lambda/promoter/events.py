"""Events of scanners and of ECR -> wishes. Read tolerantly; an event is a trigger, never a proof."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from promoter.errors import NotAllowed
from promoter.model import ImageId, Promotion, Repository, Source, Trigger, Watch
from promoter.policy import Policy

# Amazon ECR user guide, "Amazon ECR events and EventBridge"; Amazon Inspector user guide, "EventBridge schema".
FINISHED = {
    ("aws.ecr", "ECR Image Scan"): "COMPLETE",
    ("aws.inspector2", "Inspector2 Scan"): "INITIAL_SCAN_COMPLETE",
}
PUSHED = ("aws.ecr", "ECR Image Action")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
PROMOTIONS = uuid.UUID("8f3c8c0e-6d0b-5a54-9c7e-4b8b6f0f2a11")
"""The namespace in which an event, a source tag and a rule make a promotionId, the same at every delivery."""


@dataclass(frozen=True)
class ImageEvent:
    """A finished scan, or a push by tag: of which image, with which tags at the time, and when."""

    event_id: str
    repository: Repository
    image_digest: str
    image_tags: tuple[str, ...]
    happened_at: datetime
    is_scan: bool


@dataclass(frozen=True)
class Ignored:
    """An event that asks for nothing, and why."""

    reason: str


def read(event: Mapping[str, Any]) -> ImageEvent | Ignored:
    """Read one EventBridge event of ECR or Inspector; what is neither scan nor push by tag is Ignored."""
    kind, detail = (event.get("source"), event.get("detail-type")), event.get("detail")
    if not isinstance(detail, Mapping) or (kind not in FINISHED and kind != PUSHED):
        return Ignored(f"{kind[1]} of {kind[0]} is no finished image scan and no push")
    if objection := _objection(kind, detail):
        return Ignored(objection)
    name, digest = detail.get("repository-name"), detail.get("image-digest")
    if not isinstance(name, str) or not name:
        return Ignored("the scan is not of an image in Amazon ECR")
    if not isinstance(digest, str) or not DIGEST.fullmatch(digest):
        return Ignored(f"image-digest {digest} is no sha256 digest")
    tags = [detail.get("image-tag")] if kind == PUSHED else detail.get("image-tags") or []
    return ImageEvent(
        event_id=str(event.get("id", "")),
        repository=_repository(name, account=str(event.get("account", ""))),
        image_digest=digest,
        image_tags=tuple(tag for tag in tags if isinstance(tag, str) and tag),
        happened_at=_time(event.get("time")),
        is_scan=kind != PUSHED,
    )


def wishes(
    event: ImageEvent, policy: Policy, *, waiting: Sequence[ImageId] = ()
) -> tuple[Promotion, ...] | Ignored:
    """Return one wish for each tag of the image, or tag that waits for its scan, and each rule that serves it.

    Every wish is pinned to a digest: the event's own, or the one that the waiting tag had.
    """
    sources = [ImageId(tag, event.image_digest) for tag in event.image_tags] or [ImageId(None, event.image_digest)]
    reasons: list[str] = []
    found = tuple(_wishes(event, list(dict.fromkeys([*sources, *waiting])), policy, reasons))
    if found:
        return found
    tags = ", ".join(event.image_tags) or "no tag"
    return Ignored(f"no scan rule serves {event.repository.name} with {tags}: {'; '.join(dict.fromkeys(reasons))}")


def watched(watch: Watch, policy: Policy) -> tuple[Promotion, ...] | Ignored:
    """Return the wishes of a tag whose last event never came, each as a promotion of its own."""
    event = ImageEvent(
        str(uuid.uuid4()), watch.repository, watch.image_digest, (), datetime.now(UTC), is_scan=True
    )
    return wishes(event, policy, waiting=(watch.waiting,))


def _objection(kind: tuple[Any, Any], detail: Mapping[str, Any]) -> str | None:
    if kind != PUSHED:
        status = detail.get("scan-status")
        return None if status == FINISHED[kind] else f"scan-status is {status}, not {FINISHED[kind]}"
    action, result = detail.get("action-type"), detail.get("result")
    if (action, result) != ("PUSH", "SUCCESS"):
        return f"action-type is {action} and result {result}, not PUSH and SUCCESS"
    return None if detail.get("image-tag") else "pushed without a tag"


def _wishes(
    event: ImageEvent, sources: Sequence[ImageId], policy: Policy, reasons: list[str]
) -> Iterator[Promotion]:
    for source in sources:
        wish = Promotion(
            promotion_id="",
            trigger=Trigger.SCAN,
            repository=event.repository,
            source=Source(source),
            asked_at=event.happened_at,
        )
        try:
            rules = policy.serving(wish)
        except NotAllowed as refusal:
            reasons += [reason.sentence for reason in refusal.reasons] or [refusal.detail]
            continue
        for rule in rules:
            name = f"{event.event_id}/{source.image_tag or ''}/{source.image_digest}/{rule.name}"
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
