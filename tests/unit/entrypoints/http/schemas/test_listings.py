"""The query strings of lists."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from promoter.domain.errors import InvalidRequest
from promoter.domain.listing import ALL, Filter
from promoter.domain.model import Outcome, Repository
from promoter.entrypoints.http.schemas import listings
from promoter.entrypoints.http.schemas.listings import Listing, WaitingListing
from tests.support.policies import ACCOUNT

DIGEST = "sha256:" + "a" * 64
ASK = {"repositoryName": "team/web"}
PLACE = Repository(ACCOUNT, "team/web")


def promotions(query: dict[str, str]) -> Listing | WaitingListing:
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


WAITING = {"outcome": "WAITING"}


def test_what_waits_is_listed_for_all_repositories() -> None:
    """An operator asks what is stuck, not where."""
    assert listings.read_promotions(WAITING, ACCOUNT) == WaitingListing(
        None, 20, None, None, Filter(Outcome.WAITING)
    )


def test_what_waits_may_be_asked_for_by_all_that_is_known_of_it() -> None:
    """Repository, tag, image and caller, page by page."""
    asked = promotions(
        WAITING | {"imageTag": "prod", "imageDigest": DIGEST, "caller": "*ann", "limit": "7", "nextToken": "t"}
    )

    assert asked == WaitingListing(PLACE, 7, "t", "prod", Filter(Outcome.WAITING, DIGEST, "*ann"))
    elsewhere = promotions(WAITING | {"registryId": "999999999999"})
    assert elsewhere.repository == Repository("999999999999", "team/web")


@pytest.mark.parametrize(
    ("query", "field", "message"),
    [
        ({}, "repositoryName", "Only outcome=WAITING lists the promotions of all repositories"),
        ({"outcome": "REFUSED"}, "repositoryName", "repositoryName is missing"),
        (WAITING | {"registryId": ACCOUNT}, "registryId", "belongs to repositoryName"),
        (WAITING | {"since": "2026-11-24T10:00:00Z"}, "since", "has not ended: leave since out"),
        (WAITING | {"until": "2026-11-24T10:00:00Z"}, "until", "has not ended: leave until out"),
    ],
)
def test_a_list_without_an_end_or_a_repository_is_of_what_waits(
    query: dict[str, str], field: str, message: str
) -> None:
    """The sentence says which of the two lists has the parameter."""
    with pytest.raises(InvalidRequest) as raised:
        listings.read_promotions(query, ACCOUNT)

    assert raised.value.field == field
    assert message in raised.value.detail


def test_heads_have_no_filter() -> None:
    """A parameter that would have no effect is a mistake."""
    with pytest.raises(InvalidRequest) as raised:
        listings.read_heads(ASK | {"outcome": "PROMOTED"}, ACCOUNT)

    assert raised.value.field == "outcome"
