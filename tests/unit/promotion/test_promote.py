"""The use case, on registries that behave and on some that do not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from promoter.domain.errors import (
    InvalidRequest,
    NotAllowed,
    RegistryError,
    SourceNotFound,
    Superseded,
    TagChanged,
    TagImmutable,
)
from promoter.domain.model import ImageId, Outcome, Promoted, Promotion, Repository, Source, Trigger
from promoter.domain.policy import Policy
from tests.support import answers
from tests.support.ledgers import dependencies
from tests.support.policies import ACCOUNT, policy, rule
from tests.support.registries import FailingRegistry, InMemoryRegistry, RacedRegistry, manifest

OLD, NEW = manifest('{"old": 1}'), manifest('{"new": 1}\n')
ANY_TAG = policy(rule(to_matching=[".*"]))


def promotion(source: ImageId | Source = ImageId("staging"), **members: Any) -> Promotion:
    defaults: dict[str, Any] = {
        "promotion_id": "p-1",
        "trigger": Trigger.REQUEST,
        "repository": Repository(ACCOUNT, "team/web"),
        "source": source if isinstance(source, Source) else Source(source),
        "asked_at": datetime(2026, 11, 23, 23, 30, tzinfo=UTC),
    }
    return Promotion(**(defaults | members))


def promote(promotion: Promotion, *, policy: Policy, registry: InMemoryRegistry) -> Promoted:
    """Promote without anything being known of findings: no rule here has a gate."""
    return answers.promote(promotion, dependencies(policy, registry))


def test_the_target_tag_is_put_on_exactly_the_sources_bytes() -> None:
    """The manifest that is put is the one that was read, and the answer says where the tag was before."""
    registry = InMemoryRegistry({"staging": NEW, "prod": OLD})

    answer = promote(promotion(), policy=ANY_TAG, registry=registry)

    assert registry.tags["prod"] is NEW
    assert answer.outcome is Outcome.PROMOTED
    assert answer.manifest is NEW
    assert [(m.image_tag, m.outcome, m.previous_digest) for m in answer.moves] == [
        ("prod", "PROMOTED", OLD.digest)
    ]


def test_one_read_answers_for_the_source_and_for_every_target_tag() -> None:
    """However many tags: one read, and one write for each tag that has to move."""
    registry = InMemoryRegistry({"staging": NEW, "b": NEW, "c": OLD})

    answer = promote(promotion(image_tags=("a", "b", "c")), policy=ANY_TAG, registry=registry)

    assert registry.reads == [[ImageId("staging"), ImageId("a"), ImageId("b"), ImageId("c")]]
    assert registry.puts == ["a", "c"]
    assert [m.outcome for m in answer.moves] == ["PROMOTED", "UNCHANGED", "PROMOTED"]
    assert [m.previous_digest for m in answer.moves] == [None, NEW.digest, OLD.digest]


def test_a_repeat_writes_nothing() -> None:
    """A tag that is on the source already is UNCHANGED and costs no write."""
    registry = InMemoryRegistry({"staging": NEW, "prod": NEW})

    answer = promote(promotion(), policy=ANY_TAG, registry=registry)

    assert answer.outcome is Outcome.UNCHANGED
    assert registry.puts == []


def test_a_tag_that_somebody_else_just_put_is_unchanged() -> None:
    """The registry says that the tag is there already: nothing was moved by this promotion."""
    answer = promote(promotion(), policy=ANY_TAG, registry=RacedRegistry({"staging": NEW, "prod": OLD}))

    assert [(m.outcome, m.previous_digest) for m in answer.moves] == [("UNCHANGED", NEW.digest)]


@pytest.mark.parametrize("source", [ImageId(None, NEW.digest), ImageId("build-1", NEW.digest)])
def test_a_source_may_be_a_digest_or_a_pinned_tag(source: ImageId) -> None:
    """What the digest names is promoted, with and without a tag."""
    registry = InMemoryRegistry({"build-1": NEW})

    assert promote(promotion(source), policy=ANY_TAG, registry=registry).manifest is NEW


def test_a_manifest_that_the_caller_brings_is_put_as_it_is() -> None:
    """Nothing is read for the source; the target tags are, to know what is there."""
    registry = InMemoryRegistry({"prod": OLD})

    answer = promote(promotion(Source(manifest=NEW)), policy=ANY_TAG, registry=registry)

    assert registry.reads == [[ImageId("prod")]]
    assert registry.tags["prod"] is NEW
    assert answer.moves[0].previous_digest == OLD.digest


@pytest.mark.parametrize("source", [ImageId("nope"), ImageId(None, "sha256:" + "0" * 64)])
def test_a_source_that_is_not_there_is_not_found(source: ImageId) -> None:
    """The message names what was looked for, and nothing is written."""
    registry = InMemoryRegistry({"staging": NEW})

    with pytest.raises(SourceNotFound, match=str(source)):
        promote(promotion(source), policy=ANY_TAG, registry=registry)
    assert registry.puts == []


def test_a_pin_that_does_not_hold_promotes_nothing() -> None:
    """A request whose tag and digest belong to different images finds no source."""
    registry = InMemoryRegistry({"staging": NEW}, untagged=[OLD])

    with pytest.raises(SourceNotFound, match="does not point at"):
        promote(promotion(ImageId("staging", OLD.digest)), policy=ANY_TAG, registry=registry)


def test_a_scan_of_an_image_that_lost_its_tag_is_superseded() -> None:
    """Neither the scanned image nor the one that the tag is on now is promoted."""
    registry = InMemoryRegistry({"build-1": NEW}, untagged=[OLD])
    scan_policy = policy(rule(on="scan"))

    with pytest.raises(Superseded):
        promote(
            promotion(ImageId("build-1", OLD.digest), trigger=Trigger.SCAN), policy=scan_policy, registry=registry
        )
    assert registry.puts == []


def test_a_dry_run_says_what_it_would_do_and_does_nothing() -> None:
    """PLANNED for tags that would move, UNCHANGED for those that are there."""
    registry = InMemoryRegistry({"staging": NEW, "prod": OLD, "v1": NEW})

    answer = promote(promotion(image_tags=("prod", "v1"), dry_run=True), policy=ANY_TAG, registry=registry)

    assert answer.outcome is Outcome.PLANNED
    assert [m.outcome for m in answer.moves] == ["PLANNED", "UNCHANGED"]
    assert registry.puts == []


@pytest.mark.parametrize(
    ("expected", "holds"),
    [({"prod": OLD.digest}, True), ({"prod": NEW.digest}, False), ({"prod": None}, False), ({"v1": None}, True)],
)
def test_expected_digests_decide_whether_a_tag_may_move(expected: dict[str, str | None], *, holds: bool) -> None:
    """A tag that is not where the caller expects it stops the whole promotion."""
    registry = InMemoryRegistry({"staging": NEW, "prod": OLD})
    asked = promotion(image_tags=("prod", "v1"), expected_digests=expected)

    if holds:
        assert promote(asked, policy=ANY_TAG, registry=registry).outcome is Outcome.PROMOTED
    else:
        with pytest.raises(TagChanged, match="prod"):
            promote(asked, policy=ANY_TAG, registry=registry)
        assert registry.puts == []


def test_an_expectation_about_another_tag_is_a_mistake() -> None:
    """A misspelt tag in expectedDigests is not quietly passed over."""
    with pytest.raises(InvalidRequest, match="pord"):
        promote(
            promotion(expected_digests={"pord": None}), policy=ANY_TAG, registry=InMemoryRegistry({"staging": NEW})
        )


def test_what_no_rule_admits_is_not_even_read() -> None:
    """A refused caller learns nothing about the registry."""
    registry = InMemoryRegistry({"staging": NEW})

    with pytest.raises(NotAllowed):
        promote(promotion(image_tags=("prod",)), policy=policy(rule(to=["other"])), registry=registry)
    assert registry.reads == []


def test_an_immutable_tag_is_not_moved() -> None:
    """The registry's word is final."""
    registry = InMemoryRegistry({"staging": NEW, "prod": OLD}, immutable=frozenset({"prod"}))

    with pytest.raises(TagImmutable):
        promote(promotion(), policy=ANY_TAG, registry=registry)
    assert registry.tags["prod"] is OLD


