"""What the ledger tells those who ask: filtered, page by page, on the local DynamoDB."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.aws import LocalAws
from promoter.aws.dynamodb.history import FILTERED_PAGE, READS, DynamoHistory, Filter
from promoter.aws.dynamodb.ledger import DynamoLedger
from promoter.domain.errors import InvalidRequest
from promoter.domain.model import ImageId, Lease, Outcome, Record, Repository, TagMove, Trigger

PLACE = Repository("123456789012", "team/web")
START = datetime(2026, 11, 23, 12, tzinfo=UTC)
ONE, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64
ANN, BOB = (f"arn:aws:sts::123456789012:assumed-role/deployer/{name}" for name in ("ann", "bob"))


@pytest.fixture
def ledger(local_aws: LocalAws, table: str) -> DynamoLedger:
    return DynamoLedger(
        local_aws.client("dynamodb"), table, lease_duration=timedelta(seconds=30), history=timedelta(days=400)
    )


@pytest.fixture
def history(local_aws: LocalAws, table: str) -> DynamoHistory:
    return DynamoHistory(local_aws.client("dynamodb"), table)


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
        yield [record.promotion_id for record in page.entries]
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


def test_a_filter_looks_at_so_many_and_hands_the_rest_on(
    local_aws: LocalAws, table: str, ledger: DynamoLedger, history: DynamoHistory
) -> None:
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
