"""The recorded answers of AWS to event patterns: the local AWS matches and refuses the same ones."""

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
    """A client for EventBridge of a local AWS."""
    directory = tmp_path_factory.mktemp("local-aws")
    try:
        yield process.start(directory).client("events")
    finally:
        process.stop(directory)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"] if case else "no corpus")
def test_a_recorded_pattern_gets_the_answer_of_aws(events: Any, case: Any) -> None:
    """For 155 of 155 patterns, as docs/reference/local-aws.md says."""
    asked = {"EventPattern": json.dumps(case["pattern"]), "Event": json.dumps(case["event"])}
    if case["expect"] == "refused":
        with pytest.raises(ClientError) as caught:
            events.test_event_pattern(**asked)
        assert caught.value.response["Error"]["Code"] == "InvalidEventPatternException"
    else:
        assert events.test_event_pattern(**asked)["Result"] is (case["expect"] == "match")


def test_no_pattern_is_left_out() -> None:
    """The number in docs/reference/local-aws.md is that of all recorded patterns."""
    assert len(CASES) == 155