def test_a_failure_half_way_says_what_was_done_before_it() -> None:
    """The tags that were put are in the error, so that nobody has to guess."""
    registry = FailingRegistry({"staging": NEW}, failing_tag="b", failure=RegistryError("down"))

    caught = answers.stopped(promotion(image_tags=("a", "b", "c")), dependencies(ANY_TAG, registry))
    assert isinstance(caught.error, RegistryError)

    assert [(m.image_tag, m.outcome) for m in caught.moves] == [("a", "PROMOTED")]
    assert caught.image_digest == NEW.digest


def test_a_tag_made_of_the_digest_is_put_on_that_digest() -> None:
    """The source tag is resolved first and pinned: the tag's name cannot belong to another image."""
    registry = InMemoryRegistry({"staging": NEW})
    expected = f"prod-{NEW.digest[7:19]}-20261123"

    answer = promote(promotion(), policy=policy(rule(to=["prod-{digest}-{date}"])), registry=registry)

    assert [m.image_tag for m in answer.moves] == [expected]
    assert registry.reads[1][0] == ImageId("staging", NEW.digest)


def test_a_dry_run_of_a_digest_template_with_a_missing_source_is_not_found() -> None:
    """Resolving the source for a template reports its absence like any other."""
    with pytest.raises(SourceNotFound):
        promote(promotion(), policy=policy(rule(to=["{digest}"])), registry=InMemoryRegistry())
