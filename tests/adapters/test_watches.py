"""Watches in a real table of the local AWS."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from local.aws import LocalAws
from promoter.errors import LedgerError
from promoter.model import ImageId, Repository, Watch
from promoter.watches import DynamoWatches

PLACE, ELSEWHERE = Repository("123456789012", "team/web"), Repository("123456789012", "team/api")
A, B, INDEX = ("sha256:" + letter * 64 for letter in "abc")


@pytest.fixture
def watches(local_aws: LocalAws, table: str) -> DynamoWatches:
    return DynamoWatches(local_aws.client("dynamodb"), table)


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


@pytest.mark.parametrize("code", ["ThrottlingException", "AccessDeniedException"])
def test_a_table_that_fails_is_a_retryable_failure(
    watches: DynamoWatches, faults: Callable[..., None], code: str
) -> None:
    """A watch that may not stand must not be believed in."""
    faults("dynamodb", "BatchWriteItem", code=code, status=400, times=9)
    faults("dynamodb", "Query", code=code, status=400, times=9)

    with pytest.raises(LedgerError, match=code) as caught:
        watches.add(PLACE, ImageId("build-1", INDEX), [A])
    assert caught.value.retryable
    with pytest.raises(LedgerError, match=code):
        watches.waiting_for(PLACE, A)
