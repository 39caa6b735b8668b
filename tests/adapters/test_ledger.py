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
from promoter.aws.dynamodb import table as dynamo_keys
from promoter.aws.dynamodb.ledger import DynamoLedger
from promoter.domain import documents
from promoter.domain.errors import GateRefused, IdempotencyConflict, LedgerError, TagBusy, Throttled
from promoter.domain.manifest import OCI_MANIFEST
from promoter.domain.model import (
    GONE,
    Head,
    ImageId,
    Lease,
    Manifest,
    Outcome,
    Promoted,
    Reason,
    Record,
    Repository,
    Rota,
    Round,
    TagMove,
    Trigger,
)
from promoter.domain.ports import (
    AbandonedError,
    HeadMovedError,
    LeaseLostError,
    Ledger,
    MovedOnError,
    PartlyDoneError,
    RolledBackError,
)
from promoter.wiring import CLIENT
from tests.support.ledgers import InMemoryLedger

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
def dynamo(local_aws: LocalAws, table: str, clock: Clock) -> DynamoLedger:
    return DynamoLedger(
        local_aws.client("dynamodb"),
        table,
        lease_duration=timedelta(seconds=30),
        history=timedelta(days=400),
        now=clock,
        pause=lambda _: None,
    )


@pytest.fixture(params=["memory", "dynamodb"])
def ledger(request: pytest.FixtureRequest, clock: Clock) -> Ledger:
    if request.param == "memory":
        return InMemoryLedger(clock)
    found: Ledger = request.getfixturevalue("dynamo")
    return found


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


def begin(ledger: Ledger, record: Record, seen: str | None = OLD, **versions: int) -> Any:
    return ledger.begin(record, dict.fromkeys(record.image_tags, seen), versions)


def carry_out(ledger: Ledger, record: Record, seen: str | None = OLD) -> Record:
    """Begin and finish; return what was recorded."""
    lease = begin(ledger, record, seen)
    done = ended(record)
    ledger.finish(lease, done)
    return done


def test_a_tag_has_one_lease_at_a_time(ledger: Ledger) -> None:
    """While one promotion has it, others are told to wait; afterwards it is free again."""
    first = intent()
    lease = begin(ledger, first)

    with pytest.raises(TagBusy):
        begin(ledger, intent())

    ledger.finish(lease, ended(first))
    begin(ledger, intent(OTHER), NEW)


def test_several_tags_are_taken_all_or_none(ledger: Ledger) -> None:
    """A promotion that cannot have one of its tags has none, so that two never wait for each other."""
    begin(ledger, intent(tags=("b",)))

    with pytest.raises(TagBusy):
        begin(ledger, intent(tags=("a", "b")))

    begin(ledger, intent(tags=("a",)))


def test_the_head_is_where_the_last_promotion_put_the_tag(ledger: Ledger) -> None:
    """With who put it there and when; a tag that was never promoted has none."""
    assert ledger.head(PLACE, "prod") is None
    done = carry_out(ledger, intent())

    head = ledger.head(PLACE, "prod")

    assert head is not None
    assert (head.image_digest, head.promotion_id, head.moved_at) == (NEW, done.promotion_id, done.ended_at)


def test_a_lease_is_given_only_where_the_tag_was_seen(ledger: Ledger) -> None:
    """Compare-and-swap: who looked before another promotion moved the tag has to look again."""
    carry_out(ledger, intent())

    with pytest.raises(HeadMovedError) as moved:
        begin(ledger, intent(OTHER), OLD)

    assert begin(ledger, intent(OTHER), OLD, **moved.value.versions)  # looked again: it is there, past the ledger


def test_a_tag_that_was_absent_is_taken_only_if_nobody_made_it_since(ledger: Ledger) -> None:
    """The first promotion of a tag is compared like any other."""
    carry_out(ledger, intent(), seen=None)

    with pytest.raises(HeadMovedError):
        begin(ledger, intent(OTHER), None)


