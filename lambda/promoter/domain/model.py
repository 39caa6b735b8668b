"""The values of the service, frozen; nothing here knows AWS, HTTP or JSON."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum


class Trigger(StrEnum):
    """What asks for a promotion; a rule serves one of the two."""

    SCAN = "scan"
    REQUEST = "request"


class Outcome(StrEnum):
    """How a promotion ended. These words are part of the API and never change."""

    PROMOTED = "PROMOTED"
    UNCHANGED = "UNCHANGED"
    PLANNED = "PLANNED"
    REFUSED = "REFUSED"
    FAILED = "FAILED"


@dataclass(frozen=True)
class Reason:
    """Why a promotion is refused: `sentence` for people, the rest for programs; None where it does not apply."""

    code: str
    sentence: str
    rule: str | None = None
    platform: str | None = None
    image_digest: str | None = None
    vulnerability: str | None = None
    package: str | None = None
    severity: str | None = None
    fixed_in: str | None = None


@dataclass(frozen=True)
class Repository:
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


@dataclass(frozen=True)
class Unreadable:
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


@dataclass(frozen=True)
class Promotion:
    """A request to put tags on a source image.

    `image_tags` is None where the rule decides. `expected_digests` holds, by target tag, the digest that
    the tag must have now; None: the tag must not exist. `caller` is the caller's ARN, None for a scan.
    `rule` names the one rule that may apply, where that is known already. `asked_at` is when the scan finished or
    the request came in, with a time zone. `fingerprint` tells one request from another under the same
    promotionId.

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


@dataclass(frozen=True)
class Finding:
    """One vulnerability that a scanner sees in an image, in one package or several.

    `fixable` is None where the scanner does not say; `fixed_in` and `first_observed_at` likewise.
    """

    id: str
    severity: str
    packages: tuple[str, ...]
    fixed_in: str | None = None
    first_observed_at: datetime | None = None
    fixable: bool | None = None

    @property
    def package(self) -> str:
        """The packages as people read them: the first five, and how many more there are."""
        more = f" and {len(self.packages) - 5} more" if len(self.packages) > 5 else ""
        return ", ".join(self.packages[:5]) + more


@dataclass(frozen=True)
class Scan:
    """What the registry knows of the vulnerabilities in one image; `status` is ECR's ScanStatus, None: no scan.

    `completed_at` is when the last scan ended, None where none has.
    """

    status: str | None
    findings: tuple[Finding, ...] = ()
    completed_at: datetime | None = None


@dataclass(frozen=True)
class Subject:
    """One image that has to pass the gate: the source itself, or one platform of an index.

    `pushed_at` is known only where there is no scan and the image is in the repository.
    """

    image_digest: str
    platform: str
    scan: Scan
    pushed_at: datetime | None = None


@dataclass(frozen=True)
class Evidence:
    """All that a gate judges; what the gate does not ask for is None.

    `pushed_at` is the source's own. `reached_at` is when the ledger saw the image reach the source tag, where
    it did.
    """

    subjects: tuple[Subject, ...] | None = None
    signed: bool | None = None
    pushed_at: datetime | None = None
    reached_at: datetime | None = None


@dataclass(frozen=True)
class Record:
    """One promotion as the ledger keeps it: the request and its answer.

    While the promotion is under way `outcome` is None and the `moves` are PLANNED. `code`, `detail` and
    `reasons` are those of the error that ended it. For a rollback, `undone` is the digest that each tag is taken
    back from, and `override` the reason of an operator who overrode a freeze or a missing rule.
    """

    promotion_id: str
    trigger: Trigger
    repository: Repository
    source: ImageId
    asked_at: datetime
    rule: str | None = None
    caller: str | None = None
    undoes: str | None = None
    undone: Mapping[str, str | None] = field(default_factory=dict)
    override: str | None = None
    fingerprint: str = ""
    image_digest: str | None = None
    media_type: str | None = None
    image_tags: tuple[str, ...] = ()
    moves: tuple[TagMove, ...] = ()
    outcome: Outcome | None = None
    code: str | None = None
    detail: str | None = None
    reasons: tuple[Reason, ...] = ()
    ended_at: datetime | None = None

    def digest_of(self, move: TagMove) -> str:
        """Return the digest of the image that a move of this promotion puts its tag on."""
        return move.image_digest or self.image_digest or ""


@dataclass(frozen=True)
class Lease:
    """The exclusive right to move some tags of a repository until a time; `token` identifies it."""

    token: str
    record: Record
    until: datetime

    @property
    def planned(self) -> Mapping[str, TagMove]:
        """The tags that are held, with the move that is intended for each."""
        return {move.image_tag: move for move in self.record.moves if move.outcome is Outcome.PLANNED}

    def without(self, image_tags: Collection[str]) -> Lease:
        """Return the lease of the other tags."""
        left = tuple(move for move in self.record.moves if move.image_tag not in image_tags)
        return replace(self, record=replace(self.record, moves=left))


GONE = "none"
"""The `drift` of a tag that the registry no longer has."""


@dataclass(frozen=True)
class Head:
    """Where the ledger has a tag, since when, by which promotion.

    `drift` is the digest where `reconcile` found it instead, or GONE. `moving`: the tag was moved from one image
    to another at least once; other tags were put once. `undoes` is the promotion that was taken back by this one.
    """

    repository: Repository
    image_tag: str
    image_digest: str
    promotion_id: str
    moved_at: datetime
    drift: str | None = None
    undoes: str | None = None
    moving: bool = False


class Rota(StrEnum):
    """Which heads are compared with the registry together: those of tags that move, and those of tags put once."""

    MOVING = "heads"
    ONCE = "heads-once"


@dataclass(frozen=True)
class Round:
    """How far the heads of a rota are compared: in the round that began at `began`, up to and including `after`.

    `after` is a key; None between two rounds. `whole` is when the last complete round began: since then every head
    of the rota was compared.
    """

    after: str | None = None
    began: datetime | None = None
    whole: datetime | None = None


@dataclass(frozen=True)
class DeferredPromotion:
    """A promotion by event that waits: the pinned tag `waiting` for the scan of the manifest `image_digest`."""

    repository: Repository
    image_digest: str
    waiting: ImageId
