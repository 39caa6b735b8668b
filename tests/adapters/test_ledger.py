"""What both ledgers promise: the one in memory that the core's tests use, and DynamoDB's over HTTP."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby, islice
from typing import Any

import pytest
from botocore.config import Config

from local.aws import LocalAws
from promoter.aws.dynamodb import keys
from promoter.aws.dynamodb.heads import DynamoHeads
from promoter.aws.dynamodb.ledger import DynamoLedger
from promoter.aws.dynamodb.table import Table
from promoter.domain import documents
from promoter.domain.answers import NotPromoted
from promoter.domain.errors import (
    GateRefused,
    IdempotencyConflict,
    LedgerError,
    PromoterError,
    Throttled,
)
from promoter.domain.leasing import (
    Abandoned,
    Begun,
    Busy,
    LeaseLost,
    MovedOn,
    Recorded,
    Replayed,
    Resumable,
    RolledBack,
    Stale,
)
from promoter.domain.manifest import OCI_MANIFEST
from promoter.domain.model import ImageId, Manifest, Outcome, Promoted, Reason, Repository, TagMove, Trigger
from promoter.domain.ports import Heads, Ledger, ReconcileRuns
from promoter.domain.records import GONE, Head, Lease, Record, Rota, Round
from promoter.wiring import CLIENT
from tests.support.ledgers import InMemoryLedger, InMemoryRuns, InMemoryWaiting, InMemoryWakeUps
from tests.support.tables import dynamo_roles, dynamo_runs

PLACE = Repository("123456789012", "team/web")
LATER = datetime(2026, 11, 23, 13, tzinfo=UTC)
OLD, NEW, OTHER = ("sha256:" + letter * 64 for letter in "abc")


@dataclass
class Clock:
    """A clock that a test turns."""

    time: datetime = datetime(2026, 11, 23, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.time += timedelta(milliseconds=1)
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def kept(local_aws: LocalAws, table: str) -> Table:
    return Table(local_aws.client("dynamodb"), table, local_aws.region)


@pytest.fixture
def dynamo(kept: Table, clock: Clock) -> DynamoLedger:
    return dynamo_ledger(kept, clock)


def dynamo_ledger(kept: Table, clock: Clock) -> DynamoLedger:
    found: DynamoLedger = dynamo_roles(kept, clock)["ledger"]
    return found


@pytest.fixture(params=["memory", "dynamodb"])
def roles(request: pytest.FixtureRequest, clock: Clock) -> dict[str, Any]:
    """Return a ledger's six roles, as a promotion depends on them."""
    if request.param == "memory":
        memory = InMemoryLedger(clock)
        one = dict.fromkeys(("ledger", "heads", "history", "freezes"), memory)
        return one | {"waiting": InMemoryWaiting(memory), "wake_ups": InMemoryWakeUps()}
    return dynamo_roles(request.getfixturevalue("kept"), clock)


@pytest.fixture
def ledger(roles: dict[str, Any]) -> Ledger:
    found: Ledger = roles["ledger"]
    return found


@pytest.fixture
def heads(roles: dict[str, Any]) -> Heads:
    found: Heads = roles["heads"]
    return found


@pytest.fixture(params=["memory", "dynamodb"])
def runs(request: pytest.FixtureRequest, clock: Clock) -> ReconcileRuns:
    if request.param == "memory":
        return InMemoryRuns(clock)
    return dynamo_runs(request.getfixturevalue("kept"), clock)


def intent(digest: str = NEW, tags: tuple[str, ...] = ("prod",), **members: Any) -> Record:
    """Return a promotion that is about to move tags that were on OLD."""
    defaults: dict[str, Any] = {
        "promotion_id": uuid.uuid4().hex,
        "trigger": Trigger.REQUEST,
        "repository": PLACE,
        "source": ImageId("staging", digest),
        "asked_at": datetime(2026, 11, 23, 11, tzinfo=UTC),
        "rule": "prod",
        "caller": "arn:x",
        "fingerprint": "f",
        "image_digest": digest,
        "media_type": OCI_MANIFEST,
        "image_tags": tags,
        "moves": tuple(TagMove(tag, Outcome.PLANNED, OLD) for tag in tags),
    }
    return Record(**(defaults | members))


