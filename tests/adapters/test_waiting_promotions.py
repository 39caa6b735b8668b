"""What both ledgers promise of promotions that wait: the one in memory that other tests use, and DynamoDB's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from promoter.domain import documents
from promoter.domain.answers import NotPromoted
from promoter.domain.errors import Cancelled, Frozen, IdempotencyConflict, Throttled
from promoter.domain.leasing import (
    Abandoned,
    Accepted,
    Begun,
    Busy,
    Overtaken,
    Recorded,
    Replayed,
    Resumable,
    Stale,
    Waits,
)
from promoter.domain.manifest import OCI_MANIFEST
from promoter.domain.model import ImageId, Manifest, Outcome, Reason, Seen, TagMove, Trigger, Wait
from promoter.domain.ports import Heads, Ledger, WaitingPromotions
from promoter.domain.records import Lease, Position, Record
from promoter.domain.waiting import LARGEST_MANIFEST
from tests.adapters.test_ledger import (
    NEW,
    OLD,
    OTHER,
    PLACE,
    Clock,
    carry_out,
    clock,
    ended,
    failed,
    finish,
    heads,
    intent,
    kept,
    leased,
    ledger,
    partly_done,
    roles,
)

__all__ = ["clock", "heads", "kept", "ledger", "roles"]

PENDING, SOAKING = Reason("scan_pending", "Not scanned yet."), Reason("soaking", "Too young.")
UNTIL = timedelta(hours=1)
AS_READ = Seen(OLD, 0)


@pytest.fixture
def waiting(roles: dict[str, Any]) -> WaitingPromotions:
    found: WaitingPromotions = roles["waiting"]
    return found


@pytest.fixture
def record_of(roles: dict[str, Any]) -> Callable[[Record], Record]:
    """Read a record anew."""
    history = roles["history"]
    return lambda record: history.promotion(record.promotion_id)


def request(
    now: datetime,
    tags: tuple[str, ...] = ("prod",),
    *,
    reasons: Sequence[Reason] = (PENDING,),
    seen: Seen = AS_READ,
    **members: Any,
) -> Record:
    """Return a request that is to wait for an hour, for tags that the ledger does not know."""
    wait = Wait(now + UNTIL, dict.fromkeys(tags, seen), {"prod": OLD}, now - timedelta(days=1))
    return documents.waits(intent(tags=tags, **members), wait, reasons)


def event(now: datetime, digest: str = NEW, source: str = "build-1", **members: Any) -> Record:
    """Return a promotion by event that is to wait."""
    defaults: dict[str, Any] = {
        "trigger": Trigger.SCAN,
        "source": ImageId(source, digest),
        "caller": None,
        "fingerprint": "",
    }
    opened = intent(digest, moves=(), **(defaults | members))
    return documents.waits(opened, Wait(now + UNTIL), (PENDING,))


def accept(
    waiting: WaitingPromotions, record: Record, after: Record | None = None, *, manifest: Manifest | None = None
) -> Accepted:
    """Accept, to be tried in ten minutes."""
    return waiting.accept(record, manifest, record.asked_at + timedelta(minutes=10), after)


def accepted(waiting: WaitingPromotions, record: Record) -> Record:
    """Accept for the first time; return it as it is read."""
    assert accept(waiting, record) == Recorded()
    standing = waiting.promotion(record.promotion_id)
    assert standing is not None
    return standing


def begin(ledger: Ledger, waits: Record, seen: str | None = OLD, **exact: int) -> Begun:
    """Take the lease of a promotion that has waited."""
    wait = waits.wait and waits.wait._replace(expected_digests={})
    intended = replace(waits, outcome=None, detail=None, reasons=(), wait=wait)
    return ledger.begin(intended, dict.fromkeys(waits.image_tags, seen), {}, waits, exact)


def resumed(ledger: Ledger, waits: Record, seen: str | None = OLD, **exact: int) -> Lease:
    """Take the lease of a promotion that has waited, and get it."""
    lease = begin(ledger, waits, seen, **exact)
    assert isinstance(lease, Lease), lease
    return lease


@pytest.mark.parametrize("make", [request, event])
def test_what_was_accepted_is_read_as_it_was(
    waiting: WaitingPromotions,
    record_of: Callable[[Record], Record],
    clock: Clock,
    make: Callable[[datetime], Record],
) -> None:
    """With what holds until its time comes: where its tags were, what the caller expects, when its image came."""
    record = make(clock())
    assert waiting.promotion(record.promotion_id) is None

    standing = accepted(waiting, record)

    assert standing == record_of(record) == record
    assert standing.waiting_for == ("scan_pending",)


def test_a_manifest_waits_with_its_promotion(waiting: WaitingPromotions, clock: Clock) -> None:
    """Byte for byte, up to the largest; others have none."""
    manifest = Manifest(bytes(range(256)) * (LARGEST_MANIFEST // 256), OCI_MANIFEST, NEW)
    brought, named = request(clock(), source=ImageId()), request(clock(), ("v1",))
    assert accept(waiting, brought, manifest=manifest) == Recorded()
    assert accept(waiting, named) == Recorded()

    assert waiting.manifest(brought.promotion_id) == manifest
    assert waiting.manifest(named.promotion_id) is None
    waiting.keep(named, manifest)
    assert waiting.manifest(named.promotion_id) == manifest


def test_a_request_of_40_tags_with_the_largest_manifest_can_wait(
    waiting: WaitingPromotions, ledger: Ledger, clock: Clock
) -> None:
    """As many tags as a request may name, in one transaction each way."""
    tags = tuple(f"v{number}" for number in range(40))
    manifest = Manifest(b"x" * LARGEST_MANIFEST, OCI_MANIFEST, NEW)
    record = request(clock(), tags, source=ImageId())
    assert accept(waiting, record, manifest=manifest) == Recorded()
    standing = waiting.promotion(record.promotion_id)
    assert standing is not None

    lease = resumed(ledger, standing, OLD, **dict.fromkeys(tags, 0))

    finish(ledger, lease, ended(lease.record))


def test_a_request_is_accepted_only_where_its_tags_were_seen(
    waiting: WaitingPromotions, ledger: Ledger, heads: Heads, clock: Clock
) -> None:
    """A tag has moved, or is being moved, since it was read: the caller looks again."""
    carry_out(ledger, intent(OTHER))
    record = request(clock(), ("prod", "v1"))

    assert isinstance(accept(waiting, record), Stale)
    assert waiting.promotion(record.promotion_id) is None

    position = heads.positions(PLACE, ["prod"])["prod"]
    assert (position.version, position.holder) == (1, None)
    seen = {"prod": Seen(OTHER, 1), "v1": Seen(None, 0)}
    again = documents.waits(record, Wait(clock() + UNTIL, seen), record.reasons)
    leased(ledger, intent(tags=("v1",)))
    assert isinstance(accept(waiting, again), Stale)


def test_a_request_may_be_accepted_while_another_promotion_moves_its_tag(
    waiting: WaitingPromotions, ledger: Ledger, heads: Heads, clock: Clock
) -> None:
    """If it has seen that: that promotion comes before it. When that one has ended meanwhile, it looks again."""
    first = intent(OTHER)
    lease = leased(ledger, first)
    assert heads.positions(PLACE, ["prod"]) == {"prod": Position(None, None, 0, first.promotion_id)}
    seen = Seen(OLD, 0, first.promotion_id)
    accepted(waiting, request(clock(), seen=seen))

    finish(ledger, lease, ended(first))

    assert isinstance(accept(waiting, request(clock(), seen=seen)), Stale)


def test_a_repeat_of_a_request_that_waits_finds_it(
    waiting: WaitingPromotions, ledger: Ledger, clock: Clock
) -> None:
    """Whether it could be carried out at once, would be refused, or would wait. Another request is a conflict."""
    record = accepted(waiting, request(clock()))
    again = replace(intent(), promotion_id=record.promotion_id)

    assert accept(waiting, request(clock(), promotion_id=record.promotion_id)) == Waits(record)
    assert ledger.begin(again, {"prod": OLD}, {}) == Waits(record)
    assert ledger.record(failed(again, Frozen("no"))) == Waits(record)
    assert ledger.earlier(again) == record
    for other in (replace(again, fingerprint="other"),):
        with pytest.raises(IdempotencyConflict):
            ledger.begin(other, {"prod": OLD}, {})
        with pytest.raises(IdempotencyConflict):
            accept(waiting, request(clock(), promotion_id=record.promotion_id, fingerprint="other"))
    assert ledger.earlier(replace(again, fingerprint="other")) is None


def test_what_is_under_way_or_has_ended_is_not_accepted(
    waiting: WaitingPromotions, ledger: Ledger, clock: Clock
) -> None:
    """The call is told how the other one stands."""
    opened = intent()
    lease = leased(ledger, opened)
    again = request(clock(), promotion_id=opened.promotion_id)

    assert isinstance(accept(waiting, again), Busy)
    clock.time += timedelta(seconds=31)
    assert accept(waiting, again) == Abandoned(opened.promotion_id)
    finish(ledger, lease, ended(opened))
    assert isinstance(accept(waiting, again), Replayed)


def test_an_attempt_that_has_put_tags_is_not_forgotten(
    waiting: WaitingPromotions, ledger: Ledger, clock: Clock
) -> None:
    """It waits only as the continuation of that attempt."""
    record, tried = partly_done(ledger)
    again = request(clock(), ("a", "b"), promotion_id=record.promotion_id, seen=Seen(OLD, 0))
    seen = {"a": Seen(NEW, 1), "b": Seen(OLD, 0)}
    again = documents.waits(again, Wait(clock() + UNTIL, seen), again.reasons, tried.moves)

    found = accept(waiting, again)
    assert isinstance(found, Resumable)
    assert found.record.moves == tried.moves

    assert accept(waiting, again, found.record) == Recorded()
    standing = waiting.promotion(record.promotion_id)
    assert standing is not None
    assert standing.moves == tried.moves


def test_a_newer_request_of_the_same_rule_takes_its_place(
    waiting: WaitingPromotions, ledger: Ledger, clock: Clock
) -> None:
    """The older one no longer gets a tag, also when it looked before the newer one was accepted."""
    older = accepted(waiting, request(clock(), ("prod", "v1")))
    assert waiting.overtaken(older) == ()

    newer = accepted(waiting, request(clock(), ("prod",)))

    assert waiting.overtaken(older) == ("prod",)
    assert begin(ledger, older, prod=0, v1=0) == Overtaken(("prod",))
    assert waiting.overtaken(newer) == ()
    finish(ledger, resumed(ledger, newer, prod=0), ended(newer))


def test_a_request_that_was_asked_for_earlier_is_not_newer(
    waiting: WaitingPromotions, ledger: Ledger, clock: Clock
) -> None:
    """Another promotion's lease may have held it up, whether it has to wait now or can begin."""
    newer = accepted(waiting, request(clock(), ("prod",)))
    asked_at = newer.asked_at - timedelta(seconds=5)

    older = request(clock(), ("prod", "v1"), asked_at=asked_at)
    assert accept(waiting, older) == Overtaken(("prod",))
    assert ledger.begin(opened(older), {"prod": OLD, "v1": OLD}, {}) == Overtaken(("prod",))

    assert waiting.promotion(older.promotion_id) is None
    assert waiting.overtaken(newer) == ()
    assert isinstance(begin(ledger, newer, prod=0), Lease)