def test_a_lease_that_nobody_ends_is_abandoned_when_its_time_is_over(ledger: Ledger, clock: Clock) -> None:
    """The next promotion of the tag is told whose it was, and finds what that one intended."""
    record = intent()
    begin(ledger, record)
    clock.time += timedelta(seconds=31)

    with pytest.raises(AbandonedError) as abandoned:
        begin(ledger, intent())

    assert abandoned.value.promotion_id == record.promotion_id
    assert list(ledger.abandoned()) == [record.promotion_id]
    lease = ledger.lease(record.promotion_id)
    assert lease is not None
    assert replace(lease.record, fingerprint="f") == record
    ledger.finish(lease, ended(record))
    assert ledger.lease(record.promotion_id) is None
    assert list(ledger.abandoned()) == []


def test_who_comes_after_the_end_of_the_lease_cannot_record(ledger: Ledger, clock: Clock) -> None:
    """Its promotion was settled by somebody else; nothing is written twice."""
    record = intent()
    late = begin(ledger, record)
    clock.time += timedelta(seconds=31)
    settled = ledger.lease(record.promotion_id)
    assert settled is not None
    ledger.finish(settled, ended(record))

    with pytest.raises(LedgerError, match="longer than its lease"):
        ledger.finish(late, ended(record))


def test_a_repeat_is_told_the_first_answer(ledger: Ledger) -> None:
    """Whether it would move something or not."""
    done = carry_out(ledger, intent())

    again = [ledger.begin(done, {"prod": NEW}, {}), ledger.record(ended(done, Outcome.UNCHANGED))]

    assert [each.outcome for each in again if isinstance(each, Record)] == ["PROMOTED", "PROMOTED"]


def test_a_promotion_under_way_is_not_repeated(ledger: Ledger, clock: Clock) -> None:
    """Until its lease is over."""
    record = intent()
    begin(ledger, record)

    with pytest.raises(TagBusy):
        begin(ledger, record)
    with pytest.raises(TagBusy):
        ledger.record(ended(record))
    clock.time += timedelta(seconds=31)
    with pytest.raises(AbandonedError):
        ledger.record(ended(record))


def test_a_key_stands_for_one_request(ledger: Ledger) -> None:
    """Another request under the same promotionId is refused, before and after the first one ended."""
    record = intent()
    lease = begin(ledger, record)

    with pytest.raises(IdempotencyConflict):
        begin(ledger, replace(record, fingerprint="other"))
    ledger.finish(lease, ended(record))
    with pytest.raises(IdempotencyConflict):
        ledger.record(replace(ended(record), fingerprint="other"))


def test_what_may_be_tried_again_is_replaced_by_the_next_try(ledger: Ledger) -> None:
    """A failure that a retry may overcome does not stand."""
    record = intent()
    failure = Throttled("slow down")
    lease = begin(ledger, record)
    ledger.finish(lease, documents.ended(record, failure, now=datetime(2026, 11, 23, 12, tzinfo=UTC)))
    assert ledger.head(PLACE, "prod") is None

    carry_out(ledger, record)

    head = ledger.head(PLACE, "prod")
    assert head is not None
    assert head.image_digest == NEW


def partly_done(ledger: Ledger) -> tuple[Record, Record]:
    """Put the first of two tags and fail at the second; return what was intended and what was recorded."""
    record = intent(tags=("a", "b"))
    lease = begin(ledger, record)
    failure = Throttled("slow down")
    failure.moves, failure.image_digest = (replace(record.moves[0], outcome=Outcome.PROMOTED),), NEW
    failed = documents.ended(record, failure, now=datetime(2026, 11, 23, 12, tzinfo=UTC))
    ledger.finish(lease, failed)
    return record, failed


def test_a_try_that_has_put_tags_is_not_forgotten(ledger: Ledger) -> None:
    """Neither by the next try nor by a refusal: who replaces it has to know it."""
    record, failed = partly_done(ledger)

    with pytest.raises(PartlyDoneError) as first:
        begin(ledger, record)
    with pytest.raises(PartlyDoneError) as second:
        ledger.record(ended(record, Outcome.UNCHANGED))

    assert first.value.record.moves == second.value.record.moves == failed.moves


