"""Events of scanners and of ECR -> promotions. Read tolerantly; an event is a trigger, never a proof."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from promoter.domain import documents
from promoter.domain.decision import by_rule
from promoter.domain.errors import NotAllowed
from promoter.domain.manifest import is_stored
from promoter.domain.model import ImageId, Promotion, Repository, Source, Trigger
from promoter.domain.names import SERVICE
from promoter.domain.policy import Policy
from promoter.domain.records import WakeUp

# Amazon ECR user guide, "Amazon ECR events and EventBridge"; Amazon Inspector user guide, "EventBridge schema".
FINISHED = {
    ("aws.ecr", "ECR Image Scan"): "COMPLETE",
    ("aws.inspector2", "Inspector2 Scan"): "INITIAL_SCAN_COMPLETE",
}
PUSHED, REFERRED = ("aws.ecr", "ECR Image Action"), ("aws.ecr", "ECR Referrer Action")
REST = (SERVICE, "Rest of Image Event")
"""Our own event: the sources of an event for which an invocation had no time. It names them one by one."""

SIGNATURE = re.compile(r"sha256-([0-9a-f]{64})\.sig")
"""The tag of a cosign signature, by the digest of what it signs (cosign, "Signature Spec")."""

MOST_SOURCES = 500  # sources of a message, of 450 bytes each: every SQS queue takes messages of 256 KB
PROMOTIONS = uuid.UUID("8f3c8c0e-6d0b-5a54-9c7e-4b8b6f0f2a11")
"""The namespace in which an event, a source tag and a rule make a promotionId, the same at every delivery."""


class Rest(NamedTuple):
    """What is left of an event: sources of promotions, and promotions that it wakes."""

    sources: tuple[ImageId, ...] = ()
    promotion_ids: tuple[str, ...] = ()


class ImageEvent(NamedTuple):
    """A finished scan, a push by tag, or a new referrer: of which image, with which tags at the time, and when.

    `wakes` is the image whose waiting promotions the event wakes. A referrer's event names only the referrer; its
    manifest says which image that is. `rest` is what is left of an event that an earlier invocation began; None:
    none has begun it.
    """

    event_id: str
    repository: Repository
    image_digest: str
    image_tags: tuple[str, ...]
    happened_at: datetime
    is_scan: bool
    is_referrer: bool = False
    wakes: str | None = None
    rest: Rest | None = None

    @property
    def sources(self) -> tuple[ImageId, ...]:
        """The images that the event itself is about: pinned tags, or the digest alone."""
        if self.rest is not None:
            return self.rest.sources
        if self.is_referrer:
            return ()
        tags = self.image_tags or (None,)
        return tuple(dict.fromkeys(ImageId(tag, self.image_digest) for tag in tags))


@dataclass(frozen=True)
class Ignored:
    """An event that asks for nothing, and why."""

    reason: str


def read(event: Mapping[str, Any], *, registry_id: str, region: str) -> ImageEvent | Ignored:
    """Read one EventBridge event of ECR or Inspector. What is neither a scan nor a push by tag is Ignored.

    An event of another account or Region than `registry_id` and `region`, where the function's images are, is
    Ignored too.
    """
    kind, detail = (event.get("source"), event.get("detail-type")), event.get("detail")
    if not isinstance(detail, Mapping) or (kind not in FINISHED and kind not in (PUSHED, REFERRED, REST)):
        return Ignored(f"{kind[1]} of {kind[0]} is not a finished image scan and not a push")
    if objection := _objection(kind, detail):
        return Ignored(objection)
    named, digest = detail.get("repository-name"), detail.get("image-digest")
    if not isinstance(named, str) or not named:
        return Ignored("the scan is not of an image in Amazon ECR")
    if not isinstance(digest, str) or not is_stored(digest):
        return Ignored(f"image-digest {digest} is not a sha256 digest")
    name, place = _place(named)
    for account, where in ((event.get("account"), event.get("region")), place or (registry_id, region)):
        if (account, where) != (registry_id, region):
            return Ignored(
                f"the image is in {account}, {where}: only images in {registry_id}, {region} are promoted"
            )
    tags = detail.get("image-tags") or [] if kind in FINISHED else [detail.get("image-tag")]
    return ImageEvent(
        event_id=str(event.get("id", "")),
        repository=Repository(registry_id, name),
        image_digest=digest,
        image_tags=tuple(tag for tag in tags if isinstance(tag, str) and tag),
        happened_at=_time(event.get("time")),
        is_scan=bool(detail.get("is-scan")) if kind == REST else kind in FINISHED,
        is_referrer=kind == REFERRED,
        wakes=detail.get("wakes") if kind == REST else _woken(kind, digest, tags),
        rest=Rest(tuple(_sources(detail)), tuple(detail.get("promotions", ()))) if kind == REST else None,
    )


def with_task(rest: Rest, task: WakeUp | list[Promotion]) -> Rest:
    """Return what is left together with a promotion that an event wakes, or with the promotions of a source."""
    if isinstance(task, WakeUp):
        return rest._replace(promotion_ids=tuple(dict.fromkeys([*rest.promotion_ids, task.promotion_id])))
    return rest._replace(sources=tuple(dict.fromkeys([*rest.sources, task[0].source.image_id])))


def rest_of(event: ImageEvent, rest: Rest, *, region: str) -> Iterator[str]:
    """Yield messages that ask for what is left of an event; `read` reads them.

    They have the event's id and time, so that a promotion has the same id whichever message asks for it.
    """
    for start in range(0, max(map(len, rest)), MOST_SOURCES):
        end = start + MOST_SOURCES
        left = Rest(rest.sources[start:end], rest.promotion_ids[start:end])
        yield json.dumps(
            {
                "version": "0",
                "id": event.event_id,
                "source": REST[0],
                "detail-type": REST[1],
                "account": event.repository.registry_id,
                "region": region,
                "time": event.happened_at.isoformat(),
                "detail": {
                    "repository-name": event.repository.name,
                    "image-digest": event.image_digest,
                    "is-scan": event.is_scan,
                    "wakes": event.wakes,
                    "sources": [
                        {"imageTag": each.image_tag, "imageDigest": each.image_digest} for each in left.sources
                    ],
                    "promotions": list(left.promotion_ids),
                },
            }
        )


def promotions(event: ImageEvent, policy: Policy) -> tuple[Promotion, ...] | Ignored:
    """Return one promotion for each tag and each rule that serves it, pinned to the event's digest."""
    reasons: list[str] = []
    found = tuple(_promotions(event, event.sources, policy, reasons))
    if found:
        return found
    tags = ", ".join(source.image_tag for source in event.sources if source.image_tag) or "no tag"
    reason = f"no scan rule serves {event.repository.name} with {tags}: {'; '.join(dict.fromkeys(reasons))}"
    return Ignored(f"{documents.cut(reason, documents.MOST_DETAIL)}")


