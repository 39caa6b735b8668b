"""The query strings of lists."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from promoter.domain.errors import InvalidRequest
from promoter.domain.listing import ALL, Filter
from promoter.domain.model import Outcome, Repository
from promoter.entrypoints.http.schemas import listings
from promoter.entrypoints.http.schemas.listings import Listing
from tests.support.policies import ACCOUNT

DIGEST = "sha256:" + "a" * 64
ASK = {"repositoryName": "team/web"}
PLACE = Repository(ACCOUNT, "team/web")


def promotions(query: dict[str, str]) -> Listing:
    return listings.read_promotions(ASK | query, ACCOUNT)


def test_a_repository_is_enough() -> None:
    """Then all its promotions are listed, twenty a page, and heads by the hundred."""
    assert promotions({}) == Listing(PLACE, 20, None, None, ALL)
    assert listings.read_heads(ASK, ACCOUNT) == Listing(PLACE, 100, None, None, ALL)


def test_every_parameter_is_taken() -> None:
    """Numbers are read from text."""
    asked = promotions(
        {
            "registryId": "999999999999",
            "imageTag": "prod",
            "imageDigest": DIGEST,
            "caller": "arn:aws:iam::*:role/x",
            "outcome": "REFUSED",
            "since": "2026-11-24T10:00:00Z",
            "until": "2026-11-24T11:30:00Z",
            "limit": "7",
            "nextToken": "t",
        }
    )

    since = datetime(2026, 11, 24, 10, tzinfo=UTC)
    assert asked == Listing(
        Repository("999999999999", "team/web"),
        7,
        "t",
        "prod",
        Filter(Outcome.REFUSED, DIGEST, "arn:aws:iam::*:role/x", since, since + timedelta(minutes=90)),
    )


@pytest.mark.parametrize(
    "text", ["2026-11-24T10:00:00+01:00", "2026-11-24T10:00:00 01:00", "2026-11-24T09:00:00Z", "20261124T090000Z"]
)
def test_a_moment_has_an_offset_whose_plus_may_arrive_as_a_space(text: str) -> None:
    """That is what a + in a query string means."""
    moment = datetime(2026, 11, 24, 10, tzinfo=timezone(timedelta(hours=1)))

    assert promotions({"since": text}).wanted.since == moment


@pytest.mark.parametrize(
    ("query", "field", "message"),
    [
        ({"since": "yesterday"}, "since", "since is not a time"),
        ({"since": "\ud800"}, "since", "since is not a time"),
        ({"since": "2026-11-24"}, "since", "needs an offset"),
        ({"until": "2026-11-24T10:00:00"}, "until", "needs an offset"),
        ({"until": "0001-01-01T00:00:00+14:00"}, "until", "in the years 1970 to 9998"),
        ({"until": "9999-12-31T23:59:59-14:00"}, "until", "in the years 1970 to 9998"),
        (
            {"since": "2026-11-24T10:00:00Z", "until": "2026-11-24T10:00:00Z"},
            "until",
            "until must be later than since",
        ),
        ({"limit": "0"}, "limit", ">= 1"),
        ({"limit": "101"}, "limit", "<= 100"),
        ({"limit": "all"}, "limit", "Expected `int`, got `str`"),
        ({"outcome": "promoted"}, "outcome", "Invalid enum value"),
        ({"caller": ""}, "caller", "length >= 1"),
        ({"nextToken": "x" * 4_097}, "nextToken", "length <= 4096"),
        ({"imageTag": "prod,v1"}, "imageTag", "matching regex"),
        ({"page": "2"}, "page", "unknown field `page`"),
        ({"\ud800": "x"}, "query", "The query cannot be read"),
    ],
)
def test_a_mistake_names_its_parameter(query: dict[str, str], field: str, message: str) -> None:
    """And says what is expected."""
    with pytest.raises(InvalidRequest) as raised:
        promotions(query)

    assert raised.value.field == field
    assert message in raised.value.detail


def test_heads_have_no_filter() -> None:
    """A parameter that would have no effect is a mistake."""
    with pytest.raises(InvalidRequest) as raised:
        listings.read_heads(ASK | {"outcome": "PROMOTED"}, ACCOUNT)

    assert raised.value.field == "outcome"