def test_the_next_try_carries_on_what_was_put(ledger: Ledger) -> None:
    """Only the other tags are taken, and given back."""
    record, failed = partly_done(ledger)
    resumed = replace(record, moves=(failed.moves[0], record.moves[1]))

    lease = ledger.begin(resumed, {"b": OLD}, {}, failed)
    assert isinstance(lease, Lease)
    begin(ledger, intent(OTHER, tags=("a",)), NEW)  # somebody else's lease
    done = ended(resumed)
    ledger.finish(lease, done)

    heads = {tag: ledger.head(PLACE, tag) for tag in ("a", "b")}
    assert {tag: head and head.image_digest for tag, head in heads.items()} == {"a": NEW, "b": NEW}
    assert ledger.record(ended(record, Outcome.UNCHANGED)).moves == done.moves


def test_what_ended_is_known_by_its_id(ledger: Ledger) -> None:
    """Of the same request only; not what is under way."""
    record, failed = partly_done(ledger)
    begin(ledger, under_way := intent(tags=("c",)))
    done = carry_out(ledger, intent())

    tried = ledger.earlier(record)
    assert tried is not None
    assert tried.moves == failed.moves
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

    with pytest.raises(RolledBackError) as taken:
        begin(ledger, intent(trigger=Trigger.SCAN), OLD)
    assert taken.value.image_tags == ("prod",)

    carry_out(ledger, intent(OTHER, trigger=Trigger.SCAN), OLD)
    with pytest.raises(RolledBackError):
        begin(ledger, intent(trigger=Trigger.SCAN), OTHER)


def test_all_that_was_rolled_back_stays_so(ledger: Ledger) -> None:
    """The second rollback does not forget the first."""
    for digest in (NEW, OTHER):
        done = carry_out(ledger, intent(digest))
        carry_out(ledger, back(done), digest)

    for digest in (NEW, OTHER):
        with pytest.raises(RolledBackError):
            begin(ledger, intent(digest, trigger=Trigger.SCAN), OLD)


def test_a_request_brings_back_what_was_rolled_back(ledger: Ledger) -> None:
    """Somebody wants it; from then on a scan may put it, too."""
    first = carry_out(ledger, intent())
    carry_out(ledger, back(first), NEW)

    carry_out(ledger, intent(), OLD)
    carry_out(ledger, intent(OTHER), NEW)
    carry_out(ledger, intent(trigger=Trigger.SCAN), OTHER)


def test_what_was_put_back_by_hand_is_rolled_back_all_the_same(ledger: Ledger) -> None:
    """The tag is at OLD already: the ledger learns that, and from what it was rolled back."""
    first = carry_out(ledger, intent())
    moves = (TagMove("prod", Outcome.PLANNED, OLD),)
    with pytest.raises(HeadMovedError) as moved:
        begin(ledger, back(first, moves=moves), OLD)
    found = begin(ledger, again := back(first, moves=moves), OLD, **moved.value.versions)
    ledger.finish(found, ended(again, Outcome.UNCHANGED))

    head = ledger.head(PLACE, "prod")
    assert head is not None
    assert (head.image_digest, head.promotion_id, head.undoes) == (OLD, again.promotion_id, first.promotion_id)
    with pytest.raises(RolledBackError):
        begin(ledger, intent(trigger=Trigger.SCAN), OLD)


def test_a_rollback_is_only_of_the_last_promotion(ledger: Ledger) -> None:
    """Or of what a rollback of the same promotion has left: it may be sent again."""
    first = carry_out(ledger, intent())
    carry_out(ledger, intent(OTHER), NEW)
    carry_out(ledger, intent(NEW), OTHER)

    with pytest.raises(MovedOnError) as moved_on:
        begin(ledger, back(first), NEW)
    assert moved_on.value.image_tags == ("prod",)

    last = carry_out(ledger, intent(OTHER), NEW)
    carry_out(ledger, back(last, NEW), OTHER)
    begin(ledger, back(last, NEW), NEW)


def test_taking_over_drift_forgets_no_rollback(ledger: Ledger) -> None:
    """Somebody put the bad image again by hand, and a scan found it there: no reason to put it once more."""
    first = carry_out(ledger, intent())
    carry_out(ledger, back(first), NEW)
    found = intent(trigger=Trigger.SCAN, moves=(TagMove("prod", Outcome.UNCHANGED, NEW),))
    ledger.record(ended(found, Outcome.UNCHANGED, at=LATER))
    (head,) = listed(ledger)
    assert ledger.adopt(head, NEW)

    carry_out(ledger, intent(OTHER), NEW)
    with pytest.raises(RolledBackError):
        begin(ledger, intent(trigger=Trigger.SCAN), OTHER)