def _objection(kind: tuple[Any, Any], detail: Mapping[str, Any]) -> str | None:
    if kind == REST:
        return None
    if kind in FINISHED:
        status = detail.get("scan-status")
        return None if status == FINISHED[kind] else f"scan-status is {status}, not {FINISHED[kind]}"
    action, result = detail.get("action-type"), detail.get("result")
    if (action, result) != ("PUSH", "SUCCESS"):
        return f"action-type is {action} and result {result}, not PUSH and SUCCESS"
    return None if detail.get("image-tag") or kind == REFERRED else "pushed without a tag"


def _promotions(
    event: ImageEvent, sources: Sequence[ImageId], policy: Policy, reasons: list[str]
) -> Iterator[Promotion]:
    for source in sources:
        promotion = Promotion(
            promotion_id="",
            trigger=Trigger.SCAN,
            repository=event.repository,
            source=Source(source),
            asked_at=event.happened_at,
        )
        try:
            asked = tuple(by_rule(promotion, policy))
        except NotAllowed as refusal:
            reasons += [reason.sentence for reason in refusal.reasons] or [refusal.detail]
            continue
        for each in asked:
            name = f"{event.event_id}/{source.image_tag or ''}/{source.image_digest}/{each.rule}"
            yield replace(each, promotion_id=str(uuid.uuid5(PROMOTIONS, name)))


def _place(name_or_arn: str) -> tuple[str, tuple[str, str] | None]:
    """Return a repository's name, and its account and Region where they are in it.

    Inspector names the repository by ARN, ECR by name; names contain slashes, never colons.
    """
    head, arn, name = name_or_arn.partition(":repository/")
    if not arn or head.count(":") != 4:
        return name_or_arn, None
    *_, region, account = head.split(":")
    return name, (account, region)


def _woken(kind: tuple[Any, Any], image_digest: str, image_tags: Sequence[Any]) -> str | None:
    """Return the image whose waiting promotions an event wakes: that of the scan, or that of the signature."""
    if kind in FINISHED:
        return image_digest
    signature = SIGNATURE.fullmatch(f"{image_tags[0]}") if image_tags else None
    return f"sha256:{signature[1]}" if signature else None


def _sources(detail: Mapping[str, Any]) -> Iterator[ImageId]:
    for each in detail.get("sources") or []:
        yield ImageId(each.get("imageTag"), each["imageDigest"])


def _time(text: object) -> datetime:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return datetime.now(UTC)
