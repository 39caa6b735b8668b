"""The body of `POST /promotions`: what a promotion is made of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from promoter.domain.errors import InvalidRequest
from promoter.domain.model import ImageId, Promotion, Repository, Source, Trigger
from promoter.entrypoints.http.schemas import promotions
from tests.support.policies import ACCOUNT
from tests.support.registries import manifest
from tests.unit.entrypoints.http.conftest import ORIGIN

DIGEST = "sha256:" + "a" * 64
ASK = {"repositoryName": "team/web", "source": {"imageTag": "staging"}}
BROUGHT = (
    '{"schemaVersion": 2, "config": {"mediaType": "application/vnd.oci.image.config.v1+json"}, "layers": []}\n'
)
BRING = {"repositoryName": "team/web", "imageManifest": BROUGHT}


def read(body: Any) -> Promotion:
    text = body if isinstance(body, str) else json.dumps(body)
    return promotions.read(text.encode(errors="surrogatepass"), ORIGIN, "p-1")


def test_the_least_that_a_request_needs_is_a_repository_and_a_source() -> None:
    """All else comes from the rule, and from who asks."""
    promotion = read(ASK)

    assert (promotion.promotion_id, promotion.trigger) == ("p-1", Trigger.REQUEST)
    assert promotion.repository == Repository(ACCOUNT, "team/web")
    assert promotion.source == Source(ImageId("staging"))
    assert (promotion.image_tags, promotion.expected_digests) == (None, {})
    assert (promotion.dry_run, promotion.caller, promotion.undoes) == (False, ORIGIN.caller, None)
    assert promotion.asked_at.tzinfo is not None


def test_every_member_is_taken() -> None:
    """As docs/reference/api.md lists them; null stands for a tag that must not exist."""
    promotion = read(
        {
            "repositoryName": "team/web",
            "registryId": "999999999999",
            "source": {"imageTag": "staging", "imageDigest": DIGEST},
            "imageTags": ["prod", "v1.4.0", "prod"],
            "expectedDigests": {"prod": DIGEST, "v1.4.0": None},
            "dryRun": True,
            "target": {"registryId": "999999999999", "region": "eu-central-1", "repositoryName": "team/web"},
        }
    )

    assert promotion.repository == Repository("999999999999", "team/web")
    assert promotion.source == Source(ImageId("staging", DIGEST))
    assert promotion.image_tags == ("prod", "v1.4.0")
    assert promotion.expected_digests == {"prod": DIGEST, "v1.4.0": None}
    assert promotion.dry_run


def test_the_input_of_put_image_is_a_request() -> None:
    """The manifest is taken byte for byte."""
    promotion = read(BRING | {"imageTag": "v7", "imageDigest": manifest(BROUGHT).digest})

    assert promotion.image_tags == ("v7",)
    assert promotion.source.manifest is not None
    assert promotion.source.manifest.body == BROUGHT.encode()
    assert promotion.source.image_digest == manifest(BROUGHT).digest


def test_a_fingerprint_stands_for_what_is_asked_not_for_how_it_is_written() -> None:
    """Another order of members, or blanks, is the same request under an Idempotency-Key."""
    written_otherwise = json.dumps(dict(reversed(ASK.items())), indent=4)

    assert read(written_otherwise).fingerprint == read(ASK).fingerprint
    assert read(ASK | {"imageTag": "v1"}).fingerprint != read(ASK).fingerprint
    assert read(ASK | {"dryRun": True}).fingerprint != read(ASK).fingerprint


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ("", "body", "The body cannot be read"),
        ("[" * 5_000, "body", "Expected `object`, got `array`"),
        ("\ud800", "body", "The body cannot be read"),
        ("[1]", "body", "Expected `object`, got `array`"),
        ({}, "repositoryName", "missing required field"),
        (ASK | {"colour": "blue"}, "colour", "contains unknown field `colour`"),
        (ASK | {"source": {"imageTag": "a", "tag": "b"}}, "source.tag", "unknown field `tag`"),
        (ASK | {"source": {"imageTag": "no tag"}}, "source.imageTag", "matching regex"),
        (ASK | {"imageTags": []}, "imageTags", "length >= 1"),
        (ASK | {"imageTags": [f"v{number}" for number in range(41)]}, "imageTags", "length <= 40"),
        (ASK | {"imageTags": ["v1", "-"]}, "imageTags[1]", "matching regex"),
        (ASK | {"dryRun": "yes"}, "dryRun", "Expected `bool`, got `str`"),
        (ASK | {"source": {}}, "source", "needs an imageTag, an imageDigest or both"),
        (ASK | {"imageTag": "v1", "imageTags": ["v1"]}, "imageTag", "either imageTag or imageTags"),
        (ASK | {"imageDigest": DIGEST}, "imageDigest", "belongs to imageManifest, which is missing"),
        (ASK | {"imageManifestMediaType": "x"}, "imageManifestMediaType", "belongs to imageManifest"),
        (ASK | BRING, "source", "either source or imageManifest"),
        (BRING | {"imageDigest": DIGEST}, "imageDigest", manifest(BROUGHT).digest),
        (ASK | {"imageTag": "sha256-" + "a" * 64}, "imageTag", "tags that begin with sha256-"),
        (ASK | {"imageTags": ["v1", "sha256-x"]}, "imageTags[1]", "signatures and attestations"),
        (ASK | {"expectedDigests": {"sha256-x": None}}, "expectedDigests", "signatures and attestations"),
        (ASK | {"target": {"region": "us-east-1"}}, "target.region", "must be eu-central-1"),
        (ASK | {"target": {"registryId": "999999999999"}}, "target.registryId", f"must be {ACCOUNT}"),
        (ASK | {"target": {"repositoryName": "release/web"}}, "target.repositoryName", "must be team/web"),
    ],
)
def test_a_mistake_names_its_member_and_what_to_do(body: Any, field: str, message: str) -> None:
    """The sentence is for people, the field for programs."""
    with pytest.raises(InvalidRequest) as raised:
        read(body)

    assert raised.value.field == field
    assert message in raised.value.detail


def test_a_pattern_is_shown_without_its_anchors() -> None:
    """They are of no use to who reads the message, and look like a part of the value."""
    with pytest.raises(InvalidRequest) as raised:
        read(ASK | {"imageTag": "no tag"})

    assert r"\A" not in raised.value.detail
    assert r"\Z" not in raised.value.detail
    assert "[a-zA-Z0-9_]" in raised.value.detail


def test_a_mistake_of_any_size_is_told_in_few_words() -> None:
    """The name of a member may have megabytes."""
    with pytest.raises(InvalidRequest) as raised:
        read(ASK | {"k" * 500_000: 1})

    assert raised.value.field == "k" * 300
    assert len(raised.value.detail) < 1_000