def forget(ledger: Ledger, promotion_id: str) -> None:
    """Lose a record, as a restored table may, and leave the tags that it holds."""
    if isinstance(ledger, InMemoryLedger):
        del ledger.leases[promotion_id], ledger.records[promotion_id]
    elif isinstance(ledger, DynamoLedger):
        ledger._client.delete_item(TableName=ledger._table, Key=dynamo_keys.promotion_key(promotion_id))


def test_a_tag_that_is_held_for_nobody_can_be_freed(ledger: Ledger, clock: Clock) -> None:
    """When its time is over; nobody else's is touched."""
    record = intent()
    begin(ledger, record)
    ledger.release(PLACE, ["prod"], record.promotion_id)
    with pytest.raises(TagBusy):
        begin(ledger, intent())
    forget(ledger, record.promotion_id)
    clock.time += timedelta(seconds=31)

    with pytest.raises(AbandonedError) as abandoned:
        begin(ledger, intent())
    assert abandoned.value.image_tags == ("prod",)
    ledger.release(PLACE, ["prod"], "another")
    with pytest.raises(AbandonedError):
        begin(ledger, intent())

    ledger.release(PLACE, ["prod"], record.promotion_id)
    carry_out(ledger, intent())


def test_who_lost_a_tag_is_told_which(ledger: Ledger, clock: Clock) -> None:
    """A restored table holds it for somebody else: the rest can be ended without it."""
    record = intent(tags=("a", "b"))
    lease = begin(ledger, record)
    clock.time += timedelta(seconds=31)
    ledger.release(PLACE, ["a"], record.promotion_id)

    with pytest.raises(LeaseLostError) as lost:
        ledger.finish(lease, ended(record))

    assert lost.value.image_tags == ("a",)
    failed = ended(replace(record, moves=record.moves[1:]))
    ledger.finish(lease.without(["a"]), failed)
    assert (ledger.head(PLACE, "a"), ledger.lease(record.promotion_id)) == (None, None)


def test_a_refusal_is_recorded_with_its_reasons(ledger: Ledger) -> None:
    """And told again as it was."""
    reason = Reason("finding", "bad", rule="prod", platform="linux/amd64", vulnerability="CVE-1", fixed_in="2")
    refused = documents.ended(
        intent(moves=()), GateRefused("bad", reasons=(reason,)), now=datetime(2026, 11, 23, tzinfo=UTC)
    )
    assert ledger.record(refused) == refused

    told = documents.error(ledger.record(refused))

    assert isinstance(told, GateRefused)
    assert told.reasons == (reason,)


def listed(ledger: Ledger, rota: Rota = Rota.MOVING) -> list[Head]:
    """Return all heads of a rota, page after page."""
    found: list[Head] = []
    after = None
    while page := ledger.heads_listed(rota, after):
        found += [head for _, head in page]
        after = page[-1][0]
    return found


def test_drift_is_noted_at_the_head(ledger: Ledger) -> None:
    """Until the tag is found where it should be; elsewhere or gone, it is listed as before."""
    carry_out(ledger, intent())
    for drift in (OTHER, GONE, None):
        (head,) = listed(ledger)
        assert ledger.note(head, drift=drift, rota=Rota.MOVING)

        noted = ledger.head(PLACE, "prod")
        assert noted is not None
        assert noted.drift == drift
        assert [each.drift for each in listed(ledger)] == [drift]


def test_a_head_is_listed_in_its_rota(ledger: Ledger) -> None:
    """In one of them or in none; a promotion of the tag lists it among those that move again."""
    carry_out(ledger, intent())
    (head,) = listed(ledger)
    ledger.note(head, drift=GONE, rota=Rota.ONCE)
    assert (listed(ledger), [each.drift for each in listed(ledger, Rota.ONCE)]) == ([], [GONE])
    ledger.note(head, drift=None, rota=None)
    assert (listed(ledger), listed(ledger, Rota.ONCE)) == ([], [])

    again = intent(OTHER)
    ledger.finish(begin(ledger, again, None, prod=1), ended(again))

    assert [each.drift for each in listed(ledger)] == [None]