def opened(waits: Record) -> Record:
    """Return the record of a request that has not waited yet."""
    return replace(waits, outcome=None, detail=None, reasons=(), wait=Wait(waits.asked_at + UNTIL))


@pytest.mark.parametrize("members", [{"rule": "other"}, {"repository": PLACE._replace(name="team/api")}])
def test_a_newer_request_of_another_rule_or_repository_does_not_take_its_place(
    waiting: WaitingPromotions, clock: Clock, members: dict[str, Any]
) -> None:
    """Each waits on its own."""
    older = accepted(waiting, request(clock()))

    accepted(waiting, request(clock(), **members))

    assert waiting.overtaken(older) == ()


def test_a_newer_request_that_began_at_once_takes_the_place_of_one_that_waits(
    waiting: WaitingPromotions, ledger: Ledger, clock: Clock
) -> None:
    """Nothing was in its way until the registry was throttling: it waits after all, and it is the newer one."""
    older = accepted(waiting, request(clock()))
    newer = replace(intent(OTHER), wait=Wait(clock() + UNTIL))
    lease = leased(ledger, newer)
    wait = Wait(clock() + UNTIL, {"prod": Seen(OLD, 0)}, leases=1)

    finish(ledger, lease, documents.waits(newer, wait, [Reason("throttled", "slow down")]))

    standing = waiting.promotion(newer.promotion_id)
    assert standing is not None
    assert waiting.overtaken(standing) == ()
    assert waiting.overtaken(older) == ("prod",)


