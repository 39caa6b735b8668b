"""A real table takes the record of every refusal, whatever the texts in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from local.aws import LocalAws
from promoter.aws.dynamodb.ledger import DynamoLedger
from promoter.aws.dynamodb.table import Table
from promoter.domain import documents
from promoter.domain.answers import NotPromoted
from promoter.domain.errors import GateRefused
from promoter.domain.leasing import Recorded, Replayed
from promoter.domain.model import Reason
from tests.unit.domain.test_documents import OPEN, TAGS


@pytest.mark.parametrize("tags", [TAGS, ()], ids=["40 tags", "no tag"])
def test_a_refusal_with_a_giant_text_is_recorded(local_aws: LocalAws, table: str, tags: tuple[str, ...]) -> None:
    """In the record and in the history of each tag; a repeat is told the same."""
    kept = Table(local_aws.client("dynamodb"), table, local_aws.region)
    ledger = DynamoLedger(kept, lease_duration=timedelta(seconds=30), history=timedelta(days=400))
    giant = "\U0001f4a5" * 500_000
    error = GateRefused(giant, reasons=(Reason("unreadable_index", giant, platform=giant),) * 51)
    ended = documents.ended(
        replace(OPEN, image_tags=tags), NotPromoted(error), now=datetime(2026, 11, 23, 12, tzinfo=UTC)
    )

    assert ledger.record(ended) == Recorded()

    again = ledger.record(ended)
    assert isinstance(again, Replayed)
    assert again.record.code == "gate_refused"
    assert again.record.reasons[-1].code == "more"
    items = local_aws.client("dynamodb").query(
        TableName=table,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"history#123456789012/{local_aws.region}/team/web#{TAGS[0]}"}},
    )
    assert items["Count"] == (1 if tags else 0)
