"""Wake-ups in a real table of the local AWS, and those in memory that other tests use."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.aws import LocalAws
from promoter.aws.dynamodb.table import Table
from promoter.aws.dynamodb.wake_ups import DynamoWakeUps
from promoter.domain.errors import LedgerError
from promoter.domain.model import Repository
from promoter.domain.ports import WakeUps
from promoter.domain.records import WakeUp
from tests.support.ledgers import InMemoryWakeUps

PLACE, ELSEWHERE = Repository("123456789012", "team/web"), Repository("123456789012", "team/api")
A, B, INDEX = ("sha256:" + letter * 64 for letter in "abc")
MANY = [f"sha256:{number:064x}" for number in range(60)]


@pytest.fixture
def dynamo(local_aws: LocalAws, table: str) -> DynamoWakeUps:
    return DynamoWakeUps(Table(local_aws.client("dynamodb"), table, local_aws.region))


@pytest.fixture(params=["memory", "dynamodb"])
def either(request: pytest.FixtureRequest) -> WakeUps:
    """Hold both to the promises of the port."""
    if request.param == "memory":
        return InMemoryWakeUps()
    found: WakeUps = request.getfixturevalue("dynamo")
    return found


def soon() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


def woken(wake_ups: WakeUps, repository: Repository, digest: str) -> set[str]:
    """Return the promotions that an event of the image wakes."""
    return {each.promotion_id for each in wake_ups.of(repository, digest) if not each.is_served}


def test_an_event_wakes_what_waits_for_its_image(either: WakeUps) -> None:
    """Each promotion is found by each image that it waits for, in its own repository only."""
    either.add(PLACE, "p-1", [A, B], soon())
    either.add(PLACE, "p-2", [A], soon())
    either.add(ELSEWHERE, "p-3", [A], soon())

    assert woken(either, PLACE, A) == {"p-1", "p-2"}
    assert woken(either, PLACE, B) == {"p-1"}
    assert woken(either, ELSEWHERE, A) == {"p-3"}
    assert woken(either, PLACE, INDEX) == set()


def test_a_wake_up_that_was_served_wakes_nothing(either: WakeUps) -> None:
    """The others stay, and it is told to an event that is delivered again."""
    either.add(PLACE, "p-1", [A, B], soon())

    for _ in range(2):
        either.mark_served(WakeUp(PLACE, A, "p-1"))

    assert woken(either, PLACE, A) == set()
    assert woken(either, PLACE, B) == {"p-1"}
    assert [each.is_served for each in either.of(PLACE, A)] == [True]


def test_a_wake_up_is_new_once_up_to_its_last_second(local_aws: LocalAws, table: str) -> None:
    """Times to live have whole seconds; a promotion that looks again for each that is new would not stop."""
    now = soon()
    of_now = Table(local_aws.client("dynamodb"), table, local_aws.region)
    wake_ups, until = DynamoWakeUps(of_now, now=lambda: now.replace(microsecond=1)), now.replace(microsecond=2)

    assert wake_ups.add(PLACE, "p-1", [A], until)
    assert not wake_ups.add(PLACE, "p-1", [A], until)


def test_what_stands_already_is_not_new(either: WakeUps) -> None:
    """Whoever adds the same again does not have to look again. One more image is new, so it has to."""
    assert either.add(PLACE, "p-1", [A, B], soon())
    assert not either.add(PLACE, "p-1", [B], soon())
    assert either.add(PLACE, "p-1", [A, INDEX], soon())
    assert either.add(PLACE, "p-2", [A], soon())
    either.mark_served(WakeUp(PLACE, A, "p-1"))
    assert either.add(PLACE, "p-1", [A], soon())


def test_a_wake_up_knows_for_what_else_its_promotion_waits(either: WakeUps) -> None:
    """As long as it does. What another promotion waits for does not count."""
    either.add(PLACE, "p-1", [A, B, INDEX], soon())
    either.add(PLACE, "p-2", [A], soon())
    of = {each.promotion_id: each for each in either.of(PLACE, A)}

    assert set(either.beside(of["p-1"])) == {B, INDEX}
    assert either.beside(of["p-2"]) == ()
    either.mark_served(WakeUp(PLACE, B, "p-1"))
    assert either.beside(of["p-1"]) == (INDEX,)


def test_a_wake_up_names_images_on_both_of_its_sides(either: WakeUps) -> None:
    """Scanners finish in the order of an index as well as in the opposite one.

    If it named only those behind it, each of the last platforms' scans would look at all platforms.
    """
    digests = MANY[:32]
    either.add(PLACE, "p-1", digests, soon())

    for digest in reversed(digests[1:]):
        (wake_up,) = either.of(PLACE, digest)
        assert either.beside(wake_up), f"nothing is known of what p-1 waits for beside {digest}"
        either.mark_served(wake_up)


def test_many_images_are_more_than_one_batch(dynamo: DynamoWakeUps) -> None:
    """DynamoDB writes 25 items at a time, and reads 100."""
    digests = [f"sha256:{number:064x}" for number in range(120)]
    assert dynamo.add(PLACE, "p-1", digests, soon())

    assert all(woken(dynamo, PLACE, digest) == {"p-1"} for digest in digests)
    assert not dynamo.add(PLACE, "p-1", digests, soon())


def test_what_stands_is_not_written_again(dynamo: DynamoWakeUps, control: Callable[..., Any]) -> None:
    """It costs one read of the table, and no write."""
    dynamo.add(PLACE, "p-1", MANY[:8], soon())
    control("DELETE", "/calls")

    for left in range(8):
        dynamo.add(PLACE, "p-1", MANY[left:8], soon())

    calls = Counter(call["operation"] for call in control("GET", "/calls")[1]["calls"])
    assert calls == {"BatchGetItem": 8}


def test_a_wake_up_stands_for_as_long_as_its_promotion_waits(
    dynamo: DynamoWakeUps, local_aws: LocalAws, table: str
) -> None:
    """DynamoDB forgets it within days after that: one that is over must not be relied on, and is written anew."""
    client, until = local_aws.client("dynamodb"), soon()
    dynamo.add(PLACE, "p-1", [A], until)
    (item,) = client.scan(TableName=table)["Items"]
    assert int(item["expires"]["N"]) == int(until.timestamp())
    client.put_item(TableName=table, Item=item | {"expires": {"N": str(int(time.time()) - 1)}})

    assert dynamo.add(PLACE, "p-1", [A], until)

    (item,) = client.scan(TableName=table)["Items"]
    assert int(item["expires"]["N"]) == int(until.timestamp())


def test_a_usual_wake_up_is_one_write_unit(dynamo: DynamoWakeUps, local_aws: LocalAws, table: str) -> None:
    """1 KB, with all that is awaited beside it."""
    repository = Repository("123456789012", "a-team/of-usual-name/web")
    dynamo.add(repository, "8c3f1d5e-8a4c-5d0e-9b1f-2f6f7a1f9d20", MANY[:20], soon())

    def size(value: Any) -> int:
        return sum(len(text) for text in value) if isinstance(value, list) else len(value)

    items = local_aws.client("dynamodb").scan(TableName=table)["Items"]
    sizes = [sum(len(name) + size(*value.values()) for name, value in item.items()) for item in items]
    assert max(sizes) <= 1024


@pytest.mark.parametrize("operation", ["BatchGetItem", "BatchWriteItem"])
@pytest.mark.parametrize("code", ["ThrottlingException", "AccessDeniedException"])
def test_a_table_that_fails_is_a_retryable_failure(
    dynamo: DynamoWakeUps, faults: Callable[..., None], code: str, operation: str
) -> None:
    """A wake-up that may not be there must not be believed in."""
    faults("dynamodb", operation, code=code, status=400, times=9)
    faults("dynamodb", "Query", code=code, status=400, times=9)

    with pytest.raises(LedgerError, match=code) as caught:
        dynamo.add(PLACE, "p-1", [A], soon())
    assert caught.value.retryable
    with pytest.raises(LedgerError, match=code):
        dynamo.of(PLACE, A)