def ended(record: Record, outcome: Outcome | None = Outcome.PROMOTED, *, at: datetime | None = None) -> Record:
    """Return the record of a promotion that did what it intended; None: its moves say how they ended."""
    moves = tuple(replace(move, outcome=outcome or move.outcome) for move in record.moves)
    manifest = Manifest(b"", OCI_MANIFEST, record.image_digest or "")
    answer = Promoted(record.promotion_id, "prod", PLACE, manifest, moves)
    return documents.ended(record, answer, now=at or datetime(2026, 11, 23, 12, tzinfo=UTC))


def begin(ledger: Ledger, record: Record, seen: str | None = OLD, **versions: int) -> Begun:
    return ledger.begin(record, dict.fromkeys(record.image_tags, seen), versions)


def leased(ledger: Ledger, record: Record, seen: str | None = OLD, **versions: int) -> Lease:
    """Begin, and get the lease."""
    lease = begin(ledger, record, seen, **versions)
    assert isinstance(lease, Lease), lease
    return lease


def carry_out(ledger: Ledger, record: Record, seen: str | None = OLD) -> Record:
    """Begin and finish; return what was recorded."""
    done = ended(record)
    finish(ledger, leased(ledger, record, seen), done)
    return done


def finish(ledger: Ledger, lease: Lease, record: Record) -> None:
    """Finish, and lose no tag."""
    assert ledger.finish(lease, record) is None


def record_only(ledger: Ledger, record: Record) -> None:
    """Record what moved nothing, for the first time."""
    assert ledger.record(record) == Recorded()


def failed(record: Record, error: PromoterError, **members: Any) -> Record:
    """Return the record of a promotion that was refused or failed."""
    return documents.ended(record, NotPromoted(error, **members), now=datetime(2026, 11, 23, 12, tzinfo=UTC))


def test_a_tag_has_one_lease_at_a_time(ledger: Ledger) -> None:
    """While one promotion has it, others are told to wait; afterwards it is free again."""
    first = intent()
    lease = leased(ledger, first)

    assert isinstance(begin(ledger, intent()), Busy)

    finish(ledger, lease, ended(first))
    leased(ledger, intent(OTHER), NEW)


def test_several_tags_are_taken_all_or_none(ledger: Ledger) -> None:
    """A promotion that cannot have one of its tags has none, so that two never wait for each other."""
    leased(ledger, intent(tags=("b",)))

    assert isinstance(begin(ledger, intent(tags=("a", "b"))), Busy)

    leased(ledger, intent(tags=("a",)))


def test_the_head_is_where_the_last_promotion_put_the_tag(ledger: Ledger, heads: Heads) -> None:
    """With who put it there and when; a tag that was never promoted has none."""
    assert heads.head(PLACE, "prod") is None
    done = carry_out(ledger, intent())

    head = heads.head(PLACE, "prod")

    assert head is not None
    assert (head.image_digest, head.promotion_id, head.moved_at) == (NEW, done.promotion_id, done.ended_at)


def test_a_lease_is_given_only_where_the_tag_was_seen(ledger: Ledger) -> None:
    """Compare-and-swap: who looked before another promotion moved the tag has to look again."""
    carry_out(ledger, intent())

    moved = begin(ledger, intent(OTHER), OLD)
    assert isinstance(moved, Stale), moved

    assert leased(ledger, intent(OTHER), OLD, **moved.versions)  # looked again: it is there, past the ledger


def test_a_tag_that_was_absent_is_taken_only_if_nobody_made_it_since(ledger: Ledger) -> None:
    """The first promotion of a tag is compared like any other."""
    carry_out(ledger, intent(), seen=None)

    assert isinstance(begin(ledger, intent(OTHER), None), Stale)


