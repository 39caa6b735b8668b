"""What is kept of a promotion is small, whatever the texts that it was refused with."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from promoter.domain import documents
from promoter.domain.answers import NotPromoted
from promoter.domain.errors import GateRefused
from promoter.domain.model import ImageId, Outcome, Reason, Record, TagMove, Trigger
from tests.support.registries import REPOSITORY, manifest

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
IMAGE = manifest('{"a": 1}')
TAGS = tuple(f"{number:0>128}" for number in range(40))  # as many and as long as a promotion may name
OPEN = Record(
    promotion_id="p-1",
    trigger=Trigger.REQUEST,
    repository=REPOSITORY,
    source=ImageId("staging"),
    asked_at=NOW,
    rule="prod",
    caller="arn:x",
    image_tags=TAGS,
)
WAYS_TO_WRITE = ["x", "é", "\U0001f4a5", '"', "\x00", "\ud83d"]


def refused(text: str, reasons: int = 51) -> Record:
    """Return the record of a refusal whose every text is the same."""
    every = Reason("finding", text, text, text, text, text, text, text, text)
    error = GateRefused(text, reasons=(every,) * reasons)
    moves = tuple(TagMove(tag, Outcome.PROMOTED, IMAGE.digest) for tag in TAGS)
    return documents.ended(OPEN, NotPromoted(error, moves), now=NOW)


@pytest.mark.parametrize("letter", WAYS_TO_WRITE, ids=ascii)
def test_a_document_has_a_size_that_everything_takes(letter: str) -> None:
    """In JSON at most 60 KB, also where a character is written with twelve; it can be read again."""
    document = documents.document(refused(letter * 500_000))

    text = json.dumps(document)

    assert len(text) <= documents.MOST_BYTES
    text.encode()  # what is stored has no half of a pair
    assert documents.read(json.loads(text)).reasons
    json.loads(text)["detail"].encode()


def test_reasons_that_do_not_fit_are_counted() -> None:
    """The last reason says how many there are beside."""
    told = documents.document(refused("é" * 1_000))["reasons"]

    assert 1 < len(told) < 51
    assert told[-1] == {
        "code": "more",
        "detail": f"and {52 - len(told)} more reasons that are too long to be listed",
    }


def test_what_is_short_is_kept_as_it_is() -> None:
    """Nothing is cut that needs not be."""
    document = documents.document(refused("é\U0001f4a5"))

    assert document["detail"] == "é\U0001f4a5"
    assert len(document["reasons"]) == 51


def test_a_text_is_cut_between_characters() -> None:
    """With an ellipsis, so that everybody sees that there was more."""
    assert documents.cut("ab" + "\U0001f4a5" * 9, 5) == "ab\U0001f4a5\U0001f4a5…"
    assert documents.cut("abcde", 5) == "abcde"
    assert documents.cut(None) is None
    assert documents.cut("a\ud83d") == "a\ufffd"
    assert documents.cut("a\ud83d\udca5") == "a\U0001f4a5"
