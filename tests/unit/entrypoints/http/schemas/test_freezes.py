"""What is frozen and lifted over HTTP."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from promoter.domain.errors import InvalidRequest
from promoter.domain.policy import Freeze
from promoter.entrypoints.http.schemas import freezes
from tests.support.policies import policy, rule

RULES = policy(rule(name="prod")).rules


def read(body: Any) -> Freeze:
    return freezes.read(json.dumps(body).encode(), by="ann", rules=RULES)


def test_a_reason_is_enough_to_stop_everything() -> None:
    """Until somebody lifts the freeze; the record says who set it, and when."""
    freeze = read({"reason": "incident 7"})

    assert (freeze.repositories, freeze.rules, freeze.end) == (None, None, None)
    assert (freeze.reason, freeze.by) == ("incident 7", "ann")
    assert datetime.now(UTC) - freeze.start < timedelta(seconds=10)


def test_some_repositories_and_one_rule_may_be_frozen_for_a_while() -> None:
    """A moment has an offset."""
    freeze = read({"reason": "r", "repositories": "team/*", "rule": "prod", "until": "2999-01-01T00:00:00+01:00"})

    assert (freeze.repositories, freeze.rules) == (("team/*",), ("prod",))
    assert freeze.end == datetime(2998, 12, 31, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({}, "reason", "missing required field"),
        ({"reason": ""}, "reason", "length >= 1"),
        ({"reason": "x" * 501}, "reason", "length <= 500"),
        ({"reason": "r", "rule": "other"}, "rule", "The policy has no rule named other"),
        ({"reason": "r", "rule": "a b"}, "rule", "matching regex"),
        ({"reason": "r", "repositories": "Team/*"}, "repositories", "matching regex"),
        ({"reason": "r", "until": "2020-01-01T00:00:00Z"}, "until", "until is in the past"),
        ({"reason": "r", "until": "2999-01-01T00:00:00"}, "until", "needs an offset"),
        ({"reason": "r", "until": "9999-12-31T23:59:59-14:00"}, "until", "in the years 1970 to 9998"),
        ({"reason": "r", "until": "tomorrow"}, "until", "Invalid RFC3339"),
    ],
)
def test_a_mistake_names_its_member(body: Any, field: str, message: str) -> None:
    """A freeze that would have no effect is a mistake: who pressed the button believes that all rests."""
    with pytest.raises(InvalidRequest) as raised:
        read(body)

    assert raised.value.field == field
    assert message in raised.value.detail


@pytest.mark.parametrize(
    ("query", "repositories", "rules"),
    [
        ({}, None, None),
        ({"repositories": "*", "rule": "*"}, None, None),
        ({"repositories": "team/*", "rule": "gone"}, ("team/*",), ("gone",)),
    ],
)
def test_a_freeze_is_lifted_by_what_it_froze(
    query: dict[str, str], repositories: tuple[str, ...] | None, rules: tuple[str, ...] | None
) -> None:
    """Also of a rule that is no longer in the policy."""
    scope = freezes.read_scope(query)

    assert (scope.repositories, scope.rules) == (repositories, rules)


@pytest.mark.parametrize("query", [{"rule": ""}, {"rule": "x" * 65}, {"repositories": ""}, {"reason": "r"}])
def test_an_odd_scope_is_a_mistake(query: dict[str, str]) -> None:
    """It names its parameter."""
    with pytest.raises(InvalidRequest) as raised:
        freezes.read_scope(query)

    assert raised.value.field in query