def test_a_lease_that_nobody_ends_is_abandoned_when_its_time_is_over(ledger: Ledger, clock: Clock) -> None:
    """The next promotion of the tag is told whose it was, and finds what that one intended."""
    record = intent()
    leased(ledger, record)
    clock.time += timedelta(seconds=31)

    abandoned = begin(ledger, intent())
    assert isinstance(abandoned, Abandoned), abandoned

    assert abandoned.promotion_id == record.promotion_id
    assert list(ledger.abandoned()) == [record.promotion_id]
    lease = ledger.lease(record.promotion_id)
    assert lease is not None
    assert replace(lease.record, fingerprint="f") == record
    finish(ledger, lease, ended(record))
    assert ledger.lease(record.promotion_id) is None
    assert list(ledger.abandoned()) == []


def test_who_comes_after_the_end_of_the_lease_cannot_record(ledger: Ledger, clock: Clock) -> None:
    """Its promotion was settled by somebody else; nothing is written twice."""
    record = intent()
    late = leased(ledger, record)
    clock.time += timedelta(seconds=31)
    settled = ledger.lease(record.promotion_id)
    assert settled is not None
    finish(ledger, settled, ended(record))

    with pytest.raises(LedgerError, match="longer than its lease"):
        ledger.finish(late, ended(record))


def test_a_repeat_is_told_the_first_answer(ledger: Ledger) -> None:
    """Whether it would move something or not."""
    done = carry_out(ledger, intent())

    again = [ledger.begin(done, {"prod": NEW}, {}), ledger.record(ended(done, Outcome.UNCHANGED))]

    assert [each.record.outcome for each in again if isinstance(each, Replayed)] == ["PROMOTED", "PROMOTED"]


def test_a_promotion_under_way_is_not_repeated(ledger: Ledger, clock: Clock) -> None:
    """Until its lease is over."""
    record = intent()
    leased(ledger, record)

    assert isinstance(begin(ledger, record), Busy)
    assert isinstance(ledger.record(ended(record)), Busy)
    clock.time += timedelta(seconds=31)
    assert isinstance(ledger.record(ended(record)), Abandoned)


def test_a_key_stands_for_one_request(ledger: Ledger) -> None:
    """Another request under the same promotionId is refused, before and after the first one ended."""
    record = intent()
    lease = leased(ledger, record)

    with pytest.raises(IdempotencyConflict):
        begin(ledger, replace(record, fingerprint="other"))
    finish(ledger, lease, ended(record))
    with pytest.raises(IdempotencyConflict):
        ledger.record(replace(ended(record), fingerprint="other"))


def test_what_may_be_tried_again_is_replaced_by_the_next_try(ledger: Ledger, heads: Heads) -> None:
    """A failure that a retry may overcome does not stand."""
    record = intent()
    lease = leased(ledger, record)
    finish(ledger, lease, failed(record, Throttled("slow down")))
    assert heads.head(PLACE, "prod") is None

    carry_out(ledger, record)

    head = heads.head(PLACE, "prod")
    assert head is not None
    assert head.image_digest == NEW


def partly_done(ledger: Ledger) -> tuple[Record, Record]:
    """Put the first of two tags and fail at the second; return what was intended and what was recorded."""
    record = intent(tags=("a", "b"))
    lease = leased(ledger, record)
    put = (replace(record.moves[0], outcome=Outcome.PROMOTED),)
    tried = failed(record, Throttled("slow down"), moves=put, image_digest=NEW)
    finish(ledger, lease, tried)
    return record, tried


def test_a_try_that_has_put_tags_is_not_forgotten(ledger: Ledger) -> None:
    """Neither by the next try nor by a refusal: who replaces it has to know it."""
    record, tried = partly_done(ledger)

    first = begin(ledger, record)
    assert isinstance(first, Resumable), first
    second = ledger.record(ended(record, Outcome.UNCHANGED))
    assert isinstance(second, Resumable), second

    assert first.record.moves == second.record.moves == tried.moves


