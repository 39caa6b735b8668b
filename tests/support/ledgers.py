"""A ledger in memory, with the promises of the port; the adapters' tests hold both ledgers to them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from promoter.aws.dynamodb.wake_ups import OTHERS
from promoter.domain import documents, waiting
from promoter.domain.errors import IdempotencyConflict, LedgerError, PromotionNotFound
from promoter.domain.history import HistoryEntry, accepted, entry_of
from promoter.domain.leasing import (
    Abandoned,
    Accepted,
    Begun,
    Busy,
    Kept,
    LeaseLost,
    MovedOn,
    Overtaken,
    Recorded,
    Replayed,
    Resumable,
    RolledBack,
    Stale,
    Waits,
)
from promoter.domain.model import Manifest, Outcome, Repository, Trigger
from promoter.domain.policy import Policy
from promoter.domain.ports import ImageFacts, Registry
from promoter.domain.records import Head, Lease, Position, Record, Rota, Round, WakeUp
from promoter.domain.rule import Freeze
from promoter.promotion.dependencies import Dependencies
from tests.support.registries import KnownImageFacts

Tag = tuple[Repository, str]


def _now() -> datetime:
    """The time as it is."""
    return datetime.now(UTC)


PAGE = 100
NOTHING: Mapping[str, int] = {}


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
    newest: dict[tuple[Repository, str, str], str] = field(default_factory=dict)
    manifests: dict[str, Manifest] = field(default_factory=dict)
    tries: dict[str, datetime] = field(default_factory=dict)
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
        exact: Mapping[str, int] = NOTHING,
    ) -> Begun:
        self.calls.append("begin")
        if earlier := self._earlier(record, after):
            return earlier
        if after and after.outcome is Outcome.WAITING and (others := self.overtaken(record)):
            return Overtaken(others)
        tags = {tag: (record.repository, tag) for tag in seen}
        if moved := [tag for tag, version in exact.items() if self.versions.get(tags[tag], 0) != version]:
            return Stale(dict.fromkeys(moved, 0))
        if in_the_way := self._in_the_way(tags, record, seen, versions):
            return in_the_way
        if record.wait and record.trigger is Trigger.REQUEST and (after is None or after.wait is None):
            if newer := self.newer(record):
                return Overtaken(newer)
            self.newest |= dict.fromkeys(newest_keys(record), record.promotion_id)
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
            if move.image_tag in tags and move.outcome is not Outcome.PLANNED:
                self._head(record, move.image_tag, record.digest_of(move))
                back = self.rolled_back.setdefault(tags[move.image_tag], set())
                if record.trigger is Trigger.REQUEST:
                    back.discard(record.digest_of(move))
                if record.undoes:
                    back.add(record.undone[move.image_tag])
        self._end(record)
        if record.outcome is Outcome.WAITING:
            self.tries[record.promotion_id] = waiting.next_try(record, self.clock())
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

    def positions(self, repository: Repository, image_tags: Sequence[str]) -> Mapping[str, Position]:
        return {tag: self._position((repository, tag)) for tag in image_tags}

    def _position(self, tag: Tag) -> Position:
        head, lease = self.heads.get(tag), self.held.get(tag)
        return Position(
            head.image_digest if head else None,
            head.promotion_id if head else None,
            self.versions.get(tag, 0),
            lease.record.promotion_id if lease else None,
        )

    def overtaken(self, record: Record) -> tuple[str, ...]:
        if record.trigger is Trigger.SCAN:
            return ()
        newest = [self.newest.get(key) for key in newest_keys(record)]
        ours = (None, record.promotion_id)
        return tuple(tag for tag, each in zip(record.image_tags, newest, strict=True) if each not in ours)

    def newer(self, record: Record) -> tuple[str, ...]:
        """Return the tags of a request for which a request waits, or has waited, that was asked for later."""
        newest = {key[2]: self.records.get(self.newest.get(key, "")) for key in newest_keys(record)}
        return tuple(tag for tag, each in newest.items() if each and each.asked_at > record.asked_at)

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

    def _earlier(
        self, record: Record, after: Record | None
    ) -> Replayed | Waits | Resumable | Abandoned | Busy | None:
        earlier = self.records.get(record.promotion_id)
        if earlier is None or self._may_replace(earlier, after):
            return None
        if earlier.fingerprint != record.fingerprint:
            raise IdempotencyConflict("another request has this key")
        if earlier.outcome:
            return self._ended(earlier)
        if self.leases[record.promotion_id].until < self.clock():
            return Abandoned(record.promotion_id)
        return Busy("Another attempt of this promotion is under way. Retry.")

    def _may_replace(self, earlier: Record, after: Record | None) -> bool:
        if after and after.outcome is Outcome.WAITING:
            return earlier.outcome is Outcome.WAITING and earlier.wait == after.wait
        may_come_again = earlier.outcome not in (None, Outcome.WAITING) and not documents.is_final(earlier)
        partly = any(move.outcome is Outcome.PROMOTED for move in earlier.moves)
        return may_come_again and (earlier == after or not partly)

    def _ended(self, earlier: Record) -> Replayed | Waits | Resumable:
        if earlier.outcome is Outcome.WAITING:
            return Waits(earlier)
        return Replayed(earlier) if documents.is_final(earlier) else Resumable(earlier)

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
        if record.outcome is not Outcome.WAITING:
            self.announced.append(record)

    def outcomes(self) -> list[Outcome | None]:
        """Return what was announced, in order."""
        return [record.outcome for record in self.announced]


def newest_keys(record: Record) -> list[tuple[Repository, str, str]]:
    """Return, for each tag of a request, the key of the newest request of its rule that waits or has waited."""
    return [(record.repository, record.rule or "", tag) for tag in record.image_tags]


@dataclass
class InMemoryWaiting:
    """The promotions of a ledger in memory that wait."""

    ledger: InMemoryLedger

    def accept(
        self, record: Record, manifest: Manifest | None, next_try: datetime, after: Record | None = None
    ) -> Accepted:
        if earlier := self.ledger._earlier(record, after):
            return earlier
        if record.trigger is Trigger.SCAN:
            keys = [(record.repository, record.rule or "", f"scan {record.source}")]
            if standing := self.promotion(self.ledger.newest.get(keys[0], "")):
                return Waits(standing)
        else:
            keys = newest_keys(record)
            if newer := self.ledger.newer(record):
                return Overtaken(newer)
            if moved := self._moved(record):
                return Stale(moved)
        self.ledger.newest |= dict.fromkeys(keys, record.promotion_id)
        self.ledger.records[record.promotion_id] = record
        if manifest:
            self.ledger.manifests[record.promotion_id] = manifest
        self.ledger.tries[record.promotion_id] = next_try
        return Recorded()

    def _moved(self, record: Record) -> dict[str, int]:
        seen = record.wait.seen if record.wait and record.wait.seen else {}
        now = self.ledger.positions(record.repository, tuple(seen))
        return {
            tag: now[tag].version
            for tag, each in seen.items()
            if (now[tag].version, now[tag].holder) != (each.version, each.holder)
        }

    def promotion(self, promotion_id: str) -> Record | None:
        record = self.ledger.records.get(promotion_id)
        return record if record and record.outcome is Outcome.WAITING else None

    def manifest(self, promotion_id: str) -> Manifest | None:
        return self.ledger.manifests.get(promotion_id)

    def keep(self, record: Record, manifest: Manifest) -> None:
        self.ledger.manifests[record.promotion_id] = manifest

    def overtaken(self, record: Record) -> tuple[str, ...]:
        return self.ledger.overtaken(record)

    def update(self, before: Record, record: Record, next_try: datetime) -> bool:
        standing = self.promotion(record.promotion_id)
        if standing is None or standing.wait != before.wait:
            return False
        self.ledger.records[record.promotion_id] = record
        self.ledger.tries[record.promotion_id] = next_try
        return True

    def due(self, now: datetime) -> Iterator[str]:
        waiting = [promotion_id for promotion_id in self.ledger.records if self.promotion(promotion_id)]
        due = [each for each in waiting if self.ledger.tries.get(each, now) <= now]
        yield from sorted(due, key=lambda each: self.ledger.tries.get(each, now))


@dataclass
class InMemoryWakeUps:
    """Wake-ups in memory; `written` counts what would be items of the table."""

    found: dict[tuple[str, str], WakeUp] = field(default_factory=dict)
    served: dict[tuple[str, str], WakeUp] = field(default_factory=dict)
    written: int = 0

    def add(
        self, repository: Repository, promotion_id: str, image_digests: Sequence[str], until: datetime
    ) -> bool:
        new = [digest for digest in image_digests if (digest, promotion_id) not in self.found]
        for digest in new:
            here = image_digests.index(digest)
            after = [*image_digests[here + 1 :], *image_digests[:here]]
            beside = dict.fromkeys(each for pair in zip(after, reversed(after), strict=True) for each in pair)
            others = tuple(beside)[:OTHERS]
            self.found[digest, promotion_id] = WakeUp(repository, digest, promotion_id, others)
        self.written += len(new)
        return bool(new)

    def of(self, repository: Repository, image_digest: str) -> Sequence[WakeUp]:
        every = {**self.served, **self.found}
        return [each for each in every.values() if each[:2] == (repository, image_digest)]

    def beside(self, wake_up: WakeUp) -> tuple[str, ...]:
        return tuple(each for each in wake_up.others if (each, wake_up.promotion_id) in self.found)

    def mark_served(self, wake_up: WakeUp) -> None:
        key = (wake_up.image_digest, wake_up.promotion_id)
        self.found.pop(key, None)
        self.served[key] = wake_up._replace(is_served=True)


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
    wake_ups: InMemoryWakeUps | None = None,
    operators: tuple[str, ...] = (),
    now: Callable[[], datetime] | None = None,
    pause: Callable[[float], None] = lambda _: None,
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
        waiting=InMemoryWaiting(ledger),
        wake_ups=wake_ups or InMemoryWakeUps(),
        patience=timedelta(seconds=10),
        operators=operators,
        now=now or ledger.clock,
        pause=pause,
    )