def test_a_tag_that_was_moved_is_known_from_one_that_was_put_once(ledger: Ledger) -> None:
    """By an image that it left; or by a second move, where it was deleted in between."""
    carry_out(ledger, intent(moves=(TagMove("prod", Outcome.PLANNED, None),)), None)
    assert [head.moving for head in listed(ledger)] == [False]

    carry_out(ledger, intent(OTHER, moves=(TagMove("prod", Outcome.PLANNED, NEW),)), NEW)
    assert [head.moving for head in listed(ledger)] == [True]


def test_heads_are_listed_page_by_page_with_their_repository(ledger: Ledger) -> None:
    """So that one call of ECR answers for all of them."""
    places = [Repository(PLACE.registry_id, name) for name in ("team/web", "team/web-api", "team")]
    for place in places:
        for start in range(0, 60, 20):
            tags = tuple(f"v{number}" for number in range(start, start + 20))
            carry_out(ledger, intent(tags=tags, repository=place))

    found = listed(ledger)

    assert len({(head.repository, head.image_tag) for head in found}) == len(found) == 180
    assert [place for place, _ in groupby(head.repository for head in found)] == sorted(
        places, key=lambda place: f"{place.name}:"
    )


def test_abandoned_promotions_are_read_page_by_page(ledger: Ledger, clock: Clock) -> None:
    """Those that cannot be settled do not hide those behind them."""
    names = []
    for number in range(120):
        record = intent(tags=(f"v{number}",))
        begin(ledger, record)
        names.append(record.promotion_id)
    clock.time += timedelta(minutes=5)

    assert sorted(ledger.abandoned()) == sorted(names)
    assert len(list(islice(ledger.abandoned(), 3))) == 3


def test_one_run_of_reconcile_at_a_time(ledger: Ledger, clock: Clock) -> None:
    """Until it gives the right back, or its time is over; who lost it does not take it from the next one."""
    assert ledger.begin_run("one", clock.time + timedelta(minutes=15))
    assert not ledger.begin_run("two", clock.time + timedelta(minutes=15))
    ledger.end_run("one")
    assert ledger.begin_run("two", clock.time + timedelta(minutes=15))

    clock.time += timedelta(minutes=16)
    assert ledger.begin_run("three", clock.time + timedelta(minutes=15))
    ledger.end_run("two")
    assert not ledger.begin_run("four", clock.time + timedelta(minutes=15))


def test_a_round_is_remembered(ledger: Ledger, clock: Clock) -> None:
    """Each rota has its own."""
    assert ledger.round(Rota.MOVING) == Round()
    for at in (Round("a", clock.time), Round(None, clock.time, clock.time - timedelta(hours=1))):
        ledger.keep_round(Rota.MOVING, at)
        assert ledger.round(Rota.MOVING) == at
    assert ledger.round(Rota.ONCE) == Round()


def test_drift_that_was_asked_for_is_taken_over(ledger: Ledger) -> None:
    """Only if it is the last that was asked for, and just that."""
    carry_out(ledger, intent())
    (head,) = listed(ledger)
    ledger.note(head, drift=OTHER, rota=Rota.MOVING)
    assert ledger.adopt(head, OTHER) is False

    accepted = intent(OTHER, moves=(TagMove("prod", Outcome.UNCHANGED, OTHER),))
    ledger.record(ended(accepted, Outcome.UNCHANGED, at=LATER))
    assert ledger.adopt(head, OLD) is False
    assert ledger.adopt(head, OTHER) is True

    taken = ledger.head(PLACE, "prod")
    assert taken is not None
    assert (taken.image_digest, taken.promotion_id, taken.drift) == (OTHER, accepted.promotion_id, None)


def test_drift_is_taken_over_by_what_was_found_there(ledger: Ledger) -> None:
    """Whatever else the promotion has put, and whatever was refused since."""
    carry_out(ledger, intent())
    (head,) = listed(ledger)
    both = intent(OTHER, tags=("prod", "v2"))
    lease = ledger.begin(replace(both, moves=both.moves[1:]), {"v2": OLD}, {})
    assert isinstance(lease, Lease)
    found, put = both.moves
    moves = (replace(found, outcome=Outcome.UNCHANGED), replace(put, outcome=Outcome.PROMOTED))
    ledger.finish(lease, ended(replace(both, moves=moves), None, at=LATER))
    ledger.record(documents.ended(intent(NEW, moves=()), GateRefused("bad"), now=LATER + timedelta(hours=1)))

    assert ledger.adopt(head, OTHER) is True
    assert ledger.adopt(head, NEW) is False


