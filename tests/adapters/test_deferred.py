"""Deferred promotions in a real table of the local AWS, and those in memory that other tests use."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.aws import LocalAws
from promoter.aws.dynamodb.deferred import DynamoDeferredPromotions
from promoter.aws.dynamodb.keys import DEFERRED_SHARDS
from promoter.aws.dynamodb.table import Table
from promoter.domain.errors import LedgerError
from promoter.domain.model import DeferredPromotion, ImageId, Repository
from promoter.domain.ports import DeferredPromotions
from tests.support.registries import InMemoryDeferredPromotions

PLACE, ELSEWHERE = Repository("123456789012", "team/web"), Repository("123456789012", "team/api")
A, B, INDEX = ("sha256:" + letter * 64 for letter in "abc")


@pytest.fixture
def deferred_promotions(local_aws: LocalAws, table: str) -> DynamoDeferredPromotions:
    return DynamoDeferredPromotions(Table(local_aws.client("dynamodb"), table, local_aws.region))


@pytest.fixture(params=["memory", "dynamodb"])
def either(request: pytest.FixtureRequest) -> DeferredPromotions:
    """Hold both to the promises of the port."""
    if request.param == "memory":
        return InMemoryDeferredPromotions()
    found: DeferredPromotions = request.getfixturevalue("deferred_promotions")
    return found


def test_what_stands_already_is_not_new(either: DeferredPromotions) -> None:
    """Who adds it again need not look again; one more that is new has to."""
    waiting = ImageId("build-1", INDEX)

    assert either.add(PLACE, waiting, [A, B])
    assert not either.add(PLACE, waiting, [B])
    assert either.add(PLACE, waiting, [A, INDEX])
    assert either.add(PLACE, ImageId("build-2", INDEX), [A])
    either.remove(DeferredPromotion(PLACE, A, waiting))
    assert either.add(PLACE, waiting, [A])


def test_a_deferred_promotion_knows_for_what_else_its_tag_waits(either: DeferredPromotions) -> None:
    """As long as it does; one that another tag waits for, or the same in the past, is none of these."""
    waiting = ImageId("build-1", INDEX)
    either.add(PLACE, waiting, [A, B, INDEX])
    either.add(PLACE, ImageId("build-2", INDEX), [A])

    assert set(either.besides(DeferredPromotion(PLACE, A, waiting))) == {B, INDEX}
    either.remove(DeferredPromotion(PLACE, B, waiting))
    assert either.besides(DeferredPromotion(PLACE, A, waiting)) == (INDEX,)
    assert either.besides(DeferredPromotion(PLACE, A, ImageId("build-2", INDEX))) == ()
    assert either.besides(DeferredPromotion(PLACE, B, waiting)) == ()


def test_what_stands_is_not_written_again(
    deferred_promotions: DynamoDeferredPromotions, control: Callable[..., Any]
) -> None:
    """Nor is its end put off: it costs one read of the table, and no write of the index."""
    digests = [f"sha256:{n:064x}" for n in range(8)]
    deferred_promotions.add(PLACE, ImageId("build-1", INDEX), digests)
    control("DELETE", "/calls")

    for left in range(8):
        deferred_promotions.add(PLACE, ImageId("build-1", INDEX), digests[left:])

    calls = Counter(call["operation"] for call in control("GET", "/calls")[1]["calls"])
    assert calls == {"BatchGetItem": 8}


def test_a_deferred_promotion_that_is_over_is_written_anew(
    deferred_promotions: DynamoDeferredPromotions, local_aws: LocalAws, table: str
) -> None:
    """DynamoDB forgets it within days after its end: it must not be relied on."""
    client, waiting = local_aws.client("dynamodb"), ImageId("build-1", INDEX)
    deferred_promotions.add(PLACE, waiting, [A])
    (item,) = client.scan(TableName=table)["Items"]
    client.put_item(TableName=table, Item=item | {"expires": {"N": str(int(time.time()) - 1)}})

    assert deferred_promotions.add(PLACE, waiting, [A])

    (item,) = client.scan(TableName=table)["Items"]
    assert int(item["expires"]["N"]) > time.time() + 24 * 3600


def test_deferred_promotions_are_spread_over_the_index(
    deferred_promotions: DynamoDeferredPromotions, local_aws: LocalAws, table: str
) -> None:
    """No key of it gets more than a few of many; those that were looked at the longest ago still come first."""
    digests = [f"sha256:{n:064x}" for n in range(320)]
    for start in (200, 0):
        deferred_promotions.add(PLACE, ImageId("build-1", INDEX), digests[start : start + 120])

    items = local_aws.client("dynamodb").scan(TableName=table)["Items"]
    keys = Counter(item["listing"]["S"] for item in items)
    assert len(keys) == DEFERRED_SHARDS
    assert max(keys.values()) < 3 * len(items) / DEFERRED_SHARDS
    soon = datetime.now(UTC) + timedelta(minutes=1)
    assert {deferred.image_digest for deferred in deferred_promotions.oldest(soon, limit=120)} == set(
        digests[200:]
    )
    first, *others = deferred_promotions.oldest(soon, limit=240)
    deferred_promotions.touch(first, extend=False)
    assert deferred_promotions.oldest(soon, limit=240) == (*others, first)
    assert deferred_promotions.oldest(datetime.now(UTC) - timedelta(minutes=1), limit=240) == ()


def test_a_usual_deferred_promotion_is_one_write_unit(
    deferred_promotions: DynamoDeferredPromotions, local_aws: LocalAws, table: str
) -> None:
    """1 KB, with all that it waits for beside."""
    repository = Repository("123456789012", "a-team/of-usual-name/web")
    deferred_promotions.add(
        repository, ImageId("build-20261124.1-0123456789ab", INDEX), [f"sha256:{n:064x}" for n in range(20)]
    )

    def size(value: Any) -> int:
        return sum(len(text) for text in value) if isinstance(value, list) else len(value)

    items = local_aws.client("dynamodb").scan(TableName=table)["Items"]
    sizes = [sum(len(name) + size(*value.values()) for name, value in item.items()) for item in items]
    assert max(sizes) <= 1024


def test_a_deferred_promotion_is_found_by_each_manifest_it_waits_for(
    deferred_promotions: DynamoDeferredPromotions,
) -> None:
    """In its own repository only; a repeat changes nothing."""
    waiting = ImageId("build-1", INDEX)
    for _ in range(2):
        deferred_promotions.add(PLACE, waiting, [A, B])

    assert deferred_promotions.waiting_for(PLACE, A) == deferred_promotions.waiting_for(PLACE, B) == (waiting,)
    assert deferred_promotions.waiting_for(PLACE, INDEX) == ()
    assert deferred_promotions.waiting_for(ELSEWHERE, A) == ()


def test_several_may_wait_for_one_manifest(deferred_promotions: DynamoDeferredPromotions) -> None:
    """Two indexes share a platform, a digest waits without a tag."""
    waiting = {ImageId("build-1", INDEX), ImageId("build-2", B), ImageId(None, B)}
    for image_id in waiting:
        deferred_promotions.add(PLACE, image_id, [A])

    assert set(deferred_promotions.waiting_for(PLACE, A)) == waiting


def test_many_manifests_are_more_than_one_batch(deferred_promotions: DynamoDeferredPromotions) -> None:
    """DynamoDB takes 25 items at a time."""
    digests = [f"sha256:{n:064x}" for n in range(60)]
    deferred_promotions.add(PLACE, ImageId("build-1", INDEX), digests)

    assert all(deferred_promotions.waiting_for(PLACE, digest) for digest in digests)


def test_a_deferred_promotion_ends(
    deferred_promotions: DynamoDeferredPromotions, local_aws: LocalAws, table: str
) -> None:
    """After two weeks DynamoDB may forget it."""
    deferred_promotions.add(PLACE, ImageId("build-1", INDEX), [A])

    (item,) = local_aws.client("dynamodb").scan(TableName=table)["Items"]
    assert abs(int(item["expires"]["N"]) - time.time() - 14 * 24 * 3600) < 60


def test_a_deferred_promotion_ends_later_where_its_end_is_certain(
    deferred_promotions: DynamoDeferredPromotions, local_aws: LocalAws, table: str
) -> None:
    """Looking alone does not keep it."""
    client = local_aws.client("dynamodb")
    deferred_promotions.add(PLACE, ImageId("build-1", INDEX), [A])
    (item,) = client.scan(TableName=table)["Items"]
    soon = str(int(time.time()) + 60)
    client.put_item(TableName=table, Item=item | {"expires": {"N": soon}})
    deferred = DeferredPromotion(PLACE, A, ImageId("build-1", INDEX))

    def end() -> str:
        (item,) = client.scan(TableName=table)["Items"]
        return str(item["expires"]["N"])

    deferred_promotions.touch(deferred, extend=False)
    assert end() == soon
    deferred_promotions.touch(deferred, extend=True)
    assert int(end()) > int(soon) + 24 * 3600


@pytest.mark.parametrize("operation", ["BatchGetItem", "BatchWriteItem"])
@pytest.mark.parametrize("code", ["ThrottlingException", "AccessDeniedException"])
def test_a_table_that_fails_is_a_retryable_failure(
    deferred_promotions: DynamoDeferredPromotions, faults: Callable[..., None], code: str, operation: str
) -> None:
    """A deferred promotion that may not be there must not be believed in."""
    faults("dynamodb", operation, code=code, status=400, times=9)
    faults("dynamodb", "Query", code=code, status=400, times=9)

    with pytest.raises(LedgerError, match=code) as caught:
        deferred_promotions.add(PLACE, ImageId("build-1", INDEX), [A])
    assert caught.value.retryable
    with pytest.raises(LedgerError, match=code):
        deferred_promotions.waiting_for(PLACE, A)
