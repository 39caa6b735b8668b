"""Taking a promotion back: who may, from where, and to where."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from promoter import rollback
from promoter.errors import InvalidRequest, NotAllowed, SourceNotFound, TagChanged
from promoter.model import Finding, ImageId, Outcome, Promoted, Record, Repository, Scan, TagMove, Trigger
from promoter.promote import promote
from promoter.rollback import Undo
from tests.support.ledgers import InMemoryLedger, world
from tests.support.policies import gate, policy, rule
from tests.support.registries import REPOSITORY, InMemoryRegistry, KnownFindings, manifest

OLD, NEW, OTHER = manifest('{"old": 1}'), manifest('{"new": 1}'), manifest('{"other": 1}')
UNDO = Undo("p-2", "arn:ann", None)
RULES = policy(
    rule(name="prod", to=["prod"], callers=["arn:ann"], gate=gate(findings={"CRITICAL": 0})),
    rule(name="staging", on="scan", to=["staging"], gate=gate(findings={}), **{"from": "build-.*"}),
)


def record(*moves: TagMove, rule: str = "prod") -> Record:
    """Return a promotion that put these tags on NEW."""
    return Record(
        promotion_id="p-1",
        trigger=Trigger.REQUEST,
        repository=REPOSITORY,
        source=ImageId("staging"),
        asked_at=datetime(2026, 11, 23, tzinfo=UTC),
        rule=rule,
        image_digest=NEW.digest,
        image_tags=tuple(move.image_tag for move in moves),
        moves=moves,
        outcome=Outcome.PROMOTED,
    )


def moved(tag: str, previous: str | None = OLD.digest, outcome: Outcome = Outcome.PROMOTED) -> TagMove:
    return TagMove(tag, outcome, previous)


def carry_out(of: Record, undo: Undo = UNDO, **tags: Any) -> tuple[Promoted, InMemoryRegistry, InMemoryLedger]:
    """Take a promotion back; OLD has a critical finding by now."""
    registry = InMemoryRegistry(tags or {"prod": NEW}, untagged=[OLD])
    findings = KnownFindings({OLD.digest: Scan("COMPLETE", (Finding("CVE-1", "CRITICAL", ("a",)),))})
    ledger = InMemoryLedger()
    return promote(rollback.wish(of, undo), world(RULES, registry, findings, ledger=ledger)), registry, ledger


def test_the_tag_goes_back_to_where_it_was() -> None:
    """Whatever scanners say of that image by now; the record names what it undoes."""
    answer, registry, ledger = carry_out(record(moved("prod")))

    assert answer.outcome is Outcome.PROMOTED
    assert registry.tags["prod"] == OLD
    assert [(each.promotion_id, each.undoes) for each in ledger.announced] == [("p-2", "p-1")]


def test_only_the_rules_callers_may() -> None:
    """Whom the rule lets promote, it lets take back."""
    with pytest.raises(NotAllowed, match="does not let this caller roll back"):
        carry_out(record(moved("prod")), replace(UNDO, caller="arn:bob"))


def test_what_a_scan_did_everybody_may_take_back_whom_the_api_lets_in() -> None:
    """A scan rule has no callers."""
    of = record(moved("staging"), rule="staging")

    assert carry_out(of, replace(UNDO, caller="arn:bob"), staging=NEW)[1].tags["staging"] == OLD


def test_a_rule_that_is_gone_takes_nothing_back() -> None:
    """Nobody can say any longer who may."""
    with pytest.raises(NotAllowed, match="no longer in the policy"):
        carry_out(record(moved("prod"), rule="gone"))


def test_a_rule_of_other_repositories_takes_nothing_back() -> None:
    """Nor do its callers, whoever they are."""
    elsewhere = replace(record(moved("prod")), repository=Repository(REPOSITORY.registry_id, "other/web"))
    with pytest.raises(NotAllowed, match="no longer about repository other/web"):
        carry_out(elsewhere)


def test_a_tag_that_has_moved_on_stays() -> None:
    """A rollback is from where the promotion had put the tag, and from nowhere else."""
    with pytest.raises(TagChanged):
        carry_out(record(moved("prod")), prod=OTHER)


def test_an_image_that_is_gone_cannot_be_gone_back_to() -> None:
    """It is looked for before anything moves."""
    registry = InMemoryRegistry({"prod": NEW})

    with pytest.raises(SourceNotFound):
        promote(rollback.wish(record(moved("prod")), UNDO), world(RULES, registry))
    assert registry.puts == []


def test_a_tag_that_was_new_is_left_out() -> None:
    """There is nothing to put it back on, and the service deletes nothing."""
    wish = rollback.wish(record(moved("prod"), moved("v1", previous=None)), UNDO)

    assert wish.image_tags == ("prod",)
    assert wish.expected_digests == {"prod": NEW.digest}


@pytest.mark.parametrize(
    ("of", "tags", "message"),
    [
        (record(moved("v1", previous=None)), None, "no tag that had been on another image"),
        (record(moved("prod", outcome=Outcome.UNCHANGED)), None, "no tag that had been on another image"),
        (record(moved("a"), moved("b", previous=OTHER.digest)), None, "name those of one in imageTags"),
        (record(moved("prod")), ["other"], "did not move other"),
    ],
)
def test_what_cannot_be_taken_back_is_told(of: Record, tags: list[str] | None, message: str) -> None:
    """With what to do about it."""
    with pytest.raises(InvalidRequest, match=message):
        rollback.wish(of, replace(UNDO, image_tags=tags))


def test_tags_that_were_on_different_images_are_taken_back_one_by_one() -> None:
    """A rollback puts one image."""
    wish = rollback.wish(record(moved("a"), moved("b", previous=OTHER.digest)), replace(UNDO, image_tags=["b"]))

    assert wish.source.image_id == ImageId(image_digest=OTHER.digest)