def test_drift_is_not_noted_of_a_tag_that_moves_meanwhile(ledger: Ledger) -> None:
    """What was compared is out of date: a lease is held, or the tag is somewhere else by now."""
    carry_out(ledger, intent())
    (head,) = listed(ledger)
    following = intent(OTHER)
    lease = begin(ledger, following, NEW)

    assert ledger.note(head, drift=OTHER, rota=Rota.MOVING) is False
    ledger.finish(lease, ended(following))
    assert ledger.note(head, drift=OTHER, rota=Rota.MOVING) is False

    noted = ledger.head(PLACE, "prod")
    assert noted is not None
    assert noted.drift is None


def test_forty_tags_fit_into_one_promotion(dynamo: DynamoLedger) -> None:
    """As many as a request may name."""
    carry_out(dynamo, intent(tags=tuple(f"v{number}" for number in range(40))))


@pytest.mark.parametrize("code", ["ThrottlingException", "AccessDeniedException", "InternalServerError"])
def test_a_table_that_fails_is_a_ledger_error(
    dynamo: DynamoLedger, faults: Callable[..., None], code: str
) -> None:
    """Nothing is taken to be recorded that is not."""
    faults("dynamodb", "TransactWriteItems", code=code, status=500 if "Server" in code else 400, times=10)

    with pytest.raises(LedgerError):
        begin(dynamo, intent())


def test_an_answer_that_was_lost_is_asked_for_again(
    faults: Callable[..., None], local_aws: LocalAws, table: str, clock: Clock
) -> None:
    """The SDK repeats the transaction with its token: it is carried out once."""
    client = local_aws.client("dynamodb", config=CLIENT)
    dynamo = DynamoLedger(
        client, table, lease_duration=timedelta(seconds=30), history=timedelta(days=1), now=clock
    )
    faults("dynamodb", "TransactWriteItems", code="InternalServerError", status=500, times=1, after=True)

    carry_out(dynamo, intent())

    head = dynamo.head(PLACE, "prod")
    assert head is not None
    assert head.image_digest == NEW


BUSY = {
    "code": "TransactionCanceledException",
    "members": {"CancellationReasons": [{"Code": "None"}, {"Code": "TransactionConflict"}, {"Code": "None"}]},
}


def test_the_end_is_written_although_others_are_in_the_way(
    dynamo: DynamoLedger, faults: Callable[..., None]
) -> None:
    """The tags are put: who waits for them would wait for nothing else."""
    record = intent()
    lease = begin(dynamo, record)
    faults("dynamodb", "TransactWriteItems", times=3, **BUSY)

    dynamo.finish(lease, ended(record))

    head = dynamo.head(PLACE, "prod")
    assert head is not None
    assert head.image_digest == NEW


def test_an_end_that_cannot_be_written_is_not_said_to_be_late(
    dynamo: DynamoLedger, faults: Callable[..., None]
) -> None:
    """It is tried a few times, and then told as what it is."""
    record = intent()
    lease = begin(dynamo, record)
    faults("dynamodb", "TransactWriteItems", times=100, **BUSY)

    with pytest.raises(LedgerError, match="busy"):
        dynamo.finish(lease, ended(record))


def test_a_table_that_does_not_answer_is_a_ledger_error(
    faults: Callable[..., None], local_aws: LocalAws, table: str, clock: Clock
) -> None:
    """After the client's own time-out, not after Lambda's."""
    impatient = Config(read_timeout=0.3, retries={"total_max_attempts": 1})
    dynamo = DynamoLedger(
        local_aws.client("dynamodb", config=impatient),
        table,
        lease_duration=timedelta(seconds=30),
        history=timedelta(days=1),
        now=clock,
    )
    faults("dynamodb", "TransactWriteItems", delay=1.0)

    with pytest.raises(LedgerError, match="timeout"):
        begin(dynamo, intent())