def test_the_next_try_carries_on_what_was_put(ledger: Ledger, heads: Heads) -> None:
    """Only the other tags are taken, and given back."""
    record, tried = partly_done(ledger)
    resumed = replace(record, moves=(tried.moves[0], record.moves[1]))

    lease = ledger.begin(resumed, {"b": OLD}, {}, tried)
    assert isinstance(lease, Lease)
    leased(ledger, intent(OTHER, tags=("a",)), NEW)  # somebody else's lease
    done = ended(resumed)
    finish(ledger, lease, done)

    found = {tag: heads.head(PLACE, tag) for tag in ("a", "b")}
    assert {tag: head and head.image_digest for tag, head in found.items()} == {"a": NEW, "b": NEW}
    again = ledger.record(ended(record, Outcome.UNCHANGED))
    assert isinstance(again, Replayed)
    assert again.record.moves == done.moves


def test_what_ended_is_known_by_its_id(ledger: Ledger) -> None:
    """Of the same request only; not what is under way."""
    record, before = partly_done(ledger)
    leased(ledger, under_way := intent(tags=("c",)))
    done = carry_out(ledger, intent())

    tried = ledger.earlier(record)
    assert tried is not None
    assert tried.moves == before.moves
    assert ledger.earlier(under_way) is None
    assert ledger.earlier(intent()) is None
    found = ledger.earlier(replace(done, outcome=None))
    assert found is not None
    assert found.moves == done.moves
    assert ledger.earlier(replace(done, fingerprint="other")) is None


def back(undone: Record, digest: str = OLD, **members: Any) -> Record:
    """Return the rollback of a promotion of `prod`."""
    move = TagMove("prod", Outcome.PLANNED, undone.image_digest)
    intended = {"undoes": undone.promotion_id, "undone": {"prod": undone.image_digest}, "moves": (move,)}
    return intent(digest, **(intended | members))


def test_a_scan_does_not_bring_back_what_was_rolled_back(ledger: Ledger) -> None:
    """Whatever moves the tag in between: only a request for that very image does."""
    first = carry_out(ledger, intent())
    carry_out(ledger, back(first), NEW)

    taken = begin(ledger, intent(trigger=Trigger.SCAN), OLD)
    assert isinstance(taken, RolledBack), taken
    assert taken.image_tags == ("prod",)

    carry_out(ledger, intent(OTHER, trigger=Trigger.SCAN), OLD)
    assert isinstance(begin(ledger, intent(trigger=Trigger.SCAN), OTHER), RolledBack)


def test_all_that_was_rolled_back_stays_so(ledger: Ledger) -> None:
    """The second rollback does not forget the first."""
    for digest in (NEW, OTHER):
        done = carry_out(ledger, intent(digest))
        carry_out(ledger, back(done), digest)

    for digest in (NEW, OTHER):
        assert isinstance(begin(ledger, intent(digest, trigger=Trigger.SCAN), OLD), RolledBack)


def test_a_request_brings_back_what_was_rolled_back(ledger: Ledger) -> None:
    """Somebody wants it; from then on a scan may put it, too."""
    first = carry_out(ledger, intent())
    carry_out(ledger, back(first), NEW)

    carry_out(ledger, intent(), OLD)
    carry_out(ledger, intent(OTHER), NEW)
    carry_out(ledger, intent(trigger=Trigger.SCAN), OTHER)


def test_what_was_put_back_by_hand_is_rolled_back_all_the_same(ledger: Ledger, heads: Heads) -> None:
    """The tag is at OLD already: the ledger learns that, and from what it was rolled back."""
    first = carry_out(ledger, intent())
    moves = (TagMove("prod", Outcome.PLANNED, OLD),)
    moved = begin(ledger, back(first, moves=moves), OLD)
    assert isinstance(moved, Stale), moved
    found = leased(ledger, again := back(first, moves=moves), OLD, **moved.versions)
    finish(ledger, found, ended(again, Outcome.UNCHANGED))

    head = heads.head(PLACE, "prod")
    assert head is not None
    assert (head.image_digest, head.promotion_id, head.undoes) == (OLD, again.promotion_id, first.promotion_id)
    assert isinstance(begin(ledger, intent(trigger=Trigger.SCAN), OLD), RolledBack)


