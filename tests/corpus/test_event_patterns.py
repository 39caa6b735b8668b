"""Every event pattern that AWS itself judged: the local AWS matches, does not match and refuses the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local import process
from tests.corpus.conftest import CORPUS

RECORDED = CORPUS / "event-patterns" / "recorded.jsonl"
CASES = [json.loads(line) for line in RECORDED.read_text().splitlines()] if RECORDED.is_file() else [None]


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """EventBridge of a local AWS for this module."""
    directory = tmp_path_factory.mktemp("local-aws")
    try:
        yield process.start(directory).client("events")
    finally:
        process.stop(directory)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"] if case else "no corpus")
def test_a_recorded_pattern_is_judged_as_aws_did(events: Any, case: Any) -> None:
    """155 of 155; docs/local-aws.md keeps the score."""
    asked = {"EventPattern": json.dumps(case["pattern"]), "Event": json.dumps(case["event"])}
    if case["expect"] == "refused":
        with pytest.raises(ClientError) as caught:
            events.test_event_pattern(**asked)
        assert caught.value.response["Error"]["Code"] == "InvalidEventPatternException"
    else:
        assert events.test_event_pattern(**asked)["Result"] is (case["expect"] == "match")


def test_none_is_left_out() -> None:
    """The score of docs/local-aws.md counts them all."""
    assert len(CASES) == 155
