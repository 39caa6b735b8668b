"""A real table takes the record of every refusal, whatever the texts in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from local.aws import LocalAws
from promoter.aws.dynamodb.ledger import DynamoLedger
from promoter.domain import documents
from promoter.domain.errors import GateRefused
from promoter.domain.model import Reason
from tests.unit.domain.test_documents import OPEN, TAGS


@pytest.mark.parametrize("tags", [TAGS, ()], ids=["40 tags", "no tag"])
def test_a_refusal_with_a_giant_text_is_recorded(local_aws: LocalAws, table: str, tags: tuple[str, ...]) -> None:
    """In the record and in the history of each tag; a repeat is told the same."""
    ledger = DynamoLedger(
        local_aws.client("dynamodb"), table, lease_duration=timedelta(seconds=30), history=timedelta(days=400)
    )
    giant = "\U0001f4a5" * 500_000
    error = GateRefused(giant, reasons=(Reason("unreadable_index", giant, platform=giant),) * 51)
    ended = documents.ended(replace(OPEN, image_tags=tags), error, now=datetime(2026, 11, 23, 12, tzinfo=UTC))

    ledger.record(ended)

    earlier = ledger.record(ended)
    assert earlier.code == "gate_refused"
    assert earlier.reasons[-1].code == "more"
    items = local_aws.client("dynamodb").query(
        TableName=table,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"history#123456789012/team/web#{TAGS[0]}"}},
    )
    assert items["Count"] == (1 if tags else 0)