def test_a_rollback_is_only_of_the_last_promotion(ledger: Ledger) -> None:
    """Or of what a rollback of the same promotion has left: it may be sent again."""
    first = carry_out(ledger, intent())
    carry_out(ledger, intent(OTHER), NEW)
    carry_out(ledger, intent(NEW), OTHER)

    moved_on = begin(ledger, back(first), NEW)
    assert isinstance(moved_on, MovedOn), moved_on
    assert moved_on.image_tags == ("prod",)

    last = carry_out(ledger, intent(OTHER), NEW)
    carry_out(ledger, back(last, NEW), OTHER)
    leased(ledger, back(last, NEW), NEW)


def test_taking_over_drift_forgets_no_rollback(ledger: Ledger, heads: Heads) -> None:
    """Somebody put the bad image again by hand, and a scan found it there: no reason to put it once more."""
    first = carry_out(ledger, intent())
    carry_out(ledger, back(first), NEW)
    found = intent(trigger=Trigger.SCAN, moves=(TagMove("prod", Outcome.UNCHANGED, NEW),))
    record_only(ledger, ended(found, Outcome.UNCHANGED, at=LATER))
    (head,) = listed(heads)
    assert heads.adopt(head, NEW)

    carry_out(ledger, intent(OTHER), NEW)
    assert isinstance(begin(ledger, intent(trigger=Trigger.SCAN), OTHER), RolledBack)


def forget(ledger: Ledger, promotion_id: str) -> None:
    """Lose a record, as a restored table may, and leave the tags that it holds."""
    if isinstance(ledger, InMemoryLedger):
        del ledger.leases[promotion_id], ledger.records[promotion_id]
    elif isinstance(ledger, DynamoLedger):
        ledger._table.delete(keys.promotion(promotion_id), "the test")


def test_a_tag_that_is_held_for_nobody_can_be_freed(ledger: Ledger, clock: Clock) -> None:
    """When its time is over; nobody else's is touched."""
    record = intent()
    leased(ledger, record)
    ledger.release(PLACE, ["prod"], record.promotion_id)
    assert isinstance(begin(ledger, intent()), Busy)
    forget(ledger, record.promotion_id)
    clock.time += timedelta(seconds=31)

    abandoned = begin(ledger, intent())
    assert isinstance(abandoned, Abandoned), abandoned
    assert abandoned.image_tags == ("prod",)
    ledger.release(PLACE, ["prod"], "another")
    assert isinstance(begin(ledger, intent()), Abandoned)

    ledger.release(PLACE, ["prod"], record.promotion_id)
    carry_out(ledger, intent())


def test_who_lost_a_tag_is_told_which(ledger: Ledger, heads: Heads, clock: Clock) -> None:
    """A restored table holds it for somebody else: the rest can be ended without it."""
    record = intent(tags=("a", "b"))
    lease = leased(ledger, record)
    clock.time += timedelta(seconds=31)
    ledger.release(PLACE, ["a"], record.promotion_id)

    lost = ledger.finish(lease, ended(record))
    assert isinstance(lost, LeaseLost), lost

    assert lost.image_tags == ("a",)
    rest = ended(replace(record, moves=record.moves[1:]))
    finish(ledger, lease.without(["a"]), rest)
    assert (heads.head(PLACE, "a"), ledger.lease(record.promotion_id)) == (None, None)


def test_a_refusal_is_recorded_with_its_reasons(ledger: Ledger) -> None:
    """And told again as it was."""
    reason = Reason("finding", "bad", rule="prod", platform="linux/amd64", vulnerability="CVE-1", fixed_in="2")
    refused = failed(intent(moves=()), GateRefused("bad", reasons=(reason,)))
    record_only(ledger, refused)

    again = ledger.record(refused)

    assert isinstance(again, Replayed)
    told = documents.not_promoted(again.record)
    assert told is not None
    assert isinstance(told.error, GateRefused)
    assert told.error.reasons == (reason,)


