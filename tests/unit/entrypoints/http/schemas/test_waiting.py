"""The member `wait` of the requests that promote."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from promoter.domain.errors import InvalidRequest
from promoter.domain.model import Promotion
from promoter.domain.rollback import Undo
from promoter.domain.waiting import LARGEST_MANIFEST
from promoter.entrypoints.http.schemas import promotions, rollbacks
from tests.unit.entrypoints.http.conftest import ORIGIN

DIGEST = "sha256:" + "a" * 64
ASK = {"repositoryName": "team/web", "source": {"imageTag": "staging"}}
EVERY_MEMBER = {
    "repositoryName": "team/web",
    "registryId": "999999999999",
    "source": {"imageTag": "staging", "imageDigest": DIGEST},
    "imageTags": ["prod", "v1.4.0"],
    "expectedDigests": {"prod": DIGEST, "v1.4.0": None},
    "target": {"region": "eu-central-1"},
}
BROUGHT = (
    '{"schemaVersion": 2, "config": {"mediaType": "application/vnd.oci.image.config.v1+json"}, "layers": []}\n'
)
BRING = {"repositoryName": "team/web", "imageManifest": BROUGHT, "imageTag": "v7"}
BY_TAG = {"repositoryName": "team/web", "imageTag": "prod", "expectedDigest": DIGEST}
SECOND = timedelta(seconds=1)


def promotion(body: Any) -> Promotion:
    return promotions.read(json.dumps(body).encode(), ORIGIN, "p-1")


def by_promotion(body: Any) -> Undo:
    return rollbacks.read(json.dumps(body).encode(), ORIGIN, "p-1")


def by_tag(body: Any) -> Undo:
    return rollbacks.read_by_tag(json.dumps(BY_TAG | body).encode(), ORIGIN).undo


@pytest.mark.parametrize("wait", [{}, {"wait": False}])
def test_who_does_not_ask_for_it_does_not_wait(wait: dict[str, Any]) -> None:
    """The answer is the error, as it always was."""
    assert promotion(ASK | wait).wait is None
    assert by_promotion(wait).wait is None
    assert by_tag(wait).wait is None


@pytest.mark.parametrize(
    ("wait", "seconds"),
    [
        (True, 86_400),
        ({"seconds": 1}, 1),
        ({"seconds": 90}, 90),
        ({"seconds": 90.0}, 90),
        ({"seconds": 1e3}, 1_000),
        ({"seconds": 1_209_600}, 14 * 86_400),
    ],
)
def test_a_promotion_waits_for_as_long_as_it_is_told(wait: Any, seconds: int) -> None:
    """From the moment when it is asked for; a day where no time is named."""
    asked = promotion(ASK | {"wait": wait})

    assert asked.wait is not None
    assert asked.wait.until == asked.asked_at + timedelta(seconds=seconds)


@pytest.mark.parametrize("read", [by_promotion, by_tag])
def test_a_rollback_waits_in_the_same_way(read: Any) -> None:
    """A freeze passes for it too."""
    undo = read({"wait": {"seconds": 90}})

    assert undo.wait is not None
    assert abs(undo.wait.until - datetime.now(UTC) - timedelta(seconds=90)) < 5 * SECOND


@pytest.mark.parametrize(
    ("wait", "field", "message"),
    [
        ("yes", "wait", "Expected `bool | object`, got `str`"),
        (86_400, "wait", "Expected `bool | object`, got `int`"),
        (None, "wait", "Expected `bool | object`, got `null`"),
        ({}, "wait.seconds", "missing required field `seconds`"),
        ({"hours": 1}, "wait.hours", "unknown field `hours`"),
        ({"seconds": 60, "for": "scans"}, "wait.for", "unknown field `for`"),
        ({"seconds": 0}, "wait.seconds", ">= 1"),
        ({"seconds": 1_209_601}, "wait.seconds", "<= 1209600.0"),
        ({"seconds": "60"}, "wait.seconds", "Expected `float`, got `str`"),
        ({"seconds": True}, "wait.seconds", "Expected `float`, got `bool`"),
    ],
)
@pytest.mark.parametrize("read", [lambda body: promotion(ASK | body), by_promotion, by_tag])
def test_a_mistake_names_its_member(read: Any, wait: Any, field: str, message: str) -> None:
    """On each of the three routes."""
    with pytest.raises(InvalidRequest) as raised:
        read({"wait": wait})

    assert raised.value.field == field
    assert message in raised.value.detail


def test_a_dry_run_does_not_wait() -> None:
    """Nothing is written for it that could be carried out later."""
    with pytest.raises(InvalidRequest) as raised:
        promotion(ASK | {"wait": True, "dryRun": True})

    assert raised.value.field == "wait"
    assert promotion(ASK | {"wait": False, "dryRun": True}).dry_run


def test_a_manifest_that_waits_has_a_size_that_the_table_can_hold() -> None:
    """One that is put at once may be larger."""
    room = LARGEST_MANIFEST - len(BROUGHT)
    fits, too_large = BROUGHT + " " * room, BROUGHT + " " * (room + 1)

    assert promotion(BRING | {"imageManifest": fits, "wait": True}).wait
    assert promotion(BRING | {"imageManifest": too_large}).source.manifest
    with pytest.raises(InvalidRequest, match="204,800 bytes, this one has 204,801") as raised:
        promotion(BRING | {"imageManifest": too_large, "wait": {"seconds": 60}})
    assert raised.value.field == "imageManifest"


@pytest.mark.parametrize("wait", [{}, {"wait": True}, {"wait": False}, {"wait": {"seconds": 60}}])
@pytest.mark.parametrize(
    ("body", "fingerprint"),
    [
        (ASK, "eeedcc6b56f77346b75bfc1d56b87bb8d5827ce9088baf130a938d4c26face28"),
        (EVERY_MEMBER, "c085cb3e3e9cdbd9a6607acf77c7948fe5253049f25abcd5a7aae2080ba72fbb"),
        (BRING, "85d0589d74343c6b27a829ba09151907cac94e92f778be4beb84163f27bc6621"),
    ],
)
def test_a_fingerprint_is_the_one_that_older_tables_hold(
    body: dict[str, Any], fingerprint: str, wait: dict[str, Any]
) -> None:
    """These are of the release before `wait`: a key that was used then is known, and waiting changes nothing."""
    assert promotion(body | wait).fingerprint == fingerprint


@pytest.mark.parametrize(
    ("read", "fingerprint"), [(by_promotion, "p-1 None"), (by_tag, f"123456789012/team/web:prod@{DIGEST}")]
)
def test_the_key_of_a_rollback_does_not_stand_for_the_wait(read: Any, fingerprint: str) -> None:
    """The same request may be sent again with more patience."""
    assert {read(wait).fingerprint for wait in ({}, {"wait": True}, {"wait": {"seconds": 60}})} == {fingerprint}
