"""The bodies of the routes that roll back."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from promoter.domain.errors import InvalidRequest
from promoter.domain.model import Repository
from promoter.domain.rollback import Undo
from promoter.entrypoints.http.schemas import rollbacks
from promoter.entrypoints.http.schemas.rollbacks import TagRollback
from tests.support.policies import ACCOUNT
from tests.unit.entrypoints.http.conftest import ORIGIN

DIGEST = "sha256:" + "a" * 64
BY_TAG = {"repositoryName": "team/web", "imageTag": "prod", "expectedDigest": DIGEST}
OVERRIDE = {"override": {"reason": "release 7 deletes data"}}


def by_promotion(body: Any) -> Undo:
    return rollbacks.read(json.dumps(body).encode(), ORIGIN, "p-1")


def by_tag(body: Any) -> TagRollback:
    return rollbacks.read_by_tag(json.dumps(body).encode(), ORIGIN)


@pytest.mark.parametrize("body", [b"", b" \n", b"{}"])
def test_without_a_body_all_tags_are_meant(body: bytes) -> None:
    """And nothing is overridden."""
    undo = rollbacks.read(body, ORIGIN, "p-1")

    assert (undo.image_tags, undo.override, undo.caller) == (None, None, ORIGIN.caller)


def test_some_tags_and_a_reason_may_be_named() -> None:
    """Of the promotion in the path."""
    undo = by_promotion({"imageTags": ["prod", "canary"]} | OVERRIDE)

    assert list(undo.image_tags or ()) == ["prod", "canary"]
    assert undo.override == "release 7 deletes data"


def test_a_tag_is_taken_back_from_where_it_is() -> None:
    """In the function's own account, where none is named."""
    asked = by_tag(BY_TAG)

    assert asked.repository == Repository(ACCOUNT, "team/web")
    assert (asked.image_tag, asked.expected_digest) == ("prod", DIGEST)
    assert list(asked.undo.image_tags or ()) == ["prod"]
    assert by_tag(BY_TAG | {"registryId": "999999999999"}).repository.registry_id == "999999999999"


def test_a_key_stands_for_the_whole_request() -> None:
    """Other tags, another digest or another reason under the key are another request."""
    undos = [
        by_promotion({}),
        by_promotion({"imageTags": ["prod"]}),
        by_promotion(OVERRIDE),
        by_tag(BY_TAG).undo,
        by_tag(BY_TAG | {"expectedDigest": "sha256:" + "b" * 64}).undo,
        by_tag(BY_TAG | OVERRIDE).undo,
    ]

    assert len({undo.fingerprint for undo in undos}) == len(undos)
    assert by_promotion({}) == by_promotion({})


def test_a_key_belongs_to_what_is_taken_back() -> None:
    """The same key takes back two promotions, each once; and without a key each call is another rollback."""
    same, other = (rollbacks.read(b"", ORIGIN, name).promotion_id for name in ("p-1", "p-2"))
    keyless = [rollbacks.read(b"", replace(ORIGIN, idempotency_key=None), "p-1").promotion_id for _ in range(2)]

    assert by_promotion({}).promotion_id == same != other
    assert by_tag(BY_TAG).undo.promotion_id == by_tag(BY_TAG | OVERRIDE).undo.promotion_id
    assert keyless[0] != keyless[1]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"imageTags": []}, "imageTags"),
        ({"imageTags": ["prod", "sha256-x"]}, "imageTags[1]"),
        ({"tags": ["prod"]}, "tags"),
        ({"override": {}}, "override.reason"),
        ({"override": {"reason": ""}}, "override.reason"),
        ({"override": {"reason": " \n"}}, "override.reason"),
        ({"override": {"reason": "\x1e\x85\u2028\ufeff"}}, "override.reason"),
        ({"override": {"reason": "x" * 401}}, "override.reason"),
        ({"override": "release 7"}, "override"),
    ],
)
def test_a_mistake_names_its_member(body: Any, field: str) -> None:
    """A reason says something, and a tag is one that a promotion may put."""
    with pytest.raises(InvalidRequest) as raised:
        by_promotion(body)

    assert raised.value.field == field


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"expectedDigest": None}, "expectedDigest"),
        ({"expectedDigest": "latest"}, "expectedDigest"),
        ({"imageTag": "sha256-x"}, "imageTag"),
        ({"repositoryName": "Team"}, "repositoryName"),
        ({"registryId": "42"}, "registryId"),
        ({"promotionId": "p-1"}, "promotionId"),
    ],
)
def test_a_tag_is_named_with_its_digest(change: dict[str, Any], field: str) -> None:
    """Or it might be taken back from an image that the caller never saw."""
    with pytest.raises(InvalidRequest) as raised:
        by_tag(BY_TAG | change)

    assert raised.value.field == field


@pytest.mark.parametrize("member", BY_TAG)
def test_each_member_is_needed(member: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(InvalidRequest) as raised:
        by_tag({name: value for name, value in BY_TAG.items() if name != member})

    assert raised.value.field == member
