"""A promotion that is killed at any step: afterwards tag, head, history and announcements agree."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from local.aws import LocalAws
from promoter.aws.dynamodb.history import DynamoHistory
from promoter.aws.dynamodb.ledger import DynamoLedger
from promoter.aws.dynamodb.table import Table
from promoter.aws.ecr.registry import EcrRegistry
from promoter.domain.model import ImageId, Outcome, Promoted, Promotion, Repository, Source, Trigger
from promoter.promotion.dependencies import Dependencies
from promoter.promotion.reconcile import Reconciler
from promoter.promotion.waiting import resume
from tests.adapters.killing import POINTS, Killed, mortal
from tests.adapters.test_ledger import Clock
from tests.support.announced import entries_of
from tests.support.answers import promote
from tests.support.ledgers import InMemoryRuns, dependencies
from tests.support.policies import policy, rule
from tests.support.registries import REPOSITORY, InMemoryRegistry, manifest
from tests.support.tables import dynamo_roles

OLD, NEW, NEXT = manifest('{"old": 1}'), manifest('{"new": 1}'), manifest('{"next": 1}')
ANY_TAG = policy(rule(to_matching=[".*"]))


def promotion(source: str, **members: Any) -> Promotion:
    """Ask for `a` and `b` on an image."""
    defaults: dict[str, Any] = {"image_tags": ("a", "b"), "repository": REPOSITORY}
    defaults |= {"promotion_id": uuid.uuid4().hex, "trigger": Trigger.REQUEST, "source": Source(ImageId(source))}
    return Promotion(**(defaults | members))


@dataclass
class Kept:
    """The ledger in a table of its own, and what can be seen of it."""

    aws: LocalAws
    name: str
    clock: Clock

    @property
    def table(self) -> Table:
        return Table(self.aws.client("dynamodb"), self.name, self.aws.region)

    @property
    def roles(self) -> dict[str, Any]:
        """The ledger's roles, as a process of its own has them."""
        return dynamo_roles(self.table, self.clock)

    @property
    def ledger(self) -> DynamoLedger:
        found: DynamoLedger = self.roles["ledger"]
        return found

    @property
    def history(self) -> DynamoHistory:
        return DynamoHistory(self.table)

    def announced(self) -> list[tuple[str, str]]:
        """Return promotionId and outcome of all promotions that the table's stream has announced."""
        streams = self.aws.client("dynamodbstreams")
        (stream,) = streams.list_streams(TableName=self.name)["Streams"]
        shards = streams.describe_stream(StreamArn=stream["StreamArn"])["StreamDescription"]["Shards"]
        changes = []
        for shard in shards:
            iterator = streams.get_shard_iterator(
                StreamArn=stream["StreamArn"], ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            changes += streams.get_records(ShardIterator=iterator)["Records"]
        details = [json.loads(entry["Detail"]) for entry in entries_of(changes)]
        return [(detail["promotionId"], detail["outcome"]) for detail in details if "outcome" in detail]


@pytest.fixture
def kept(local_aws: LocalAws, table: str) -> Kept:
    return Kept(local_aws, table, Clock(datetime.now(UTC)))


@pytest.fixture
def registry() -> InMemoryRegistry:
    return InMemoryRegistry({"a": OLD, "new": NEW, "next": NEXT})


def living(kept: Kept, registry: Any) -> Dependencies:
    return replace(dependencies(ANY_TAG, registry, now=kept.clock), **kept.roles)


def next_promotion(dependencies: Dependencies) -> None:
    """Recover by the next promotion of the tags."""
    promote(promotion("next"), dependencies)


def reconcile(dependencies: Dependencies) -> None:
    """Recover by the schedule."""
    Reconciler(
        dependencies=dependencies,
        runs=InMemoryRuns(dependencies.now),
        resume=partial(resume, dependencies=dependencies),
        in_time=lambda _: True,
    ).run()


@pytest.mark.parametrize("recover", [next_promotion, reconcile])
@pytest.mark.parametrize("point", POINTS, ids=str)
def test_after_a_crash_at_any_step_everything_agrees(
    kept: Kept, registry: InMemoryRegistry, point: tuple[int, str], recover: Callable[[Dependencies], None]
) -> None:
    """Once the lease is over: no tag without its record, no record without its announcement, no lease held."""
    crashed = promotion("new")
    ports = mortal({"registry": registry, "ledger": kept.ledger}, point)
    with suppress(Killed):
        promote(crashed, replace(living(kept, registry), **ports))
        pytest.fail("it was to be killed")
    put = [tag for tag in ("a", "b") if registry.tags.get(tag) == NEW]
    kept.clock.time += timedelta(seconds=31)

    recover(living(kept, registry))

    begun = point != (0, "before")
    assert kept.ledger.lease(crashed.promotion_id) is None
    assert list(kept.ledger.abandoned()) == []
    for head in kept.history.heads(REPOSITORY).entries:
        assert registry.tags[head.image_tag].digest == head.image_digest
    announced = [outcome for name, outcome in kept.announced() if name == crashed.promotion_id]
    if not begun:
        assert (put, announced) == ([], [])
        return
    record = kept.history.promotion(crashed.promotion_id)
    assert record.outcome is (Outcome.PROMOTED if put == ["a", "b"] else Outcome.FAILED)
    assert [move.image_tag for move in record.moves if move.outcome is Outcome.PROMOTED] == put
    assert announced == [record.outcome]


@pytest.mark.parametrize("point", POINTS, ids=str)
def test_a_crashed_promotion_that_is_sent_again_is_carried_out_once(
    kept: Kept, registry: InMemoryRegistry, point: tuple[int, str]
) -> None:
    """As Lambda does with an event, and a pipeline with its Idempotency-Key."""
    crashed = promotion("new")
    ports = mortal({"registry": registry, "ledger": kept.ledger}, point)
    with suppress(Killed):
        promote(crashed, replace(living(kept, registry), **ports))
    kept.clock.time += timedelta(seconds=31)

    answer = promote(crashed, living(kept, registry))

    assert answer.outcome is Outcome.PROMOTED
    assert registry.tags["a"] == registry.tags["b"] == NEW
    assert kept.announced()[-1] == (crashed.promotion_id, "PROMOTED")
    assert kept.history.promotion(crashed.promotion_id).outcome is Outcome.PROMOTED


def _carry_out(aws: LocalAws, table: str, repository: Repository) -> None:
    """Promote `new` to `a`, in a process of its own."""
    here = replace(dependencies(ANY_TAG, EcrRegistry(aws.client("ecr"))), **short_leases(aws, table))
    promote(promotion("new", promotion_id="killed", image_tags=("a",), repository=repository), here)


def short_leases(aws: LocalAws, table: str) -> dict[str, Any]:
    """Return the ledger's roles, with leases of a second."""
    kept = Table(aws.client("dynamodb"), table, aws.region)
    return dynamo_roles(kept, lambda: datetime.now(UTC), lease_duration=timedelta(seconds=1))


@pytest.fixture
def place(repository: str) -> Repository:
    return Repository("123456789012", repository)


@pytest.fixture
def process(local_aws: LocalAws, table: str, place: Repository) -> Iterator[Any]:
    running = multiprocessing.get_context("spawn").Process(target=_carry_out, args=(local_aws, table, place))
    yield running
    if running.is_alive():
        running.kill()
    running.join()


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ({"operation": "PutImage", "service": "ecr", "delay": 20.0}, "FAILED"),  # the lease is taken
        ({"operation": "BatchGetImage", "service": "ecr", "delay": 20.0}, None),  # nothing has begun
    ],
)
def test_a_process_that_is_really_killed(
    local_aws: LocalAws,
    table: str,
    place: Repository,
    push: Any,
    process: Any,
    control: Any,
    faults: Any,
    fault: dict[str, Any],
    outcome: str | None,
) -> None:
    """With kill -9, in the middle of a call: the next promotion finds the truth."""
    push("new", seed="new")
    push("next", seed="next")
    roles = short_leases(local_aws, table)
    history, ledger = roles["history"], roles["ledger"]
    faults(**fault)
    process.start()
    _until(lambda: control("GET", "/faults")[1] == {"faults": []})  # the call is under way
    assert (ledger.lease("killed") is not None) is (outcome is not None)
    os.kill(process.pid, signal.SIGKILL)
    process.join()

    registry = EcrRegistry(local_aws.client("ecr"))
    here = replace(dependencies(ANY_TAG, registry), **roles)
    answer = promote(promotion("next", image_tags=("a",), repository=place), here)

    assert isinstance(answer, Promoted)
    (head,) = history.heads(place).entries
    assert head.image_digest == answer.manifest.digest
    assert head.promotion_id == answer.promotion_id
    if outcome:
        assert history.promotion("killed").outcome == outcome


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
