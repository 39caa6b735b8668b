"""The changes of the table that invoke the announcer, by the matching of the local AWS."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ministack.services import eventbridge

from tests.infra.conftest import Template, resources


def invokes(template: Template, new: dict[str, str], old: dict[str, str] | None) -> bool:
    """Say whether a change of an item invokes the announcer; `old` is None for a new item."""
    (mapping,) = (
        each
        for each in resources(template, "AWS::Lambda::EventSourceMapping")
        if "StartingPosition" in each  # of a stream, not of a queue
    )
    images = {"NewImage": new} if old is None else {"NewImage": new, "OldImage": old}
    change = {"dynamodb": {name: _item(image) for name, image in images.items()}}
    return any(
        eventbridge._matches_detail(change, json.loads(each["Pattern"]))
        for each in mapping["FilterCriteria"]["Filters"]
    )


def _item(texts: dict[str, str]) -> dict[str, Any]:
    return {name: {"S": text} for name, text in texts.items()}


def record(**texts: str) -> dict[str, str]:
    """Return the texts of a promotion's record."""
    return {"pk": "promotion#p", "sk": "record", **texts}


WAITS = record(outcome="WAITING", listedAt="2026-11-24T10:00:00Z#p")
ACCEPTED = WAITS | {"accepted": "2026-11-24T09:50:00Z"}


@pytest.mark.parametrize("outcome", ["PROMOTED", "UNCHANGED", "REFUSED", "FAILED"])
@pytest.mark.parametrize(
    "old", [None, record(lease="l"), WAITS, ACCEPTED], ids=["new", "under way", "waited", "accepted"]
)
def test_every_end_of_a_promotion_invokes_the_announcer(
    template: Template, outcome: str, old: dict[str, str] | None
) -> None:
    """Whether it was recorded at once, ended its lease, or had waited."""
    assert invokes(template, record(outcome=outcome), old)


@pytest.mark.parametrize(
    "old",
    [None, record(lease="l"), record(outcome="REFUSED", code="expired")],
    ids=["new", "under way", "ended before"],
)
def test_a_request_that_is_accepted_to_wait_invokes_the_announcer(
    template: Template, old: dict[str, str] | None
) -> None:
    """Also under an Idempotency-Key whose earlier promotion has ended."""
    assert invokes(template, ACCEPTED, old)


@pytest.mark.parametrize("old", [ACCEPTED, WAITS, record(lease="l")], ids=["first", "later", "with a lease"])
def test_a_try_of_a_promotion_that_waits_invokes_nothing(template: Template, old: dict[str, str]) -> None:
    """It changes when the promotion is tried next, every half hour for as long as it waits."""
    assert not invokes(template, WAITS | {"listedAt": "2026-11-24T10:30:00Z#p"}, old)


def test_a_promotion_by_event_waits_without_an_invocation(template: Template) -> None:
    """Every push waits for its scans."""
    assert not invokes(template, WAITS, None)


@pytest.mark.parametrize(
    "item",
    [
        record(lease="l"),
        {"pk": "history#1/r/team/web#prod", "sk": "t#p", "outcome": "PROMOTED"},
        {"pk": "promotion#p", "sk": "manifest"},
        {"pk": "waiting#1/r/team/web#rule", "sk": "tag#prod", "promotion": "p"},
        {"pk": "wake-up#1/r/team/web@sha256:0", "sk": "p"},
        {"pk": "heads#1/r/team/web", "sk": "prod", "digest": "sha256:0"},
    ],
    ids=["under way", "history", "manifest", "newest", "wake-up", "head"],
)
def test_other_changes_invoke_nothing(template: Template, item: dict[str, str]) -> None:
    """A promotion writes several items, and one of them tells how it ended."""
    assert not invokes(template, item, None)


def test_drift_invokes_the_announcer(template: Template) -> None:
    """A head that was found elsewhere."""
    head = {"pk": "heads#1/r/team/web", "sk": "prod", "digest": "sha256:0"}

    assert invokes(template, head | {"drift": "none"}, head)
