"""What promotions that do not wait send to the table, to the byte: waiting promotions cost the others nothing."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from promoter.aws.dynamodb.ledger import DynamoLedger
from promoter.aws.dynamodb.table import Table
from promoter.domain.errors import GateRefused, Throttled
from promoter.domain.leasing import Recorded
from promoter.domain.model import Outcome, Reason, TagMove, Trigger
from promoter.domain.records import Record
from tests.adapters.test_ledger import Clock, ended, failed, intent, leased
from tests.support.tables import EmptyTable

NAME = "EcrPromoter-LedgerTable12345678-ABCDEFGHIJKL"
EVENT = {"trigger": Trigger.SCAN, "caller": None, "fingerprint": ""}
Ending = Callable[[Record], Record]


def throttled(record: Record) -> Record:
    return failed(record, Throttled("slow down"))


def found(record: Record) -> Record:
    return ended(record, Outcome.UNCHANGED)


def refused(record: Record) -> Record:
    return failed(record, GateRefused("bad", reasons=(Reason("finding", "x"),)))


def intended(tags: tuple[str, ...], members: dict[str, Any]) -> Record:
    moves = tuple(TagMove(tag, Outcome.PLANNED, None) for tag in tags)
    return intent(tags=tags, promotion_id="0" * 32, moves=moves, **members)


@pytest.fixture
def sent() -> list[int]:
    """The sizes of the requests, in order."""
    return []


@pytest.fixture
def dynamo(sent: list[int], monkeypatch: pytest.MonkeyPatch) -> DynamoLedger:
    """A ledger whose requests are as long each time."""
    monkeypatch.setattr(secrets, "token_urlsafe", lambda size: "T" * -(-size * 4 // 3))
    client = EmptyTable().client()
    measure: Any = lambda request, **_: sent.append(len(request.body))  # noqa: E731 - botocore wants Any
    client.meta.events.register_first("before-send.dynamodb", measure)
    table = Table(client, NAME, "eu-central-1")
    return DynamoLedger(table, lease_duration=timedelta(seconds=30), history=timedelta(days=400), now=Clock())


@pytest.mark.parametrize(
    ("tags", "members", "ending", "sizes"),
    [
        (("v20261124-1",), {}, ended, [1523, 1675]),
        (("v20261124-1",), {}, throttled, [1523, 1952]),
        (("v20261124-1",), EVENT, ended, [1532, 1618]),
        (("v20261124-1",), EVENT, throttled, [1532, 1902]),
        (("a", "b", "c"), {}, ended, [2569, 3937]),
        (("a", "b", "c"), EVENT, ended, [2692, 3766]),
    ],
)
def test_a_promotion_that_may_not_wait_sends_what_it_sent_before(
    dynamo: DynamoLedger,
    sent: list[int],
    tags: tuple[str, ...],
    members: dict[str, Any],
    ending: Ending,
    sizes: list[int],
) -> None:
    """Two requests of the sizes that they had before promotions could wait."""
    record = intended(tags, members)

    assert dynamo.finish(leased(dynamo, record, None), ending(record)) is None

    assert sent == sizes


@pytest.mark.parametrize(
    ("members", "ending", "size"),
    [({}, found, 1725), ({}, refused, 1762), (EVENT, found, 1651), (EVENT, refused, 1688)],
)
def test_an_outcome_that_moved_nothing_sends_what_it_sent_before(
    dynamo: DynamoLedger, sent: list[int], members: dict[str, Any], ending: Ending, size: int
) -> None:
    """One request of the size that it had before promotions could wait."""
    assert dynamo.record(ending(intended(("v20261124-1",), members))) == Recorded()

    assert sent == [size]
