"""What a promotion that waits leaves in the table: items, what the stream tells of them, and the list of all."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.aws import LocalAws
from promoter.aws.dynamodb import keys
from promoter.aws.dynamodb.history import DynamoHistory
from promoter.aws.dynamodb.ledger import DynamoLedger
from promoter.aws.dynamodb.listing import FILTERED_PAGE
from promoter.aws.dynamodb.table import Table
from promoter.aws.dynamodb.waiting import DynamoWaitingPromotions
from promoter.domain import documents
from promoter.domain.answers import NotPromoted
from promoter.domain.errors import Cancelled, InvalidRequest, LedgerError
from promoter.domain.history import document
from promoter.domain.leasing import Busy, Recorded
from promoter.domain.listing import Filter
from promoter.domain.manifest import OCI_MANIFEST
from promoter.domain.model import Manifest, Outcome, Reason, Seen, TagMove, Wait
from promoter.domain.records import Record
from tests.adapters.test_ledger import NEW, OLD, OTHER, PLACE, Clock, ended, finish, intent, leased
from tests.adapters.test_waiting_promotions import SOAKING, accept, accepted, event, request, resumed
from tests.support.announced import entries_of
from tests.support.tables import dynamo_roles

ELSEWHERE = PLACE._replace(name="team/api")


@pytest.fixture
def clock() -> Clock:
    """As late as it is: a list leaves out what has expired."""
    return Clock(datetime.now(UTC))


@pytest.fixture
def kept(local_aws: LocalAws, table: str) -> Table:
    return Table(local_aws.client("dynamodb"), table, local_aws.region)


@pytest.fixture
def roles(kept: Table, clock: Clock) -> dict[str, Any]:
    return dynamo_roles(kept, clock)


@pytest.fixture
def waiting(roles: dict[str, Any]) -> DynamoWaitingPromotions:
    found: DynamoWaitingPromotions = roles["waiting"]
    return found


@pytest.fixture
def ledger(roles: dict[str, Any]) -> DynamoLedger:
    found: DynamoLedger = roles["ledger"]
    return found


@pytest.fixture
def history(kept: Table) -> DynamoHistory:
    return DynamoHistory(kept)


@pytest.fixture
def told(local_aws: LocalAws, table: str) -> Callable[[], list[tuple[str, dict[str, Any]]]]:
    """Return what the table's stream has announced until now."""

    def read() -> list[tuple[str, dict[str, Any]]]:
        streams = local_aws.client("dynamodbstreams")
        (stream,) = streams.list_streams(TableName=table)["Streams"]
        arn, changes = stream["StreamArn"], []
        for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
            iterator = streams.get_shard_iterator(
                StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            changes += streams.get_records(ShardIterator=iterator)["Records"]
        return [(entry["DetailType"], json.loads(entry["Detail"])) for entry in entries_of(changes)]

    return read


def cancelled(record: Record, now: datetime) -> Record:
    return documents.ended(record, NotPromoted(Cancelled("enough"), record.moves[:0]), now=now)


def throttled(record: Record, now: datetime) -> Record:
    """Return the record of a request that waits since the registry throttled."""
    wait = Wait(now + timedelta(hours=1), {"prod": Seen(OLD, 0)}, leases=1)
    return documents.waits(record, wait, [Reason("throttled", "slow down")])


def test_a_request_that_waits_is_announced_once(
    waiting: DynamoWaitingPromotions, ledger: DynamoLedger, told: Callable[[], Any], clock: Clock
) -> None:
    """When it is accepted: neither when it is tried, nor when it has to wait again. Its end is announced too."""
    record = accepted(waiting, request(clock()))
    assert record.wait
    waiting.update(record, documents.waits(record, record.wait, [SOAKING]), clock())
    lease = resumed(ledger, record, prod=0)
    finish(ledger, lease, throttled(lease.record, clock()))
    again = waiting.promotion(record.promotion_id)
    assert again is not None
    waiting.update(again, again, clock())
    lease = resumed(ledger, again, prod=0)
    finish(ledger, lease, ended(lease.record))

    (waits, accepted_as), (done, _) = told()

    assert (waits, done) == ("Promotion Waiting", "Image Promoted")
    assert accepted_as == {"version": "1"} | documents.document(record)


def test_a_request_that_has_to_wait_after_its_lease_is_announced_once(
    waiting: DynamoWaitingPromotions, ledger: DynamoLedger, told: Callable[[], Any], clock: Clock
) -> None:
    """It had not been accepted before."""
    record = replace(intent(), wait=Wait(clock() + timedelta(hours=1)))
    finish(ledger, leased(ledger, record), throttled(record, clock()))
    again = waiting.promotion(record.promotion_id)
    assert again is not None
    waiting.update(again, again, clock())

    assert [kind for kind, _ in told()] == ["Promotion Waiting"]


def test_a_request_that_waits_anew_under_its_key_is_announced_anew(
    waiting: DynamoWaitingPromotions, ledger: DynamoLedger, told: Callable[[], Any], clock: Clock
) -> None:
    """It was cancelled: that is another wait."""
    record = accepted(waiting, request(clock()))
    assert ledger.record(cancelled(record, clock()), record) == Recorded()
    accepted(waiting, request(clock(), promotion_id=record.promotion_id))

    assert [kind for kind, _ in told()] == ["Promotion Waiting", "Promotion Refused", "Promotion Waiting"]


def test_a_promotion_by_event_that_waits_is_not_announced(
    waiting: DynamoWaitingPromotions, ledger: DynamoLedger, told: Callable[[], Any], clock: Clock
) -> None:
    """Nobody has asked for it. Its end is announced."""
    record = accepted(waiting, event(clock()))
    ledger.record(cancelled(record, clock()), record)

    assert [kind for kind, _ in told()] == ["Promotion Refused"]


def test_the_document_says_for_what_it_waits(
    waiting: DynamoWaitingPromotions, history: DynamoHistory, clock: Clock
) -> None:
    """And until when, and what it will move; it has no end yet, and no code."""
    record = accepted(waiting, request(clock()))
    assert record.wait

    shown = documents.document(history.promotion(record.promotion_id))

    assert shown["outcome"] == "WAITING"
    assert shown["waitingFor"] == ["scan_pending"]
    assert shown["waitsUntil"] == record.wait.until.isoformat()
    assert shown["detail"] == "Not scanned yet."
    assert shown["images"] == [{"imageTag": "prod", "outcome": "PLANNED", "previousDigest": OLD}]
    assert shown.keys().isdisjoint({"code", "endedAt"})


def test_nothing_of_a_wait_is_left_in_the_record_of_its_end(
    waiting: DynamoWaitingPromotions,
    ledger: DynamoLedger,
    history: DynamoHistory,
    local_aws: LocalAws,
    table: str,
    clock: Clock,
) -> None:
    """It stands in the history like any other; what belonged to the wait expires a day after its time."""
    manifest = Manifest(b"{}", OCI_MANIFEST, NEW)
    record = request(clock(), ("prod",))
    assert record.wait
    assert accept(waiting, record, manifest=manifest) == Recorded()
    client = local_aws.client("dynamodb")
    (item,) = [each for each in client.scan(TableName=table)["Items"] if "outcome" in each]
    assert "expires" not in item
    lease = resumed(ledger, record, prod=0)
    done = ended(lease.record)
    finish(ledger, lease, done)

    assert history.promotion(record.promotion_id) == replace(done, fingerprint=record.fingerprint)
    (entry,) = history.promotions(PLACE).entries
    assert (entry.promotion_id, entry.waits_until) == (record.promotion_id, None)
    items = client.scan(TableName=table)["Items"]
    (item,) = [each for each in items if "outcome" in each and each["sk"]["S"] == "record"]
    assert item.keys().isdisjoint({"waits", "waitsUntil", "accepted", "lease"})
    over = {each["expires"]["N"] for each in items if each["pk"]["S"].startswith("waiting#")}
    over |= {each["expires"]["N"] for each in items if each["sk"]["S"] == "manifest"}
    assert over == {keys.seconds(record.wait.until + timedelta(days=1))}


def test_a_lease_in_the_way_is_not_a_failure(
    waiting: DynamoWaitingPromotions, faults: Callable[..., None], clock: Clock
) -> None:
    """Another promotion of the same tags is being written at the same moment: the caller tries again."""
    reasons = [{"Code": "None"}, {"Code": "TransactionConflict"}, {"Code": "None"}]
    busy: dict[str, Any] = {
        "code": "TransactionCanceledException",
        "members": {"CancellationReasons": reasons},
        "times": 1,
    }
    for record in (request(clock()), event(clock())):
        faults("dynamodb", "TransactWriteItems", **busy)
        assert isinstance(accept(waiting, record), Busy)
        assert accept(waiting, record) == Recorded()


@pytest.mark.parametrize(
    ("operation", "call"),
    [
        ("TransactWriteItems", accept),
        ("GetItem", lambda waiting, record: waiting.promotion(record.promotion_id)),
        ("GetItem", lambda waiting, record: waiting.manifest(record.promotion_id)),
        ("GetItem", lambda waiting, record: waiting.overtaken(record)),
        ("UpdateItem", lambda waiting, record: waiting.update(record, record, record.asked_at)),
        ("Query", lambda waiting, record: list(waiting.due(record.asked_at))),
    ],
)
def test_a_table_that_fails_is_a_ledger_error(
    waiting: DynamoWaitingPromotions, faults: Callable[..., None], clock: Clock, operation: str, call: Any
) -> None:
    """Nothing is taken to be recorded that is not."""
    faults("dynamodb", operation, code="ThrottlingException", status=400, times=10)

    with pytest.raises(LedgerError, match="Throttling"):
        call(waiting, request(clock()))


def test_waiting_promotions_are_spread_over_the_index(
    waiting: DynamoWaitingPromotions, local_aws: LocalAws, table: str, clock: Clock
) -> None:
    """No key of it gets more than a few of many."""
    for number in range(200):
        accept(waiting, request(clock(), (f"v{number}",)))

    items = local_aws.client("dynamodb").scan(TableName=table)["Items"]
    listings = Counter(item["listing"]["S"] for item in items if "listing" in item)
    assert len(listings) == keys.SHARDS
    assert max(listings.values()) < 3 * 200 / keys.SHARDS


def pages(history: DynamoHistory, **query: Any) -> Iterator[list[str]]:
    """Yield the promotionIds of each page of the list of what waits, up to the last."""
    token = None
    while True:
        page = history.waiting(next_token=token, **query)
        yield [entry.promotion_id for entry in page.entries]
        if not (token := page.next_token):
            return


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
def test_what_waits_is_listed_page_by_page(
    waiting: DynamoWaitingPromotions, ledger: DynamoLedger, history: DynamoHistory, clock: Clock, limit: int
) -> None:
    """All of it, none twice: of all repositories, or of one, or of a tag. What has ended is not among them."""
    requests = [accepted(waiting, request(clock(), (f"v{number % 3}",), rule=f"r{number}")) for number in range(9)]
    events = [
        accepted(waiting, event(clock(), source=f"build-{number}", repository=ELSEWHERE)) for number in range(5)
    ]
    gone = accepted(waiting, request(clock(), rule="gone"))
    ledger.record(cancelled(gone, clock()), gone)

    def names(**query: Any) -> list[str]:
        found = list(pages(history, limit=limit, **query))
        assert all(len(page) <= limit for page in found)
        return sorted(name for page in found for name in page)

    def ids(records: list[Record]) -> list[str]:
        return sorted(record.promotion_id for record in records)

    assert names() == ids(requests + events)
    assert names(repository=PLACE) == ids(requests)
    assert names(repository=ELSEWHERE) == ids(events)
    assert names(repository=PLACE, image_tag="v1") == ids(requests[1::3])
    assert names(image_tag="v9") == []


def test_what_waits_is_found_by_what_it_is(
    waiting: DynamoWaitingPromotions, history: DynamoHistory, clock: Clock
) -> None:
    """By its digest and its caller; what has waited for as long as it may does not wait."""
    now = clock()
    one = accepted(waiting, request(now, ("a",)))
    other = accepted(waiting, request(now, ("b",), digest=OTHER, caller="arn:y"))
    old = request(now - timedelta(hours=2), ("c",))
    assert accept(waiting, old) == Recorded()

    def found(wanted: Filter) -> list[list[str]]:
        return list(pages(history, wanted=wanted))

    assert found(Filter(outcome=Outcome.WAITING, image_digest=OTHER)) == [[other.promotion_id]]
    assert found(Filter(caller="arn:x")) == [[one.promotion_id]]
    assert sorted(*found(Filter())) == sorted([one.promotion_id, other.promotion_id])


def test_the_list_shows_what_the_document_says(
    waiting: DynamoWaitingPromotions, history: DynamoHistory, clock: Clock
) -> None:
    """By the same names."""
    record = accepted(waiting, request(clock()))
    full = documents.document(record)

    (entry,) = history.waiting().entries

    shown = document(entry)
    assert shown == {name: full[name] for name in shown}
    assert {"waitingFor", "waitsUntil", "askedAt", "images"} <= shown.keys()
    assert entry.moves == (TagMove("prod", Outcome.PLANNED, OLD),)


def test_a_filter_that_leaves_many_out_comes_to_an_end(
    waiting: DynamoWaitingPromotions, history: DynamoHistory, clock: Clock
) -> None:
    """More wait than one read of the index looks at."""
    for number in range(FILTERED_PAGE * 2):
        accept(waiting, request(clock(), (f"v{number}",)))
    last = accepted(waiting, request(clock(), ("last",), caller="arn:y"))

    found = [name for page in pages(history, wanted=Filter(caller="arn:y"), limit=2) for name in page]

    assert found == [last.promotion_id]


@pytest.mark.parametrize("token", ["x", "16.", "99.", "-1.", "1", ".", "0.x", "²."])
def test_a_token_of_another_list_is_refused(
    waiting: DynamoWaitingPromotions, history: DynamoHistory, clock: Clock, token: str
) -> None:
    """It is not read on from somewhere."""
    with pytest.raises(InvalidRequest) as caught:
        history.waiting(next_token=token)
    assert caught.value.field == "nextToken"


def test_a_token_of_what_waits_is_of_no_other_list(
    waiting: DynamoWaitingPromotions, history: DynamoHistory, clock: Clock
) -> None:
    """Nor is that of one part of the list that of another part."""
    asked = (request(clock(), (f"v{number}",)) for number in range(1000))
    in_one_part = (each for each in asked if keys.waiting(each.promotion_id) == keys.shard(0))
    for record in itertools.islice(in_one_part, 2):
        accept(waiting, record)
    token = history.waiting(limit=1).next_token
    assert token
    listing, _, inner = token.partition(".")
    assert inner

    for other in (f"{(int(listing) + 1) % keys.SHARDS}.{inner}",):
        with pytest.raises(InvalidRequest):
            history.waiting(next_token=other)
    with pytest.raises(InvalidRequest):
        history.promotions(PLACE, next_token=inner)
