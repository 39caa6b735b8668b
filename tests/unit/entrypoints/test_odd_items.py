"""Items of the table that no version of this service has written."""

from __future__ import annotations

from typing import Any

import pytest

from promoter.aws.event_bus import Unsent
from promoter.entrypoints.stream import read


@pytest.mark.parametrize(
    ("name", "value"), [("promotion", {"NULL": True}), ("promotion", {"N": "1"}), ("drift", {"NULL": True})]
)
def test_an_item_that_somebody_wrote_by_hand_is_put_aside(name: str, value: Any) -> None:
    """Whatever is wrong with it: an error here stops the shard for hours, with all that ended after it."""
    item = {
        "pk": {"S": "heads#123456789012/eu-central-1/team/web"},
        "sk": {"S": "prod"},
        "digest": {"S": "sha256:0"},
        "moved": {"S": "2026-11-24T00:00:00Z"},
        "promotion": {"S": "p-1"},
        "drift": {"S": "none"},
        name: value,
    }

    (unsent,) = read([{"dynamodb": {"NewImage": item}}])

    assert isinstance(unsent, Unsent)
    assert unsent.code == "unreadable"