def test_a_request_that_was_accepted_while_the_older_one_moved_its_tag_is_the_newer_one(
    waiting: WaitingPromotions, ledger: Ledger, clock: Clock
) -> None:
    """Also if the older one ends its lease later, because it has to wait."""
    older = replace(intent(), wait=Wait(clock() + UNTIL))
    lease = leased(ledger, older)
    newer = accepted(waiting, request(clock(), seen=Seen(OLD, 0, older.promotion_id)))
    wait = Wait(clock() + UNTIL, {"prod": Seen(OLD, 0)}, leases=1)

    finish(ledger, lease, documents.waits(older, wait, [Reason("throttled", "slow down")]))

    standing = waiting.promotion(older.promotion_id)
    assert standing is not None
    assert waiting.overtaken(standing) == ("prod",)
    assert waiting.overtaken(newer) == ()


def test_the_lease_is_given_only_while_it_waits(
    waiting: WaitingPromotions, ledger: Ledger, record_of: Callable[[Record], Record], clock: Clock
) -> None:
    """After it was cancelled nothing moves: whoever was about to move the tag finds how it ended."""
    record = accepted(waiting, request(clock()))
    cancelled = documents.ended(record, NotPromoted(Cancelled("enough")), now=clock())
    assert ledger.record(cancelled, record) == Recorded()

    found = begin(ledger, record, prod=0)

    assert isinstance(found, Resumable)
    assert found.record.code == "cancelled"
    assert record_of(record).code == "cancelled"
    assert waiting.promotion(record.promotion_id) is None
    assert not waiting.update(record, record, clock())
    assert not isinstance(ledger.record(cancelled, record), Recorded)


