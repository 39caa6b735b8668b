"""The values of the service, frozen; nothing here knows AWS, HTTP or JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple


class Trigger(StrEnum):
    """What asks for a promotion; a rule serves one of the two."""

    SCAN = "scan"
    REQUEST = "request"


class Outcome(StrEnum):
    """How a promotion ended; WAITING: it has not, and nobody has to ask again.

    These words are part of the API and never change.
    """

    PROMOTED = "PROMOTED"
    UNCHANGED = "UNCHANGED"
    PLANNED = "PLANNED"
    REFUSED = "REFUSED"
    FAILED = "FAILED"
    WAITING = "WAITING"


@dataclass(frozen=True)
class Reason:
    """Why a promotion is refused: `sentence` for people, the rest for programs; None where it does not apply.

    `ends_at` is when it no longer is one, where that is known.
    """

    code: str
    sentence: str
    rule: str | None = None
    platform: str | None = None
    image_digest: str | None = None
    vulnerability: str | None = None
    package: str | None = None
    severity: str | None = None
    fixed_in: str | None = None
    ends_at: datetime | None = field(default=None, compare=False)


class Repository(NamedTuple):
    """An ECR repository: `registry_id` is the 12-digit account that owns it."""

    registry_id: str
    name: str


@dataclass(frozen=True)
class ImageId:
    """How an image is asked for: by tag, by digest, or by both, which pins the tag to the digest."""

    image_tag: str | None = None
    image_digest: str | None = None

    def __str__(self) -> str:
        return " at ".join(part for part in (self.image_tag, self.image_digest) if part)


@dataclass(frozen=True)
class Manifest:
    """A manifest: exactly the registry's bytes, their media type, and their verified digest."""

    body: bytes = field(repr=False)
    media_type: str
    digest: str


class Unreadable(NamedTuple):
    """The registry has something under an id but cannot read it now; `reason` is the registry's own."""

    reason: str


@dataclass(frozen=True)
class Source:
    """What to promote: an image of the registry, or a manifest that the caller brought along."""

    image_id: ImageId = ImageId()
    manifest: Manifest | None = None

    @property
    def image_digest(self) -> str | None:
        """The digest, where it is known before the registry is asked."""
        return self.manifest.digest if self.manifest else self.image_id.image_digest


class Seen(NamedTuple):
    """Where a target tag was when a promotion was accepted.

    `image_digest` is the registry's (None: the tag did not exist), `version` counts the ledger's moves of it.
    `holder` is the promotion that was moving it at the time.
    """

    image_digest: str | None
    version: int
    holder: str | None = None


class Wait(NamedTuple):
    """How long a promotion waits, and what holds until then.

    `seen` is where the target tags of a request were when it was accepted: if one has moved since, a newer
    promotion has come before it. None: it is not accepted yet, or it is by event. `expected_digests` are those of
    the request. `reached_at` is when the image had reached its source tag, as far as a gate has asked for that.
    `leases` counts how often it has had to wait again after it had its tags.
    """

    until: datetime
    seen: Mapping[str, Seen] | None = None
    expected_digests: Mapping[str, str | None] = {}
    reached_at: datetime | None = None
    leases: int = 0


@dataclass(frozen=True)
class Promotion:
    """A request to put tags on a source image.

    `image_tags` is None where the rule decides. `expected_digests` holds, by target tag, the digest that
    the tag must have now; None: the tag must not exist. `caller` is the caller's ARN, None for a scan.
    `rule` names the one rule that may apply, where that is known already. `asked_at` is when the scan finished or
    the request came in, with a time zone. `fingerprint` tells one request from another under the same
    promotionId. `wait` is how long it may wait; a promotion by event always may.

    A rollback has more: `undoes` is the promotionId that it takes back, `images` the digest for each tag, as tags
    may go back to different images (`source` is then one of them). `override` is an operator's reason to roll back
    under a freeze, or without the rule.
    """

    promotion_id: str
    trigger: Trigger
    repository: Repository
    source: Source
    image_tags: tuple[str, ...] | None = None
    expected_digests: Mapping[str, str | None] = field(default_factory=dict)
    dry_run: bool = False
    caller: str | None = None
    rule: str | None = None
    asked_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    fingerprint: str = ""
    undoes: str | None = None
    images: Mapping[str, str] = field(default_factory=dict)
    override: str | None = None
    wait: Wait | None = None

    @property
    def may_wait(self) -> bool:
        """Whether it waits for what passes with time, instead of ending with an error."""
        return self.trigger is Trigger.SCAN or self.wait is not None

    @property
    def is_pinned(self) -> bool:
        """Whether the source is the digest that was accepted, wherever the source tag is now."""
        return self.wait is not None and self.wait.seen is not None

    @property
    def is_override(self) -> bool:
        """Whether an operator takes something back under a freeze, or without the rule; only rollbacks do."""
        return self.undoes is not None and self.override is not None


@dataclass(frozen=True)
class TagMove:
    """One target tag: what happened to it, and where it pointed before (None: it did not exist).

    `image_digest` is the image that the tag was put on, where that is not the promotion's own.
    """

    image_tag: str
    outcome: Outcome
    previous_digest: str | None
    image_digest: str | None = None


@dataclass(frozen=True)
class Promoted:
    """A promotion that was carried out, planned, or found already done.

    `repeated`: this is the recorded answer of an earlier call. `others` are the manifests, by digest, of moves
    that name an image of their own.
    """

    promotion_id: str
    rule: str
    repository: Repository
    manifest: Manifest
    moves: tuple[TagMove, ...]
    repeated: bool = False
    others: Mapping[str, Manifest] = field(default_factory=dict)

    def manifest_of(self, move: TagMove) -> Manifest:
        """Return the manifest that a tag of this promotion was put on."""
        return self.others[move.image_digest] if move.image_digest else self.manifest

    @property
    def outcome(self) -> Outcome:
        """PROMOTED or PLANNED as soon as one tag is; UNCHANGED when no tag had to move."""
        changed = (move.outcome for move in self.moves if move.outcome is not Outcome.UNCHANGED)
        return next(changed, Outcome.UNCHANGED)