def listed(heads: Heads, rota: Rota = Rota.MOVING) -> list[Head]:
    """Return all heads of a rota, page after page."""
    found: list[Head] = []
    after = None
    while page := heads.listed(rota, after):
        found += [head for _, head in page]
        after = page[-1][0]
    return found


def test_drift_is_noted_at_the_head(ledger: Ledger, heads: Heads) -> None:
    """Until the tag is found where it should be; elsewhere or gone, it is listed as before."""
    carry_out(ledger, intent())
    for drift in (OTHER, GONE, None):
        (head,) = listed(heads)
        assert heads.note(head, drift=drift, rota=Rota.MOVING)

        noted = heads.head(PLACE, "prod")
        assert noted is not None
        assert noted.drift == drift
        assert [each.drift for each in listed(heads)] == [drift]


def test_a_head_is_listed_in_its_rota(ledger: Ledger, heads: Heads) -> None:
    """In one of them or in none; a promotion of the tag lists it among those that move again."""
    carry_out(ledger, intent())
    (head,) = listed(heads)
    heads.note(head, drift=GONE, rota=Rota.ONCE)
    assert (listed(heads), [each.drift for each in listed(heads, Rota.ONCE)]) == ([], [GONE])
    heads.note(head, drift=None, rota=None)
    assert (listed(heads), listed(heads, Rota.ONCE)) == ([], [])

    again = intent(OTHER)
    finish(ledger, leased(ledger, again, None, prod=1), ended(again))

    assert [each.drift for each in listed(heads)] == [None]


def test_a_tag_that_was_moved_is_known_from_one_that_was_put_once(ledger: Ledger, heads: Heads) -> None:
    """By an image that it left; or by a second move, where it was deleted in between."""
    carry_out(ledger, intent(moves=(TagMove("prod", Outcome.PLANNED, None),)), None)
    assert [head.moving for head in listed(heads)] == [False]

    carry_out(ledger, intent(OTHER, moves=(TagMove("prod", Outcome.PLANNED, NEW),)), NEW)
    assert [head.moving for head in listed(heads)] == [True]


def test_heads_are_listed_page_by_page_with_their_repository(ledger: Ledger, heads: Heads) -> None:
    """So that one call of ECR answers for all of them."""
    places = [Repository(PLACE.registry_id, name) for name in ("team/web", "team/web-api", "team")]
    for place in places:
        for start in range(0, 60, 20):
            tags = tuple(f"v{number}" for number in range(start, start + 20))
            carry_out(ledger, intent(tags=tags, repository=place))

    found = listed(heads)

    assert len({(head.repository, head.image_tag) for head in found}) == len(found) == 180
    assert [place for place, _ in groupby(head.repository for head in found)] == sorted(
        places, key=lambda place: place.name
    )


def test_abandoned_promotions_are_read_page_by_page(ledger: Ledger, clock: Clock) -> None:
    """Those that cannot be settled do not hide those behind them."""
    names = []
    for number in range(120):
        record = intent(tags=(f"v{number}",))
        leased(ledger, record)
        names.append(record.promotion_id)
    clock.time += timedelta(minutes=5)

    assert sorted(ledger.abandoned()) == sorted(names)
    assert len(list(islice(ledger.abandoned(), 3))) == 3


def test_one_run_of_reconcile_at_a_time(runs: ReconcileRuns, clock: Clock) -> None:
    """Until it gives the right back, or its time is over; who lost it does not take it from the next one."""
    assert runs.begin("one", clock.time + timedelta(minutes=15))
    assert not runs.begin("two", clock.time + timedelta(minutes=15))
    runs.end("one")
    assert runs.begin("two", clock.time + timedelta(minutes=15))

    clock.time += timedelta(minutes=16)
    assert runs.begin("three", clock.time + timedelta(minutes=15))
    runs.end("two")
    assert not runs.begin("four", clock.time + timedelta(minutes=15))


def test_a_round_is_remembered(runs: ReconcileRuns, clock: Clock) -> None:
    """Each rota has its own."""
    assert runs.round(Rota.MOVING) == Round()
    for at in (Round("a", clock.time), Round(None, clock.time, clock.time - timedelta(hours=1))):
        runs.keep_round(Rota.MOVING, at)
        assert runs.round(Rota.MOVING) == at
    assert runs.round(Rota.ONCE) == Round()


