"""What the ledger tells those who ask: filtered, page by page, on the local DynamoDB."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.aws import LocalAws
from promoter.aws.dynamodb.heads import DynamoHeads
from promoter.aws.dynamodb.history import DynamoHistory
from promoter.aws.dynamodb.ledger import DynamoLedger
from promoter.aws.dynamodb.listing import FILTERED_PAGE, READS
from promoter.aws.dynamodb.table import Table
from promoter.aws.dynamodb.wake_ups import DynamoWakeUps
from promoter.domain import documents
from promoter.domain.errors import InvalidRequest
from promoter.domain.history import document, entry_of
from promoter.domain.listing import Filter
from promoter.domain.model import ImageId, Outcome, Repository, TagMove, Trigger
from promoter.domain.records import Lease, Record, WakeUp

PLACE = Repository("123456789012", "team/web")
START = datetime(2026, 11, 23, 12, tzinfo=UTC)
ONE, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64
ANN, BOB = (f"arn:aws:sts::123456789012:assumed-role/deployer/{name}" for name in ("ann", "bob"))


@pytest.fixture
def kept(local_aws: LocalAws, table: str) -> Table:
    return Table(local_aws.client("dynamodb"), table, local_aws.region)


@pytest.fixture
def ledger(kept: Table) -> DynamoLedger:
    return DynamoLedger(kept, lease_duration=timedelta(seconds=30), history=timedelta(days=400))


@pytest.fixture
def history(kept: Table) -> DynamoHistory:
    return DynamoHistory(kept)


def ended(number: int, **members: Any) -> Record:
    """Return a promotion that ended `number` minutes after the start."""
    at = START + timedelta(minutes=number)
    defaults: dict[str, Any] = {
        "promotion_id": f"p-{number}",
        "trigger": Trigger.REQUEST,
        "repository": PLACE,
        "source": ImageId("staging"),
        "asked_at": at,
        "image_digest": ONE,
        "image_tags": ("prod",),
        "caller": ANN,
        "outcome": Outcome.UNCHANGED,
        "ended_at": at,
    }
    return Record(**(defaults | members))


def pages(history: DynamoHistory, wanted: Filter, **query: Any) -> Iterator[list[str]]:
    """Yield the promotionIds of each page, up to the last."""
    token = None
    while True:
        page = history.promotions(PLACE, wanted=wanted, next_token=token, **query)
        yield [entry.promotion_id for entry in page.entries]
        if not (token := page.next_token):
            return


@pytest.mark.parametrize("tag", [None, "prod"])
@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Filter(), [5, 4, 3, 2, 1, 0]),
        (Filter(image_digest=OTHER), [4, 1]),
        (Filter(outcome=Outcome.REFUSED), [5, 2]),
        (Filter(caller=BOB), [3]),
        (Filter(caller="arn:aws:sts::*:assumed-role/deployer/*"), [4, 3, 2, 1, 0]),
        (Filter(caller="*"), [4, 3, 2, 1, 0]),
        (Filter(caller=ANN.removesuffix("n")), []),
        (Filter(caller=ANN, outcome=Outcome.REFUSED), [2]),
        (Filter(since=START + timedelta(minutes=3)), [5, 4, 3]),
        (Filter(until=START + timedelta(minutes=3)), [2, 1, 0]),
        (Filter(since=START + timedelta(minutes=1), until=START + timedelta(minutes=4)), [3, 2, 1]),
        (Filter(image_digest=OTHER, since=START + timedelta(minutes=1, microseconds=1)), [4]),
    ],
)
@pytest.mark.parametrize("limit", [1, 2, 100])
def test_promotions_are_found_by_what_they_are(
    ledger: DynamoLedger, history: DynamoHistory, wanted: Filter, found: list[int], tag: str | None, limit: int
) -> None:
    """The newest first, none twice and none left out, however long a page is; `until` itself is too late."""
    for record in (
        ended(0),
        ended(1, image_digest=OTHER),
        ended(2, outcome=Outcome.REFUSED, code="not_allowed", detail="no"),
        ended(3, caller=BOB),
        ended(4, image_digest=OTHER),
        ended(5, outcome=Outcome.REFUSED, code="superseded", detail="no", caller=None, trigger=Trigger.SCAN),
    ):
        ledger.record(record)

    read = list(pages(history, wanted, image_tag=tag, limit=limit))

    assert [name for page in read for name in page] == [f"p-{number}" for number in found]
    assert all(len(page) <= limit for page in read)


def test_a_rollback_onto_several_images_is_found_by_each(ledger: DynamoLedger, history: DynamoHistory) -> None:
    """Each of its tags may have come from another image."""
    moves = tuple(
        TagMove(tag, Outcome.PROMOTED, None, image_digest=digest) for tag, digest in (("prod", ONE), ("v1", OTHER))
    )
    ledger.record(ended(0, image_tags=("prod", "v1"), moves=moves))

    for digest in (ONE, OTHER):
        assert list(pages(history, Filter(image_digest=digest))) == [["p-0"]]


def test_a_filter_looks_at_so_many_and_hands_the_rest_on(ledger: DynamoLedger, history: DynamoHistory) -> None:
    """A page may be empty and still have a next one: no call reads a whole history."""
    for number in range(READS * FILTERED_PAGE + 1):
        ledger.record(ended(number, caller=BOB if number == 0 else ANN))

    assert list(pages(history, Filter(caller=BOB), limit=20)) == [[], ["p-0"]]


def test_a_token_is_of_its_own_listing(ledger: DynamoLedger, history: DynamoHistory) -> None:
    """Of another tag, another repository, another time: refused, not read on from somewhere."""
    for number in range(4):
        ledger.record(ended(number))
    listed = history.promotions(PLACE, limit=2).next_token
    tagged = history.promotions(PLACE, image_tag="prod", limit=2).next_token
    assert listed
    assert tagged

    for question in (
        {"repository": PLACE, "image_tag": "prod", "next_token": listed},
        {"repository": PLACE, "next_token": tagged},
        {"repository": PLACE, "image_tag": "v1", "next_token": tagged},
        {"repository": Repository("123456789012", "team/other"), "next_token": listed},
    ):
        with pytest.raises(InvalidRequest) as caught:
            history.promotions(**question)  # type: ignore[arg-type]
        assert caught.value.field == "nextToken"
    with pytest.raises(InvalidRequest):
        history.heads(PLACE, next_token=tagged)


def test_one_head_is_found_by_its_tag(ledger: DynamoLedger, history: DynamoHistory) -> None:
    """Or none is."""
    for number, tag in enumerate(("prod", "v1", "v2")):
        move = TagMove(tag, Outcome.PLANNED, None)
        lease = ledger.begin(ended(number, image_tags=(tag,), moves=(move,), outcome=None), {tag: None}, {})
        assert isinstance(lease, Lease)
        done = TagMove(tag, Outcome.PROMOTED, None)
        ledger.finish(lease, ended(number, image_tags=(tag,), moves=(done,), outcome=Outcome.PROMOTED))

    assert [head.image_tag for head in history.heads(PLACE, image_tag="v1").entries] == ["v1"]
    assert history.heads(PLACE, image_tag="v3").entries == ()
    assert len(history.heads(PLACE).entries) == 3
    first = history.heads(PLACE, limit=2)
    assert [head.image_tag for head in first.entries] == ["prod", "v1"]
    assert [head.image_tag for head in history.heads(PLACE, next_token=first.next_token).entries] == ["v2"]


REFUSED = {
    "outcome": Outcome.REFUSED,
    "code": "gate_refused",
    "detail": "no",
    "trigger": Trigger.SCAN,
    "caller": None,
}
ROLLBACK = {
    "outcome": Outcome.PROMOTED,
    "undoes": "p-9",
    "source": ImageId(None, ONE),
    "image_tags": ("prod", "v1"),
    "moves": (
        TagMove("prod", Outcome.PROMOTED, OTHER),
        TagMove("v1", Outcome.UNCHANGED, OTHER, image_digest=OTHER),
    ),
}
HALF_DONE = {
    "outcome": Outcome.FAILED,
    "code": "throttled",
    "detail": "slow down",
    "rule": "prod",
    "image_tags": ("prod", "v1"),
    "moves": (TagMove("prod", Outcome.PROMOTED, None),),
}


@pytest.mark.parametrize(
    "members", [{}, REFUSED, ROLLBACK, HALF_DONE], ids=["no-op", "refused", "rollback", "half"]
)
def test_a_list_shows_what_the_record_says(
    ledger: DynamoLedger, history: DynamoHistory, members: dict[str, Any]
) -> None:
    """The lists of a repository and of a tag have the same members; that of a tag has only its own move."""
    record = ended(0, **members)
    ledger.record(record)
    full = documents.document(history.promotion("p-0"))

    for tag in (None, *record.image_tags):
        (entry,) = history.promotions(PLACE, image_tag=tag).entries

        assert entry == entry_of(record, tag)
        shown = document(entry)
        images = [image for image in full.get("images", []) if tag in (None, image["imageTag"])]
        assert shown.pop("images", []) == images
        assert shown == {name: full[name] for name in shown}
        assert shown.keys() == full.keys() & DOCUMENT


DOCUMENT = {
    "promotionId",
    "outcome",
    "trigger",
    "rule",
    "caller",
    "undoes",
    "registryId",
    "repositoryName",
    "source",
    "imageDigest",
    "code",
    "endedAt",
}


def test_a_row_of_a_history_is_no_copy_of_the_record(
    local_aws: LocalAws, table: str, ledger: DynamoLedger
) -> None:
    """What only the record shows is stored once, however many tags there are."""
    secret = "only the record has this"
    ledger.record(ended(0, outcome=Outcome.REFUSED, code="gate_refused", detail=secret, image_tags=("a", "b")))

    items = local_aws.client("dynamodb").scan(TableName=table)["Items"]

    assert len(items) == 3
    assert [secret in str(item) for item in items].count(True) == 1


def test_two_regions_in_one_table_do_not_meet(local_aws: LocalAws, table: str) -> None:
    """The same repository and tag: each Region has its own lease, head, history and wake-ups."""
    client, digests = local_aws.client("dynamodb"), {"eu-central-1": ONE, "us-east-1": OTHER}
    tables = {region: Table(client, table, region) for region in digests}
    intended = {
        region: ended(
            0,
            promotion_id=region,
            image_digest=digest,
            outcome=None,
            moves=(TagMove("prod", Outcome.PLANNED, None),),
        )
        for region, digest in digests.items()
    }
    ledgers = {
        region: DynamoLedger(each, lease_duration=timedelta(seconds=30), history=timedelta(days=1))
        for region, each in tables.items()
    }
    leases = {region: ledger.begin(intended[region], {"prod": None}, {}) for region, ledger in ledgers.items()}
    for region, lease in leases.items():
        assert isinstance(lease, Lease)
        moved = (TagMove("prod", Outcome.PROMOTED, None),)
        done = replace(intended[region], outcome=Outcome.PROMOTED, moves=moved)
        assert ledgers[region].finish(lease, done) is None
        assert DynamoWakeUps(tables[region]).add(PLACE, region, [ONE], datetime.now(UTC) + timedelta(days=1))

    for region, each in tables.items():
        history = DynamoHistory(each)
        head = DynamoHeads(each).head(PLACE, "prod")
        assert head is not None
        assert (head.promotion_id, head.image_digest) == (region, digests[region])
        assert history.heads(PLACE).entries == (head,)
        for tag in (None, "prod"):
            (entry,) = history.promotions(PLACE, image_tag=tag).entries
            assert (entry.promotion_id, entry.repository) == (region, PLACE)
        assert DynamoWakeUps(each).of(PLACE, ONE) == (WakeUp(PLACE, ONE, region),)
