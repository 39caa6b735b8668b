"""Watches in a real table of the local AWS, and those in memory that other tests use."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.aws import LocalAws
from promoter.aws.dynamodb.deferred import DynamoWatches
from promoter.aws.dynamodb.table import WATCH_SHARDS
from promoter.domain.errors import LedgerError
from promoter.domain.model import ImageId, Repository, Watch
from promoter.domain.ports import Watches
from tests.support.registries import RememberedWatches

PLACE, ELSEWHERE = Repository("123456789012", "team/web"), Repository("123456789012", "team/api")
A, B, INDEX = ("sha256:" + letter * 64 for letter in "abc")


@pytest.fixture
def watches(local_aws: LocalAws, table: str) -> DynamoWatches:
    return DynamoWatches(local_aws.client("dynamodb"), table)


@pytest.fixture(params=["memory", "dynamodb"])
def either(request: pytest.FixtureRequest) -> Watches:
    """Hold both to the promises of the port."""
    if request.param == "memory":
        return RememberedWatches()
    found: Watches = request.getfixturevalue("watches")
    return found


def test_what_stands_already_is_not_new(either: Watches) -> None:
    """Who adds it again need not look again; one more that is new has to."""
    waiting = ImageId("build-1", INDEX)

    assert either.add(PLACE, waiting, [A, B])
    assert not either.add(PLACE, waiting, [B])
    assert either.add(PLACE, waiting, [A, INDEX])
    assert either.add(PLACE, ImageId("build-2", INDEX), [A])
    either.remove(Watch(PLACE, A, waiting))
    assert either.add(PLACE, waiting, [A])


def test_a_watch_knows_for_what_else_its_tag_waits(either: Watches) -> None:
    """As long as it does; one that another tag waits for, or the same in the past, is none of these."""
    waiting = ImageId("build-1", INDEX)
    either.add(PLACE, waiting, [A, B, INDEX])
    either.add(PLACE, ImageId("build-2", INDEX), [A])

    assert set(either.besides(Watch(PLACE, A, waiting))) == {B, INDEX}
    either.remove(Watch(PLACE, B, waiting))
    assert either.besides(Watch(PLACE, A, waiting)) == (INDEX,)
    assert either.besides(Watch(PLACE, A, ImageId("build-2", INDEX))) == ()
    assert either.besides(Watch(PLACE, B, waiting)) == ()


def test_what_stands_is_not_written_again(watches: DynamoWatches, control: Callable[..., Any]) -> None:
    """Nor is its end put off: it costs one read of the table, and no write of the index."""
    digests = [f"sha256:{n:064x}" for n in range(8)]
    watches.add(PLACE, ImageId("build-1", INDEX), digests)
    control("DELETE", "/calls")

    for left in range(8):
        watches.add(PLACE, ImageId("build-1", INDEX), digests[left:])

    calls = Counter(call["operation"] for call in control("GET", "/calls")[1]["calls"])
    assert calls == {"BatchGetItem": 8}


def test_a_watch_that_is_over_is_written_anew(watches: DynamoWatches, local_aws: LocalAws, table: str) -> None:
    """DynamoDB forgets it within days after its end: it must not be relied on."""
    client, waiting = local_aws.client("dynamodb"), ImageId("build-1", INDEX)
    watches.add(PLACE, waiting, [A])
    (item,) = client.scan(TableName=table)["Items"]
    client.put_item(TableName=table, Item=item | {"expires": {"N": str(int(time.time()) - 1)}})

    assert watches.add(PLACE, waiting, [A])

    (item,) = client.scan(TableName=table)["Items"]
    assert int(item["expires"]["N"]) > time.time() + 24 * 3600


def test_watches_are_spread_over_the_index(watches: DynamoWatches, local_aws: LocalAws, table: str) -> None:
    """No key of it gets more than a few of many; those that were looked at the longest ago still come first."""
    digests = [f"sha256:{n:064x}" for n in range(320)]
    for start in (200, 0):
        watches.add(PLACE, ImageId("build-1", INDEX), digests[start : start + 120])

    items = local_aws.client("dynamodb").scan(TableName=table)["Items"]
    keys = Counter(item["listing"]["S"] for item in items)
    assert len(keys) == WATCH_SHARDS
    assert max(keys.values()) < 3 * len(items) / WATCH_SHARDS
    soon = datetime.now(UTC) + timedelta(minutes=1)
    assert {watch.image_digest for watch in watches.oldest(soon, limit=120)} == set(digests[200:])
    first, *others = watches.oldest(soon, limit=240)
    watches.touch(first, extend=False)
    assert watches.oldest(soon, limit=240) == (*others, first)
    assert watches.oldest(datetime.now(UTC) - timedelta(minutes=1), limit=240) == ()


def test_a_usual_watch_is_one_write_unit(watches: DynamoWatches, local_aws: LocalAws, table: str) -> None:
    """1 KB, with all that it waits for beside."""
    repository = Repository("123456789012", "a-team/of-usual-name/web")
    watches.add(
        repository, ImageId("build-20261124.1-0123456789ab", INDEX), [f"sha256:{n:064x}" for n in range(20)]
    )

    def size(value: Any) -> int:
        return sum(len(text) for text in value) if isinstance(value, list) else len(value)

    items = local_aws.client("dynamodb").scan(TableName=table)["Items"]
    sizes = [sum(len(name) + size(*value.values()) for name, value in item.items()) for item in items]
    assert max(sizes) <= 1024


def test_a_watch_is_found_by_each_manifest_it_waits_for(watches: DynamoWatches) -> None:
    """In its own repository only; a repeat changes nothing."""
    waiting = ImageId("build-1", INDEX)
    for _ in range(2):
        watches.add(PLACE, waiting, [A, B])

    assert watches.waiting_for(PLACE, A) == watches.waiting_for(PLACE, B) == (waiting,)
    assert watches.waiting_for(PLACE, INDEX) == ()
    assert watches.waiting_for(ELSEWHERE, A) == ()


def test_several_may_wait_for_one_manifest(watches: DynamoWatches) -> None:
    """Two indexes share a platform, a digest waits without a tag."""
    waiting = {ImageId("build-1", INDEX), ImageId("build-2", B), ImageId(None, B)}
    for image_id in waiting:
        watches.add(PLACE, image_id, [A])

    assert set(watches.waiting_for(PLACE, A)) == waiting


def test_many_manifests_are_more_than_one_batch(watches: DynamoWatches) -> None:
    """DynamoDB takes 25 items at a time."""
    digests = [f"sha256:{n:064x}" for n in range(60)]
    watches.add(PLACE, ImageId("build-1", INDEX), digests)

    assert all(watches.waiting_for(PLACE, digest) for digest in digests)


def test_a_watch_ends(watches: DynamoWatches, local_aws: LocalAws, table: str) -> None:
    """After two weeks DynamoDB may forget it."""
    watches.add(PLACE, ImageId("build-1", INDEX), [A])

    (item,) = local_aws.client("dynamodb").scan(TableName=table)["Items"]
    assert abs(int(item["expires"]["N"]) - time.time() - 14 * 24 * 3600) < 60


def test_a_watch_ends_later_where_its_end_is_certain(
    watches: DynamoWatches, local_aws: LocalAws, table: str
) -> None:
    """Looking alone does not keep it."""
    client = local_aws.client("dynamodb")
    watches.add(PLACE, ImageId("build-1", INDEX), [A])
    (item,) = client.scan(TableName=table)["Items"]
    soon = str(int(time.time()) + 60)
    client.put_item(TableName=table, Item=item | {"expires": {"N": soon}})
    watch = Watch(PLACE, A, ImageId("build-1", INDEX))

    def end() -> str:
        (item,) = client.scan(TableName=table)["Items"]
        return str(item["expires"]["N"])

    watches.touch(watch, extend=False)
    assert end() == soon
    watches.touch(watch, extend=True)
    assert int(end()) > int(soon) + 24 * 3600


@pytest.mark.parametrize("operation", ["BatchGetItem", "BatchWriteItem"])
@pytest.mark.parametrize("code", ["ThrottlingException", "AccessDeniedException"])
def test_a_table_that_fails_is_a_retryable_failure(
    watches: DynamoWatches, faults: Callable[..., None], code: str, operation: str
) -> None:
    """A watch that may not stand must not be believed in."""
    faults("dynamodb", operation, code=code, status=400, times=9)
    faults("dynamodb", "Query", code=code, status=400, times=9)

    with pytest.raises(LedgerError, match=code) as caught:
        watches.add(PLACE, ImageId("build-1", INDEX), [A])
    assert caught.value.retryable
    with pytest.raises(LedgerError, match=code):
        watches.waiting_for(PLACE, A)