def test_drift_that_was_asked_for_is_taken_over(ledger: Ledger, heads: Heads) -> None:
    """Only if it is the last that was asked for, and just that."""
    carry_out(ledger, intent())
    (head,) = listed(heads)
    heads.note(head, drift=OTHER, rota=Rota.MOVING)
    assert heads.adopt(head, OTHER) is False

    accepted = intent(OTHER, moves=(TagMove("prod", Outcome.UNCHANGED, OTHER),))
    record_only(ledger, ended(accepted, Outcome.UNCHANGED, at=LATER))
    assert heads.adopt(head, OLD) is False
    assert heads.adopt(head, OTHER) is True

    taken = heads.head(PLACE, "prod")
    assert taken is not None
    assert (taken.image_digest, taken.promotion_id, taken.drift) == (OTHER, accepted.promotion_id, None)


def test_drift_is_taken_over_by_what_was_found_there(ledger: Ledger, heads: Heads) -> None:
    """Whatever else the promotion has put, and whatever was refused since."""
    carry_out(ledger, intent())
    (head,) = listed(heads)
    both = intent(OTHER, tags=("prod", "v2"))
    lease = ledger.begin(replace(both, moves=both.moves[1:]), {"v2": OLD}, {})
    assert isinstance(lease, Lease)
    found, put = both.moves
    moves = (replace(found, outcome=Outcome.UNCHANGED), replace(put, outcome=Outcome.PROMOTED))
    finish(ledger, lease, ended(replace(both, moves=moves), None, at=LATER))
    refused = replace(failed(intent(NEW, moves=()), GateRefused("bad")), ended_at=LATER + timedelta(hours=1))
    record_only(ledger, refused)

    assert heads.adopt(head, OTHER) is True
    assert heads.adopt(head, NEW) is False


def test_drift_is_not_noted_of_a_tag_that_moves_meanwhile(ledger: Ledger, heads: Heads) -> None:
    """What was compared is out of date: a lease is held, or the tag is somewhere else by now."""
    carry_out(ledger, intent())
    (head,) = listed(heads)
    following = intent(OTHER)
    lease = leased(ledger, following, NEW)

    assert heads.note(head, drift=OTHER, rota=Rota.MOVING) is False
    finish(ledger, lease, ended(following))
    assert heads.note(head, drift=OTHER, rota=Rota.MOVING) is False

    noted = heads.head(PLACE, "prod")
    assert noted is not None
    assert noted.drift is None


def test_forty_tags_fit_into_one_promotion(dynamo: DynamoLedger) -> None:
    """As many as a request may name."""
    carry_out(dynamo, intent(tags=tuple(f"v{number}" for number in range(40))))


def test_a_promotion_sends_few_bytes(
    kept: Table, dynamo: DynamoLedger, control: Callable[..., tuple[int, dict[str, Any]]]
) -> None:
    """3,000 at most for one new tag, with names of usual length: nothing is sent twice that the table knows."""
    moves = (TagMove("v20261124-1", Outcome.PLANNED, None),)
    asked: dict[str, Any] = {"source": ImageId("build-1"), "caller": None, "fingerprint": ""}
    record = intent(tags=("v20261124-1",), moves=moves, **asked)
    control("DELETE", "/calls")

    carry_out(dynamo, record, None)

    calls = control("GET", "/calls")[1]["calls"]
    assert [call["operation"] for call in calls] == ["TransactWriteItems"] * 2
    longer = len("EcrPromoter-LedgerTable12345678-ABCDEFGHIJKL") - len(kept.name)
    assert sum(call["requestBytes"] for call in calls) + 5 * longer <= 3_000


