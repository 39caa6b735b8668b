"""Taking a promotion back: who may, from where, and to where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from promoter.domain import documents, rollback
from promoter.domain.errors import (
    Frozen,
    InvalidRequest,
    LedgerError,
    NotAllowed,
    RegistryError,
    SourceNotFound,
    Superseded,
    TagChanged,
)
from promoter.domain.findings import Finding, Scan
from promoter.domain.model import ImageId, Outcome, Promoted, Promotion, Repository, Source, TagMove, Trigger
from promoter.domain.records import Head, Record
from promoter.domain.rollback import Undo
from promoter.domain.rule import Freeze
from promoter.promotion.dependencies import Dependencies
from tests.support.answers import promote, stopped
from tests.support.ledgers import InMemoryLedger, dependencies
from tests.support.policies import gate, policy, rule
from tests.support.registries import REPOSITORY, FailingRegistry, InMemoryRegistry, KnownImageFacts, manifest

OLD, NEW, OTHER = manifest('{"old": 1}'), manifest('{"new": 1}'), manifest('{"other": 1}')
UNDO = Undo("p-2", "arn:ann", None)
ANY_TAG = policy(rule(to_matching=[".*"]))
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
    image_facts = KnownImageFacts({OLD.digest: Scan("COMPLETE", (Finding("CVE-1", "CRITICAL", ("a",)),))})
    ledger = InMemoryLedger().having(of)
    return (
        promote(rollback.promotion(of, undo), dependencies(RULES, registry, image_facts, ledger=ledger)),
        registry,
        ledger,
    )


def test_the_tag_goes_back_to_where_it_was() -> None:
    """Whatever scanners say of that image by now; the record names what it undoes."""
    answer, registry, ledger = carry_out(record(moved("prod")))

    assert answer.outcome is Outcome.PROMOTED
    assert registry.tags["prod"] == OLD
    assert [(each.promotion_id, each.undoes) for each in ledger.announced[1:]] == [("p-2", "p-1")]


def test_only_the_rules_callers_may() -> None:
    """Whom the rule lets promote, it lets take back."""
    with pytest.raises(NotAllowed, match="does not let this caller roll back"):
        carry_out(record(moved("prod")), UNDO._replace(caller="arn:bob"))


def test_a_rule_without_callers_leaves_it_to_the_api_who_may() -> None:
    """A scan rule names nobody: the API lets operators through, and nobody else (tests/handler/test_http.py)."""
    of = record(moved("staging"), rule="staging")

    assert carry_out(of, UNDO._replace(caller="arn:bob"), staging=NEW)[1].tags["staging"] == OLD


def test_a_rule_that_is_gone_takes_nothing_back() -> None:
    """Nobody can say any longer who may."""
    with pytest.raises(NotAllowed, match="no longer in the policy"):
        carry_out(record(moved("prod"), rule="gone"))


def test_a_rule_of_other_repositories_takes_nothing_back() -> None:
    """Nor do its callers, whoever they are."""
    elsewhere = replace(record(moved("prod")), repository=Repository(REPOSITORY.registry_id, "other/web"))
    with pytest.raises(NotAllowed, match="no longer covers repository other/web"):
        carry_out(elsewhere)


def test_a_tag_that_has_moved_on_stays() -> None:
    """A rollback is from where the promotion had put the tag, and from nowhere else."""
    with pytest.raises(TagChanged):
        carry_out(record(moved("prod")), prod=OTHER)


def test_an_image_that_is_gone_cannot_be_gone_back_to() -> None:
    """It is looked for before anything moves."""
    registry = InMemoryRegistry({"prod": NEW})

    with pytest.raises(SourceNotFound):
        promote(
            rollback.promotion(record(moved("prod")), UNDO),
            dependencies(RULES, registry, ledger=InMemoryLedger().having(record(moved("prod")))),
        )
    assert registry.puts == []


def test_a_tag_that_was_new_is_left_out() -> None:
    """There is nothing to put it back on, and the service deletes nothing."""
    promotion = rollback.promotion(record(moved("prod"), moved("v1", previous=None)), UNDO)

    assert promotion.image_tags == ("prod",)
    assert promotion.expected_digests == {"prod": NEW.digest}


@pytest.mark.parametrize(
    ("of", "tags", "message"),
    [
        (record(moved("v1", previous=None)), None, "no tag that was on another image before"),
        (record(moved("prod", outcome=Outcome.UNCHANGED)), None, "no tag that was on another image before"),
        (record(moved("prod")), ["other"], "did not move other"),
    ],
)
def test_what_cannot_be_taken_back_is_told(of: Record, tags: list[str] | None, message: str) -> None:
    """With what to do about it."""
    with pytest.raises(InvalidRequest, match=message):
        rollback.promotion(of, UNDO._replace(image_tags=tags))


@pytest.fixture
def registry() -> InMemoryRegistry:
    return FailingRegistry({"new": NEW, "other": OTHER, "prod": OLD}, untagged=[OLD])


def put(tag: str, promotion_id: str, at: Dependencies, *targets: str) -> Promoted:
    """Promote the image of a tag to `prod`, or to others."""
    promotion = Promotion(promotion_id, Trigger.REQUEST, REPOSITORY, Source(ImageId(tag)), targets or ("prod",))
    return promote(promotion, at)


def take_back(promotion_id: str, at: Dependencies, *, by: str = "p-9", **undo: Any) -> Promoted:
    ledger = at.ledger
    assert isinstance(ledger, InMemoryLedger)
    return promote(rollback.promotion(ledger.records[promotion_id], Undo(by, "ann", None, **undo)), at)


def test_only_the_last_promotion_of_a_tag_can_be_rolled_back(registry: InMemoryRegistry) -> None:
    """OLD to NEW, to OTHER, to NEW again: the first move is over, although the tag is where it had put it."""
    here = dependencies(ANY_TAG, registry, ledger=InMemoryLedger())
    put("new", "p-1", here)
    put("other", "p-2", here)
    put("new", "p-3", here)

    with pytest.raises(TagChanged, match="Another promotion has moved prod since"):
        take_back("p-1", here)
    assert registry.tags["prod"] == NEW

    take_back("p-3", here, by="p-10")
    assert registry.tags["prod"] == OTHER


def test_a_refused_rollback_costs_no_more_than_its_record(registry: InMemoryRegistry) -> None:
    """What another promotion has moved since is known at once: no earlier attempt is looked for."""
    ledger = InMemoryLedger()
    here = dependencies(ANY_TAG, registry, ledger=ledger)
    put("new", "p-1", here)
    put("other", "p-2", here)
    ledger.calls.clear()

    with pytest.raises(TagChanged):
        take_back("p-1", here)
    assert ledger.calls == ["record"]


class UnreadableFreezes:
    """Freezes of a table that does not answer queries."""

    def known(self) -> Sequence[Freeze]:
        raise LedgerError("The freezes could not be read.")


def test_an_override_does_not_need_the_freezes(registry: InMemoryRegistry) -> None:
    """It holds whatever they say: an operator who takes a bad image back must not wait for them."""
    here = dependencies(ANY_TAG, registry, ledger=InMemoryLedger(), operators=("ann",))
    put("new", "p-1", here)
    unread = replace(here, freezes=UnreadableFreezes())

    with pytest.raises(LedgerError):
        take_back("p-1", unread)
    take_back("p-1", unread, by="p-10", override="NEW deletes data")
    assert registry.tags["prod"] == OLD


def test_a_rollback_can_be_sent_again(registry: InMemoryRegistry) -> None:
    """Under the same id it gets its first answer, under another one there is nothing left to do."""
    here = dependencies(ANY_TAG, registry, ledger=InMemoryLedger())
    put("new", "p-1", here)
    take_back("p-1", here)

    assert take_back("p-1", here).repeated
    assert take_back("p-1", here, by="p-10").outcome is Outcome.UNCHANGED


def test_what_somebody_put_back_by_hand_stays_rolled_back(registry: InMemoryRegistry) -> None:
    """The rollback moves nothing, and is remembered all the same: a late scan does not put the bad image again."""
    ledger = InMemoryLedger()
    here = dependencies(ANY_TAG, registry, ledger=ledger)
    put("new", "p-1", here)
    registry.tags["prod"] = OLD

    assert take_back("p-1", here).outcome is Outcome.UNCHANGED

    head = ledger.head(REPOSITORY, "prod")
    assert head is not None
    assert (head.image_digest, head.promotion_id, head.drift) == (OLD.digest, "p-9", None)
    scans = policy(rule(name="scan", on="scan", to=["prod"], **{"from": "new"}))
    scan = Promotion("p-3", Trigger.SCAN, REPOSITORY, Source(ImageId("new", NEW.digest)), rule="scan")
    earlier, later = (datetime(2026, 11, day, tzinfo=UTC) for day in (1, 2))
    image_facts = KnownImageFacts(pushes={OLD.digest: earlier, NEW.digest: later})
    with pytest.raises(Superseded, match="rolled back from this image"):
        promote(scan, dependencies(scans, registry, image_facts, ledger=ledger))


def test_tags_go_back_to_different_images_in_one_call(registry: InMemoryRegistry) -> None:
    """Each to where it was; the answer and the record name the image of each."""
    ledger = InMemoryLedger()
    here = dependencies(ANY_TAG, registry, ledger=ledger)
    registry.tags |= {"a": OLD, "b": OTHER}
    put("new", "p-1", here, "a", "b")

    answer = take_back("p-1", here)

    assert (registry.tags["a"], registry.tags["b"]) == (OLD, OTHER)
    assert [answer.manifest_of(move) for move in answer.moves] == [OLD, OTHER]
    done = ledger.records["p-9"]
    assert [done.digest_of(move) for move in done.moves] == [OLD.digest, OTHER.digest]
    assert documents.read(documents.document(done)) == replace(done, fingerprint="")
    take_back("p-9", here, by="p-10")
    assert registry.tags["a"] == registry.tags["b"] == NEW


def test_a_rollback_takes_all_of_its_tags_or_none(registry: InMemoryRegistry) -> None:
    """A tag that has moved on stops it before anything is put."""
    here = dependencies(ANY_TAG, registry, ledger=InMemoryLedger())
    registry.tags |= {"a": OLD, "b": OTHER}
    put("new", "p-1", here, "a", "b")
    put("other", "p-2", here, "b")

    with pytest.raises(TagChanged):
        take_back("p-1", here)
    assert registry.tags["a"] == NEW


def test_a_put_that_fails_tells_which_tags_went_back() -> None:
    """And the call can be sent again for the rest."""
    registry = FailingRegistry({"new": NEW, "a": OLD, "b": OTHER}, untagged=[OLD, OTHER])
    here = dependencies(ANY_TAG, registry, ledger=InMemoryLedger())
    put("new", "p-1", here, "a", "b")
    registry.failing_tag, registry.failure = "b", RegistryError("down")

    ledger = here.ledger
    assert isinstance(ledger, InMemoryLedger)
    failed = stopped(rollback.promotion(ledger.records["p-1"], Undo("p-9", "ann", None)), here)
    assert isinstance(failed.error, RegistryError)
    assert [(move.image_tag, move.previous_digest) for move in failed.moves] == [("a", NEW.digest)]

    registry.failure = None
    assert [move.outcome for move in take_back("p-1", here).moves] == ["PROMOTED", "PROMOTED"]
    assert (registry.tags["a"], registry.tags["b"]) == (OLD, OTHER)


def test_a_freeze_holds_a_rollback_but_for_an_operators_override(registry: InMemoryRegistry) -> None:
    """The reason is in the record, and so in the announcement."""
    ledger = InMemoryLedger()
    here = dependencies(ANY_TAG, registry, ledger=ledger, operators=("ann",))
    put("new", "p-1", here)
    ledger.stops.append(Freeze(datetime(2026, 1, 1, tzinfo=UTC), None, "incident 7", None, None, by="ann"))

    with pytest.raises(Frozen):
        take_back("p-1", here)
    take_back("p-1", here, by="p-10", override="NEW deletes data")

    assert registry.tags["prod"] == OLD
    assert documents.document(ledger.records["p-10"])["override"] == {"reason": "NEW deletes data"}


def test_an_override_needs_no_rule_any_longer(registry: InMemoryRegistry) -> None:
    """Somebody renamed it meanwhile."""
    ledger = InMemoryLedger()
    put("new", "p-1", dependencies(ANY_TAG, registry, ledger=ledger))
    renamed = dependencies(policy(rule(name="renamed")), registry, ledger=ledger, operators=("ann",))

    with pytest.raises(NotAllowed):
        take_back("p-1", renamed)
    take_back("p-1", renamed, by="p-10", override="NEW deletes data")

    assert registry.tags["prod"] == OLD


def test_the_last_promotion_of_a_tag_is_taken_back_only_from_where_the_caller_saw_it() -> None:
    """And never if it was itself a rollback, so that the same call sent twice does not put the image again."""
    head = Head(REPOSITORY, "prod", NEW.digest, "p-1", datetime(2026, 11, 23, tzinfo=UTC))

    rollback.require_last(record(moved("prod")), head, NEW.digest)
    with pytest.raises(TagChanged):
        rollback.require_last(record(moved("prod")), head, OTHER.digest)
    with pytest.raises(InvalidRequest, match="itself a rollback"):
        rollback.require_last(replace(record(moved("prod")), undoes="p-0"), head, NEW.digest)
