"""The shapes of the answers. The function does not load them: tests hold its real answers to them.

A member that does not apply is left out of an answer, and has UNSET here.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from promoter.domain.model import Outcome, Trigger
from promoter.entrypoints.http.schemas.members import Digest, RegistryId, RepositoryName, Tag

Moment = Annotated[datetime, Meta(tz=True)]


class ImageId(Struct, forbid_unknown_fields=True, rename="camel"):
    """An image by its digest, and the tag that it has. The digest is `null` only where it was not found out."""

    image_digest: Digest | None
    image_tag: Tag


class Image(Struct, forbid_unknown_fields=True, rename="camel"):
    """One tag: PutImage's `image`, and what became of the tag."""

    registry_id: RegistryId
    repository_name: RepositoryName
    image_id: ImageId
    outcome: Literal["PROMOTED", "UNCHANGED", "PLANNED"]
    previous_digest: Digest | None
    image_manifest: str | UnsetType = UNSET
    image_manifest_media_type: str | UnsetType = UNSET


class Promotion(Struct, forbid_unknown_fields=True, rename="camel"):
    """A promotion that was carried out, was done already, or would be done."""

    promotion_id: str
    outcome: Literal["PROMOTED", "UNCHANGED", "PLANNED"]
    rule: str
    images: list[Image]
    undoes: str | UnsetType = UNSET


class SourceId(Struct, forbid_unknown_fields=True, rename="camel"):
    """What was asked for: a tag, a digest or both; neither for a manifest that came with the request."""

    image_tag: str | UnsetType = UNSET
    image_digest: str | UnsetType = UNSET


class RecordedImage(Struct, forbid_unknown_fields=True, rename="camel"):
    """What became of one tag, or will: `PLANNED`. `imageDigest` is there where it is not the promotion's own."""

    image_tag: Tag
    outcome: Literal["PROMOTED", "UNCHANGED", "PLANNED"]
    previous_digest: Digest | None
    image_digest: Digest | UnsetType = UNSET


class Override(Struct, forbid_unknown_fields=True, rename="camel"):
    """Why an operator rolled back under a freeze, or without the promotion's rule."""

    reason: str


class Reason(Struct, forbid_unknown_fields=True, rename="camel"):
    """Why a promotion was refused: `detail` for people, the rest for programs."""

    code: str
    detail: str
    rule: str | UnsetType = UNSET
    platform: str | UnsetType = UNSET
    image_digest: str | UnsetType = UNSET
    vulnerability: str | UnsetType = UNSET
    package: str | UnsetType = UNSET
    severity: str | UnsetType = UNSET
    fixed_in: str | UnsetType = UNSET


class Record(Struct, forbid_unknown_fields=True, rename="camel"):
    """What is recorded of a promotion. Without `outcome` it is still running; with `WAITING` it has not ended."""

    promotion_id: str
    trigger: Trigger
    registry_id: RegistryId
    repository_name: RepositoryName
    asked_at: Moment
    outcome: Outcome | UnsetType = UNSET
    rule: str | UnsetType = UNSET
    caller: str | UnsetType = UNSET
    undoes: str | UnsetType = UNSET
    undone: dict[str, Digest] | UnsetType = UNSET
    override: Override | UnsetType = UNSET
    source: SourceId | UnsetType = UNSET
    image_digest: Digest | UnsetType = UNSET
    image_manifest_media_type: str | UnsetType = UNSET
    image_tags: list[Tag] | UnsetType = UNSET
    images: list[RecordedImage] | UnsetType = UNSET
    code: str | UnsetType = UNSET
    detail: str | UnsetType = UNSET
    reasons: list[Reason] | UnsetType = UNSET
    waiting_for: list[str] | UnsetType = UNSET
    waits_until: Moment | UnsetType = UNSET
    ended_at: Moment | UnsetType = UNSET


class ListedPromotion(Struct, forbid_unknown_fields=True, rename="camel"):
    """What a list shows of a promotion; the rest is in its record. One that waits has no `endedAt`."""

    promotion_id: str
    outcome: Outcome
    trigger: Trigger
    registry_id: RegistryId
    repository_name: RepositoryName
    ended_at: Moment | UnsetType = UNSET
    rule: str | UnsetType = UNSET
    caller: str | UnsetType = UNSET
    undoes: str | UnsetType = UNSET
    source: SourceId | UnsetType = UNSET
    image_digest: Digest | UnsetType = UNSET
    images: list[RecordedImage] | UnsetType = UNSET
    code: str | UnsetType = UNSET
    asked_at: Moment | UnsetType = UNSET
    waiting_for: list[str] | UnsetType = UNSET
    waits_until: Moment | UnsetType = UNSET


class Promotions(Struct, forbid_unknown_fields=True, rename="camel"):
    """A page of promotions, those that ended newest first. With `nextToken` there are more."""

    promotions: list[ListedPromotion]
    next_token: str | UnsetType = UNSET


class Head(Struct, forbid_unknown_fields=True, rename="camel"):
    """Where the ledger has a tag, and where the registry has it."""

    image_tag: Tag
    image_digest: Digest
    registry_digest: Digest | None
    drift: bool | None
    promotion_id: str
    moved_at: Moment
    unreadable: str | UnsetType = UNSET


class Heads(Struct, forbid_unknown_fields=True, rename="camel"):
    """A page of tags. With `nextToken` there are more."""

    heads: list[Head]
    next_token: str | UnsetType = UNSET


class Freeze(Struct, forbid_unknown_fields=True, rename="camel"):
    """A freeze that somebody set. `until` is `null` where it holds until somebody lifts it."""

    repositories: str
    rule: str
    reason: str
    by: str | None
    since: Moment
    until: Moment | None


class Freezes(Struct, forbid_unknown_fields=True, rename="camel"):
    """All freezes that somebody set and that have not ended."""

    freezes: list[Freeze]


class Lifted(Struct, forbid_unknown_fields=True, rename="camel"):
    """Whether there was such a freeze."""

    lifted: bool


class Drifted(Struct, forbid_unknown_fields=True, rename="camel"):
    """A tag that is elsewhere than the ledger has it; `registryDigest` is `null` where it is gone."""

    registry_id: RegistryId
    repository_name: RepositoryName
    image_tag: Tag
    recorded_digest: Digest
    registry_digest: Digest | None
    promotion_id: str


class Reconciled(Struct, forbid_unknown_fields=True, rename="camel"):
    """What a run of reconcile did."""

    settled: list[str]
    finished: int
    waiting: int
    drifted: list[Drifted]
    failures: list[str]


class Problem(Struct, forbid_unknown_fields=True, rename="camel"):
    """A problem document (RFC 9457). Let programs decide by `code`."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    promotion_id: str | UnsetType = UNSET
    field: str | UnsetType = UNSET
    reasons: list[Reason] | UnsetType = UNSET
    images: list[Image] | UnsetType = UNSET


class GatewayMessage(Struct, rename="camel"):
    """What API Gateway itself answers. It has no `code`."""

    message: str | None
