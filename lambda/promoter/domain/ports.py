"""What the use case needs from outside, by role."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Protocol

from promoter.domain.findings import Scan
from promoter.domain.leasing import Accepted, Begun, Kept, LeaseLost
from promoter.domain.model import ImageId, Manifest, Repository, Unreadable
from promoter.domain.records import Head, Lease, Position, Record, Rota, Round, WakeUp
from promoter.domain.rule import Freeze


class Missing(Enum):
    """Why a registry has no image for an ImageId."""

    NOT_FOUND = auto()
    TAG_IS_ELSEWHERE = auto()  # the tag and the digest exist, but not together


Found = Manifest | Missing | Unreadable
"""What a registry says about one ImageId."""


class Registry(Protocol):
    """Images by tag or digest. Methods raise the Failures of promoter.domain.errors."""

    @property
    def longest_put(self) -> timedelta:
        """The longest that one `put` can take, with all its tries: after it no part of the call is on its way."""

    def read(self, repository: Repository, image_ids: Sequence[ImageId]) -> Mapping[ImageId, Found]:
        """Return an answer for each of up to 100 ids; every manifest is verified against its digest."""

    def put(self, repository: Repository, manifest: Manifest, image_tag: str) -> bool:
        """Put the tag on the manifest; False: it was there already. Raises TagImmutable if it may not move.

        A Failure is `unanswered` where one of the tries may still be carried out.
        """


class ImageFacts(Protocol):
    """What is known of an image beside its bytes. Methods raise the Failures of promoter.domain.errors."""

    def scan(self, repository: Repository, image_digest: str) -> Scan:
        """Return what the last scan of this one manifest found; called from several threads."""

    def signed(self, repository: Repository, image_digest: str, profiles: Sequence[str] = ()) -> bool:
        """Say whether a signature refers to the digest: that it exists, not that it verifies.

        With `profiles`, ARNs of AWS Signer, only ECR managed signing by one of them counts.
        """

    def pushed(self, repository: Repository, image_digests: Sequence[str]) -> Mapping[str, datetime]:
        """Return when each image was pushed, where that is known. Raises SourceNotFound if one is not there."""


class WakeUps(Protocol):
    """Remembers which waiting promotion the next event of which image wakes: one item for each image."""

    def add(
        self, repository: Repository, promotion_id: str, image_digests: Sequence[str], until: datetime
    ) -> bool:
        """Remember until then that the events of these images wake the promotion; say whether any of it is new."""

    def of(self, repository: Repository, image_digest: str) -> Sequence[WakeUp]:
        """Return the promotions that an event of this image wakes, or has woken in the last days."""

    def beside(self, wake_up: WakeUp) -> tuple[str, ...]:
        """Return which of its `others` would still wake the same promotion."""

    def mark_served(self, wake_up: WakeUp) -> None:
        """Note that it has woken its promotion, for events that are delivered again."""


class WaitingPromotions(Protocol):
    """The promotions that wait. Methods raise LedgerError where the ledger cannot be asked."""

    def accept(
        self, record: Record, manifest: Manifest | None, next_try: datetime, after: Record | None = None
    ) -> Accepted:
        """Record that the promotion waits, with the manifest that came with it, as the newest for its tags.

        `after` is as in `Ledger.begin`. Raises IdempotencyConflict.
        """

    def promotion(self, promotion_id: str) -> Record | None:
        """Return a promotion that waits; None: it ended, is under way, or is not known."""

    def manifest(self, promotion_id: str) -> Manifest | None:
        """Return the manifest that came with a promotion that waits."""

    def keep(self, record: Record, manifest: Manifest) -> None:
        """Keep the manifest that came with a promotion that is to wait again, and was not accepted before."""

    def overtaken(self, record: Record) -> tuple[str, ...]:
        """Return the target tags of a request for which a newer request by the same rule waits, or has waited."""

    def update(self, before: Record, record: Record, next_try: datetime) -> bool:
        """Record what it waits for now; False: it was changed or ended since `before` was read."""

    def due(self, now: datetime) -> Iterator[str]:
        """Yield those whose next try is due, the longest ago first."""


class Ledger(Protocol):
    """Leases and records. Methods raise LedgerError where the ledger cannot be asked."""

    def begin(
        self,
        record: Record,
        seen: Mapping[str, str | None],
        versions: Mapping[str, int],
        after: Record | None = None,
        exact: Mapping[str, int] = {},
    ) -> Begun:
        """Record what is intended and take the lease of the tags in `seen`: all of them, or none.

        `seen` is where each tag was read to be. `versions` are ledger versions to accept although their digest
        differs from the registry's. `after` is the record that this one replaces: of an earlier attempt whose
        moves it inherits, or of the promotion while it waited. `exact` are the versions that heads must have. A
        rollback gets the lease only of tags that the promotion it takes back, or a rollback of that, was the last
        to move. Raises IdempotencyConflict.
        """

    def finish(self, lease: Lease, record: Record) -> LeaseLost | None:
        """Record how it ended or that it waits, where the tags are now, and end the lease: all or nothing.

        Raises LedgerError where another promotion has recovered this one.
        """

    def release(self, repository: Repository, image_tags: Sequence[str], promotion_id: str) -> None:
        """Free tags that are held, beyond its time, for a promotion that is not under way."""

    def record(self, record: Record, after: Record | None = None) -> Kept:
        """Record an outcome that moved nothing; `after` as in `begin`. Raises IdempotencyConflict."""

    def earlier(self, record: Record) -> Record | None:
        """Return the record of the same request that ended under the promotionId, finally or to be tried again."""

    def lease(self, promotion_id: str) -> Lease | None:
        """Return the lease of a promotion that has not ended."""

    def abandoned(self) -> Iterator[str]:
        """Yield promotionIds whose lease is over without an end, the longest ago first.

        They are read page by page while the caller iterates: one that cannot be recovered does not hide the rest.
        """


class Heads(Protocol):
    """Where the ledger has the tags. Methods raise LedgerError where it cannot be asked."""

    def head(self, repository: Repository, image_tag: str) -> Head | None:
        """Return where the ledger has a tag."""

    def positions(self, repository: Repository, image_tags: Sequence[str]) -> Mapping[str, Position]:
        """Return what the ledger has of each tag now, leases included."""

    def listed(self, rota: Rota, after: str | None) -> Sequence[tuple[str, Head]]:
        """Return some heads of a rota with their keys, in the order of their keys, those that follow `after`.

        None is left where there are none. The heads of a repository follow each other.
        """

    def note(self, head: Head, *, drift: str | None, rota: Rota | None) -> bool:
        """Note where the tag was found instead, and the rota in which the head is compared from now on.

        `drift` is GONE for a tag that the registry does not have. False: the head has moved meanwhile, or is about
        to; nothing is noted then.
        """

    def adopt(self, head: Head, image_digest: str) -> bool:
        """Record where a tag was found, if its last promotion found it just there; say whether it did."""


class History(Protocol):
    """The promotions that were recorded, for those who ask."""

    def promotion(self, promotion_id: str) -> Record:
        """Return a promotion, ended or under way. Raises PromotionNotFound, or LedgerError."""


class Freezes(Protocol):
    """The freezes that operators set."""

    def known(self) -> Sequence[Freeze]:
        """Return them; one that was set more than 5 seconds ago is among them. Raises LedgerError."""


class ReconcileRuns(Protocol):
    """What reconcile remembers from run to run. Methods raise LedgerError where it cannot be asked."""

    def begin(self, holder: str, until: datetime) -> bool:
        """Take the right to run reconcile until then; False: another run has it, and its time is not over."""

    def end(self, holder: str) -> None:
        """Give the right to run reconcile back, unless another run has taken it over."""

    def round(self, rota: Rota) -> Round:
        """Return how far a rota is compared."""

    def keep_round(self, rota: Rota, at: Round) -> None:
        """Remember how far a rota is compared."""