def test_it_is_not_cancelled_while_it_moves_its_tags(
    waiting: WaitingPromotions, ledger: Ledger, clock: Clock
) -> None:
    """The lease was taken since it was read. Then it is neither changed nor begun twice."""
    record = accepted(waiting, request(clock()))
    cancelled = documents.ended(record, NotPromoted(Cancelled("enough")), now=clock())
    lease = resumed(ledger, record, prod=0)

    assert isinstance(ledger.record(cancelled, record), Busy)
    assert isinstance(begin(ledger, record, prod=0), Busy)
    assert not waiting.update(record, record, clock())
    assert waiting.promotion(record.promotion_id) is None
    finish(ledger, lease, ended(lease.record))


def test_the_lease_is_given_only_while_the_head_has_its_version(
    waiting: WaitingPromotions, ledger: Ledger, clock: Clock
) -> None:
    """Another promotion came in between, even if it has put the tag where it was."""
    carry_out(ledger, intent(OLD, moves=(TagMove("prod", Outcome.PLANNED, None),)), None)
    record = accepted(waiting, request(clock(), seen=Seen(OLD, 1)))
    carry_out(ledger, intent(OTHER), OLD)
    carry_out(ledger, intent(OLD), OTHER)

    assert isinstance(begin(ledger, record, prod=1), Stale)


