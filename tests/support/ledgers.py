"""A ledger in memory, with the promises of the port; the adapters' tests hold both ledgers to them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from promoter.domain import documents
from promoter.domain.errors import IdempotencyConflict, LedgerError, PromotionNotFound
from promoter.domain.history import HistoryEntry, accepted, entry_of
from promoter.domain.leasing import (
    Abandoned,
    Begun,
    Busy,
    Kept,
    LeaseLost,
    MovedOn,
    Recorded,
    Replayed,
    Resumable,
    RolledBack,
    Stale,
)
from promoter.domain.model import Outcome, Repository, Trigger
from promoter.domain.policy import Policy
from promoter.domain.ports import ImageFacts, Registry
from promoter.domain.records import Head, Lease, Record, Rota, Round
from promoter.domain.rule import Freeze
from promoter.promotion.dependencies import Dependencies
from tests.support.registries import KnownImageFacts

Tag = tuple[Repository, str]


def _now() -> datetime:
    """The time as it is."""
    return datetime.now(UTC)


PAGE = 100


@dataclass
class InMemoryRuns:
    """What reconcile remembers, in memory."""

    clock: Callable[[], datetime] = _now
    rounds: dict[Rota, Round] = field(default_factory=dict)
    run: tuple[str, datetime] | None = None

    def begin(self, holder: str, until: datetime) -> bool:
        if self.run and self.run[1] >= self.clock():
            return False
        self.run = (holder, until)
        return True

    def end(self, holder: str) -> None:
        if self.run and self.run[0] == holder:
            self.run = None

    def round(self, rota: Rota) -> Round:
        return self.rounds.get(rota, Round())

    def keep_round(self, rota: Rota, at: Round) -> None:
        self.rounds[rota] = at


@dataclass
class InMemoryLedger:
    """A ledger that loses everything at the end of the test; `calls` counts what would be calls of DynamoDB."""

    clock: Callable[[], datetime] = _now
    lease_duration: timedelta = timedelta(seconds=30)
    records: dict[str, Record] = field(default_factory=dict)
    leases: dict[str, Lease] = field(default_factory=dict)
    held: dict[Tag, Lease] = field(default_factory=dict)
    heads: dict[Tag, Head] = field(default_factory=dict)
    versions: dict[Tag, int] = field(default_factory=dict)
    rolled_back: dict[Tag, set[str | None]] = field(default_factory=dict)
    stops: list[Freeze] = field(default_factory=list)
    announced: list[Record] = field(default_factory=list)
    rotas: dict[Tag, Rota | None] = field(default_factory=dict)
    runs: InMemoryRuns = field(default_factory=InMemoryRuns)
    calls: list[str] = field(default_factory=list)

    def having(self, record: Record) -> InMemoryLedger:
        """Return the ledger after a promotion that ended before the test."""
        self._end(record)
        for move in record.moves:
            if move.outcome is Outcome.PROMOTED:
                self._head(record, move.image_tag, record.digest_of(move))
        return self

    def known(self) -> Sequence[Freeze]:
        return self.stops

    def promotion(self, promotion_id: str) -> Record:
        if promotion_id not in self.records:
            raise PromotionNotFound(f"There is no promotion {promotion_id}.")
        return self.records[promotion_id]

    def begin(
        self,
        record: Record,
        seen: Mapping[str, str | None],
        versions: Mapping[str, int],
        after: Record | None = None,
    ) -> Begun:
        self.calls.append("begin")
        if earlier := self._earlier(record, after):
            return earlier
        tags = {tag: (record.repository, tag) for tag in seen}
        if in_the_way := self._in_the_way(tags, record, seen, versions):
            return in_the_way
        lease = Lease(uuid.uuid4().hex, record, self.clock() + self.lease_duration)
        self.records[record.promotion_id] = record
        self.leases[record.promotion_id] = lease
        self.held |= dict.fromkeys(tags.values(), lease)
        return lease

    def _in_the_way(
        self, tags: Mapping[str, Tag], record: Record, seen: Mapping[str, str | None], versions: Mapping[str, int]
    ) -> Busy | Abandoned | MovedOn | RolledBack | Stale | None:
        held = {name: self.held[tag] for name, tag in tags.items() if tag in self.held}
        for holder in held.values():
            if holder.until < self.clock():
                tags_held = tuple(name for name, each in held.items() if each == holder)
                return Abandoned(holder.record.promotion_id, tags_held)
            return Busy("Another promotion is moving the tag. Retry.")
        if record.undoes and (moved_on := [name for name, tag in tags.items() if not self._is_last(tag, record)]):
            return MovedOn(tuple(moved_on))
        back = [name for name, tag in tags.items() if record.image_digest in self.rolled_back.get(tag, ())]
        if back and record.trigger is Trigger.SCAN:
            return RolledBack(tuple(back))
        moved = {
            name: self.versions.get(tag, 0)
            for name, tag in tags.items()
            if tag in self.heads
            and self.heads[tag].image_digest != seen[name]
            and versions.get(name) != self.versions.get(tag, 0)
        }
        return Stale(moved) if moved else None

    def finish(self, lease: Lease, record: Record) -> LeaseLost | None:
        self.calls.append("finish")
        known = self.leases.get(record.promotion_id)
        if known is None or known.token != lease.token:
            raise LedgerError("the promotion took longer than its lease")
        tags = {name: (record.repository, name) for name in lease.planned}
        mine = {tag for tag, holder in self.held.items() if holder.token == lease.token}
        if lost := [name for name, tag in tags.items() if tag not in mine]:
            return LeaseLost(tuple(lost))
        for tag in tags.values():
            del self.held[tag]
        del self.leases[record.promotion_id]
        for move in record.moves:
            if move.image_tag in tags:
                self._head(record, move.image_tag, record.digest_of(move))
                back = self.rolled_back.setdefault(tags[move.image_tag], set())
                if record.trigger is Trigger.REQUEST:
                    back.discard(record.digest_of(move))
                if record.undoes:
                    back.add(record.undone[move.image_tag])
        self._end(record)
        return None

    def release(self, repository: Repository, image_tags: Sequence[str], promotion_id: str) -> None:
        for tag in [(repository, name) for name in image_tags]:
            holder = self.held.get(tag)
            if holder and holder.record.promotion_id == promotion_id and holder.until < self.clock():
                del self.held[tag]

    def record(self, record: Record, after: Record | None = None) -> Kept:
        self.calls.append("record")
        if earlier := self._earlier(record, after):
            return earlier
        self._end(record)
        return Recorded()

    def earlier(self, record: Record) -> Record | None:
        self.calls.append("earlier")
        earlier = self.records.get(record.promotion_id)
        same = earlier is not None and earlier.fingerprint == record.fingerprint
        return earlier if earlier and same and earlier.outcome else None

    def lease(self, promotion_id: str) -> Lease | None:
        return self.leases.get(promotion_id)

    def head(self, repository: Repository, image_tag: str) -> Head | None:
        return self.heads.get((repository, image_tag))

    def abandoned(self) -> Iterator[str]:
        yield from [name for name, lease in self.leases.items() if lease.until < self.clock()]

    def listed(self, rota: Rota, after: str | None) -> Sequence[tuple[str, Head]]:
        found = {
            f"{tag[0].registry_id}/{tag[0].name} {tag[1]}": head
            for tag, head in self.heads.items()
            if self.rotas.get(tag, Rota.MOVING) == rota
        }
        return [(at, found[at]) for at in sorted(found) if at > (after or "")][:PAGE]

    def note(self, head: Head, *, drift: str | None, rota: Rota | None) -> bool:
        tag = (head.repository, head.image_tag)
        if tag in self.held or self.heads[tag].promotion_id != head.promotion_id:
            return False
        self.heads[tag] = replace(head, drift=drift)
        self.rotas[tag] = rota
        return True

    def adopt(self, head: Head, image_digest: str) -> bool:
        newest = accepted((entry_of(each, head.image_tag) for each in self.announced[::-1]), image_digest)
        tag = (head.repository, head.image_tag)
        if newest is None or tag in self.held or self.heads[tag].promotion_id != head.promotion_id:
            return False
        self._head(newest._replace(undoes=None), head.image_tag, image_digest)
        return True

    def _is_last(self, tag: Tag, record: Record) -> bool:
        head = self.heads.get(tag)
        return head is not None and record.undoes in (head.promotion_id, head.undoes)

    def _earlier(self, record: Record, after: Record | None) -> Replayed | Resumable | Abandoned | Busy | None:
        earlier = self.records.get(record.promotion_id)
        if earlier is None:
            return None
        may_come_again = earlier.outcome and not documents.is_final(earlier)
        partly = any(move.outcome is Outcome.PROMOTED for move in earlier.moves)
        if may_come_again and (earlier == after or not partly):
            return None
        if earlier.fingerprint != record.fingerprint:
            raise IdempotencyConflict("another request has this key")
        if may_come_again:
            return Resumable(earlier)
        if earlier.outcome:
            return Replayed(earlier)
        if self.leases[record.promotion_id].until < self.clock():
            return Abandoned(record.promotion_id)
        return Busy("Another attempt of this promotion is under way. Retry.")

    def _head(self, record: Record | HistoryEntry, image_tag: str, image_digest: str) -> None:
        tag = (record.repository, image_tag)
        self.versions[tag] = self.versions.get(tag, 0) + 1
        self.rotas[tag] = Rota.MOVING
        left = [move.previous_digest for move in record.moves if move.image_tag == image_tag]
        self.heads[tag] = Head(
            record.repository,
            image_tag,
            image_digest,
            record.promotion_id,
            record.ended_at or self.clock(),
            moving=any(left) or self.versions[tag] > 1,
            undoes=record.undoes,
        )

    def _end(self, record: Record) -> None:
        self.records[record.promotion_id] = record
        self.announced.append(record)

    def outcomes(self) -> list[Outcome | None]:
        """Return what was announced, in order."""
        return [record.outcome for record in self.announced]


def runs(dependencies: Dependencies) -> InMemoryRuns:
    """Return what reconcile remembers beside the ledger in memory."""
    assert isinstance(dependencies.ledger, InMemoryLedger)
    return dependencies.ledger.runs


def dependencies(
    policy: Policy,
    registry: Registry,
    image_facts: ImageFacts | None = None,
    *,
    ledger: InMemoryLedger | None = None,
    operators: tuple[str, ...] = (),
    now: Callable[[], datetime] | None = None,
) -> Dependencies:
    """Put dependencies together of which a test says only what it is about; nobody waits.

    Ledger and use case have one clock where the test names only one.
    """
    ledger = ledger or InMemoryLedger(now or _now)
    return Dependencies(
        policy=policy,
        registry=registry,
        image_facts=image_facts or KnownImageFacts(),
        ledger=ledger,
        heads=ledger,
        history=ledger,
        freezes=ledger,
        patience=timedelta(seconds=10),
        operators=operators,
        now=now or ledger.clock,
        pause=lambda _: None,
    )