def test_what_ended_otherwise_than_intended_is_recorded_so(roles: dict[str, Any]) -> None:
    """Somebody else put one of the tags first, and another was lost with a restored table."""
    ledger, tags = roles["ledger"], ("a", "b", "c")
    record = intent(tags=tags)
    lease = leased(ledger, record)
    put, found = record.moves[0], replace(record.moves[1], outcome=Outcome.UNCHANGED, previous_digest=NEW)
    moves = (replace(put, outcome=Outcome.PROMOTED), found)
    done = replace(ended(replace(record, moves=moves), None), image_tags=tags)

    finish(ledger, lease.without(["c"]), done)

    kept = roles["history"].promotion(record.promotion_id)
    assert (kept.moves, kept.image_tags, kept.outcome) == (moves, tags, Outcome.PROMOTED)


def test_a_lease_that_covers_fewer_tags_than_were_asked_for_is_recorded_so(roles: dict[str, Any]) -> None:
    """No move is told of the tag that was lost, although the rest went as intended."""
    ledger, tags = roles["ledger"], ("a", "b")
    record = intent(tags=tags)
    rest = leased(ledger, record).without(["b"])
    done = replace(ended(rest.record), image_tags=tags)

    finish(ledger, rest, done)

    kept = roles["history"].promotion(record.promotion_id)
    assert [move.image_tag for move in kept.moves] == ["a"]
    assert kept.image_tags == tags


@pytest.mark.parametrize("code", ["ThrottlingException", "AccessDeniedException", "InternalServerError"])
def test_a_table_that_fails_is_a_ledger_error(
    dynamo: DynamoLedger, faults: Callable[..., None], code: str
) -> None:
    """Nothing is taken to be recorded that is not."""
    faults("dynamodb", "TransactWriteItems", code=code, status=500 if "Server" in code else 400, times=10)

    with pytest.raises(LedgerError):
        leased(dynamo, intent())


def test_an_answer_that_was_lost_is_asked_for_again(
    faults: Callable[..., None], local_aws: LocalAws, table: str, clock: Clock
) -> None:
    """The SDK repeats the transaction with its token: it is carried out once."""
    kept = Table(local_aws.client("dynamodb", config=CLIENT), table, local_aws.region)
    dynamo = dynamo_ledger(kept, clock)
    faults("dynamodb", "TransactWriteItems", code="InternalServerError", status=500, times=1, after=True)

    carry_out(dynamo, intent())

    head = DynamoHeads(kept).head(PLACE, "prod")
    assert head is not None
    assert head.image_digest == NEW


BUSY = {
    "code": "TransactionCanceledException",
    "members": {"CancellationReasons": [{"Code": "None"}, {"Code": "TransactionConflict"}, {"Code": "None"}]},
}


def test_the_end_is_written_although_others_are_in_the_way(
    dynamo: DynamoLedger, kept: Table, faults: Callable[..., None]
) -> None:
    """The tags are put: who waits for them would wait for nothing else."""
    record = intent()
    lease = leased(dynamo, record)
    faults("dynamodb", "TransactWriteItems", times=3, **BUSY)

    finish(dynamo, lease, ended(record))

    head = DynamoHeads(kept).head(PLACE, "prod")
    assert head is not None
    assert head.image_digest == NEW


def test_an_end_that_cannot_be_written_is_not_said_to_be_late(
    dynamo: DynamoLedger, faults: Callable[..., None]
) -> None:
    """It is tried a few times, and then told as what it is."""
    record = intent()
    lease = leased(dynamo, record)
    faults("dynamodb", "TransactWriteItems", times=100, **BUSY)

    with pytest.raises(LedgerError, match="busy"):
        finish(dynamo, lease, ended(record))


def test_a_table_that_does_not_answer_is_a_ledger_error(
    faults: Callable[..., None], local_aws: LocalAws, table: str, clock: Clock
) -> None:
    """After the client's own time-out, not after Lambda's."""
    impatient = Config(read_timeout=0.3, retries={"total_max_attempts": 1})
    dynamo = dynamo_ledger(Table(local_aws.client("dynamodb", config=impatient), table, local_aws.region), clock)
    faults("dynamodb", "TransactWriteItems", delay=1.0)

    with pytest.raises(LedgerError, match="timeout"):
        leased(dynamo, intent())