def test_it_waits_again_after_a_lease(
    waiting: WaitingPromotions, ledger: Ledger, heads: Heads, record_of: Callable[[Record], Record], clock: Clock
) -> None:
    """With the tags that it has put; a try that was made before has nothing to say any longer."""
    record = accepted(waiting, request(clock(), ("a", "b")))
    lease = resumed(ledger, record, a=0, b=0)
    put, left = lease.record.moves
    moves = (replace(put, outcome=Outcome.PROMOTED), left)
    wait = Wait(clock() + UNTIL, {"b": Seen(OLD, 0)}, leases=1)

    finish(ledger, lease, documents.waits(lease.record, wait, [Reason("throttled", "slow down")], moves))

    standing = waiting.promotion(record.promotion_id)
    assert standing == record_of(record)
    assert standing is not None
    assert (standing.moves, standing.wait, standing.waiting_for) == (moves, wait, ("throttled",))
    assert [heads.positions(PLACE, [tag])[tag].version for tag in ("a", "b")] == [1, 0]
    assert heads.positions(PLACE, ["b"])["b"].holder is None
    assert begin(ledger, record, a=0, b=0) == Waits(standing)
    assert not waiting.update(record, record, clock())
    assert ledger.record(failed(record, Throttled("no")), record) == Waits(standing)


def test_what_it_waits_for_is_updated(waiting: WaitingPromotions, clock: Clock) -> None:
    """Nothing else changes."""
    record = accepted(waiting, request(clock()))
    assert record.wait
    soaking = documents.waits(record, record.wait, [SOAKING])

    assert waiting.update(record, soaking, clock())

    assert waiting.promotion(record.promotion_id) == soaking
    assert waiting.update(record, record, clock())


@pytest.mark.parametrize("other", [False, True])
def test_events_of_the_same_image_are_one_promotion(waiting: WaitingPromotions, clock: Clock, other: bool) -> None:
    """A push and N scans have one record that waits, until it ends."""
    record = accepted(waiting, event(clock()))
    later = event(clock(), OTHER if other else NEW)

    assert accept(waiting, later) == (Recorded() if other else Waits(record))
    assert (waiting.promotion(later.promotion_id) is not None) is other


def test_an_event_waits_anew_when_the_one_before_has_ended(
    waiting: WaitingPromotions, ledger: Ledger, clock: Clock
) -> None:
    """A scan that comes a week later is not lost."""
    record = accepted(waiting, event(clock()))
    ledger.record(documents.ended(record, NotPromoted(Cancelled("enough")), now=clock()), record)

    accepted(waiting, event(clock()))


def test_events_do_not_overtake_each_other(waiting: WaitingPromotions, ledger: Ledger, clock: Clock) -> None:
    """A newer image may be refused where the older one passes: their order is that of the pushes."""
    older, newer = (accepted(waiting, event(clock(), digest)) for digest in (OTHER, NEW))

    assert waiting.overtaken(older) == waiting.overtaken(newer) == ()
    assert isinstance(begin(ledger, older), Lease)


def test_those_that_are_due_are_found(waiting: WaitingPromotions, ledger: Ledger, clock: Clock) -> None:
    """Each once, the longest ago first, so that a run without time for all leaves none out for ever.

    Not while it moves tags, nor after its end.
    """
    now, records = clock(), []
    for number in range(130):
        record = request(now, (f"v{number}",))
        assert waiting.accept(record, None, now + timedelta(seconds=number)) == Recorded()
        records.append(record)
    names = [record.promotion_id for record in records]

    assert list(waiting.due(now + timedelta(seconds=99.5))) == names[:100]
    assert list(waiting.due(now + timedelta(hours=1))) == names

    waiting.update(records[0], records[0], now + timedelta(hours=2))
    ledger.record(documents.ended(records[1], NotPromoted(Cancelled("enough")), now=now), records[1])
    resumed(ledger, records[2], v2=0)
    assert list(waiting.due(now + timedelta(hours=1))) == names[3:]
