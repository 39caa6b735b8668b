"""Promotions that were half done, and rollbacks of them: what is told, kept and put."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from promoter.domain import rollback
from promoter.domain.errors import (
    Frozen,
    InvalidRequest,
    LedgerError,
    LimitExceeded,
    PromoterError,
    RegistryError,
    SourceNotFound,
    TagChanged,
    Throttled,
)
from promoter.domain.model import ImageId, Manifest, Outcome, Promotion, Repository, Source, Trigger
from promoter.domain.rollback import Undo
from promoter.domain.rule import Freeze
from promoter.promotion.dependencies import Dependencies
from promoter.promotion.recovery import recover
from tests.adapters.killing import Killed, mortal
from tests.support.answers import promote, stopped
from tests.support.ledgers import InMemoryLedger, dependencies
from tests.support.policies import gate, policy, rule
from tests.support.promotions import Ticking
from tests.support.registries import REPOSITORY, FailingRegistry, InMemoryRegistry, KnownImageFacts, manifest
from tests.unit.promotion.test_rollback import moved, record

OLD, NEW, OTHER = (manifest(f'{{"{name}": 1}}') for name in ("old", "new", "other"))
ANY_TAG = policy(rule(to_matching=[".*"]))


def put(source: str, promotion_id: str, at: Dependencies, *tags: str, **members: Any) -> Any:
    promotion = Promotion(promotion_id, Trigger.REQUEST, REPOSITORY, Source(ImageId(source)), tags, **members)
    return promote(promotion, at)


def take_back(promotion_id: str, at: Dependencies, *, by: str, tags: list[str] | None = None) -> Any:
    ledger = at.ledger
    assert isinstance(ledger, InMemoryLedger)
    return promote(rollback.promotion(ledger.records[promotion_id], Undo(by, "ann", tags)), at)


def test_a_rollback_that_is_settled_keeps_each_tags_own_image() -> None:
    """`b` went back to OTHER before, `a` to OLD now: the record may not say that `b` is on OLD."""
    registry = InMemoryRegistry({"new": NEW, "a": OLD, "b": OTHER}, untagged=[OLD, OTHER])
    ledger = InMemoryLedger(now := Ticking())
    here = dependencies(ANY_TAG, registry, ledger=ledger, now=now)
    put("new", "p-1", here, "a", "b")
    take_back("p-1", here, by="p-2", tags=["b"])
    mortals: Any = mortal({"registry": registry, "ledger": ledger}, (1, "after"))
    undo = rollback.promotion(ledger.records["p-1"], Undo("p-3", "ann", None))
    with pytest.raises(Killed):
        promote(undo, replace(here, **mortals))
    now.at += timedelta(minutes=2)

    recover("p-3", here)

    record = ledger.records["p-3"]
    assert {move.image_tag: record.digest_of(move) for move in record.moves} == {
        "a": OLD.digest,
        "b": OTHER.digest,
    }


def test_an_image_that_is_not_there_is_told_at_once() -> None:
    """A request brings a manifest that was never pushed and its gate asks for its age: that does not pass."""
    soaking = policy(rule(gate=gate(soak=3600)))
    waited: list[float] = []
    here = replace(
        dependencies(soaking, InMemoryRegistry(), KnownImageFacts(), now=Ticking()), pause=waited.append
    )
    promotion = Promotion("p-1", Trigger.REQUEST, REPOSITORY, Source(manifest=NEW), ("prod",))

    with pytest.raises(SourceNotFound):
        promote(promotion, here)
    assert len(waited) <= 1


@dataclass
class HalfLost(FailingRegistry):
    """A registry that puts one tag, and for the next says no after a try that got no answer."""

    def put(self, repository: Repository, manifest: Manifest, image_tag: str) -> bool:
        if image_tag == self.failing_tag:
            raise LimitExceeded("1,000 tags", unanswered=True)
        return super().put(repository, manifest, image_tag)


def test_a_put_that_may_still_arrive_does_not_hide_the_tags_before_it() -> None:
    """The caller is told which tags were put, and why it stopped, not that somebody else is in the way."""
    registry = HalfLost({"new": NEW}, failing_tag="b")

    both = Promotion("p-1", Trigger.REQUEST, REPOSITORY, Source(ImageId("new")), ("a", "b"))

    answer = stopped(both, dependencies(ANY_TAG, registry, ledger=InMemoryLedger()))

    assert registry.tags["a"] == NEW
    assert (answer.error.code, [move.image_tag for move in answer.moves]) == ("limit_exceeded", ["a"])


def test_nobody_is_told_to_delete_the_tags_of_a_promotion_under_way() -> None:
    """In an incident: the bad image is put, the function died; its rollback is not a mistake of the caller."""
    registry = InMemoryRegistry({"new": NEW, "prod": OLD}, untagged=[OLD])
    ledger = InMemoryLedger(now := Ticking())
    here = dependencies(ANY_TAG, registry, ledger=ledger, now=now)
    mortals: Any = mortal({"registry": registry, "ledger": ledger}, (1, "after"))
    with pytest.raises(Killed):
        put("new", "p-1", replace(here, **mortals), "prod")
    assert registry.tags["prod"] == NEW

    with pytest.raises(PromoterError) as told:
        rollback.promotion(ledger.records["p-1"], Undo("p-2", "ann", None))
    assert told.value.retryable
    assert "delete" not in told.value.detail


def half_done(registry: FailingRegistry) -> Dependencies:
    """Return dependencies with which p-1 has put `a`, expected on OLD, and failed at `b`."""
    here = dependencies(ANY_TAG, registry, ledger=InMemoryLedger(), now=Ticking())
    registry.failing_tag, registry.failure = "b", Throttled("slow down")
    with pytest.raises(Throttled):
        put("new", "p-1", here, "a", "b", fingerprint="f", expected_digests={"a": OLD.digest})
    registry.failure = None
    return here


@pytest.fixture
def registry() -> FailingRegistry:
    return FailingRegistry({"new": NEW, "other": OTHER, "a": OLD, "b": OLD}, untagged=[OLD])


def test_a_retry_claims_no_move_that_somebody_else_has_made_since(registry: FailingRegistry) -> None:
    """`a` went to OTHER and to NEW again by others: the record of the retry may not say that it came from OLD."""
    here = half_done(registry)
    put("other", "p-2", here, "a")
    put("new", "p-3", here, "a")

    with pytest.raises(TagChanged):
        put("new", "p-1", here, "a", "b", fingerprint="f", expected_digests={"a": OLD.digest})
    assert registry.tags["b"] == OLD


def test_a_rollback_puts_no_tag_that_a_promotion_may_not_put() -> None:
    """A record from before such tags were refused: a signature's tag is moved for nobody."""
    tag = f"sha256-{'a' * 64}.sig"
    registry = InMemoryRegistry({"new": NEW, tag: OLD}, untagged=[OLD])
    ledger = InMemoryLedger()
    ledger.having(record(moved(tag), rule="prod-by-pipeline"))
    registry.tags[tag] = NEW

    with pytest.raises(InvalidRequest):
        take_back("p-1", dependencies(ANY_TAG, registry, ledger=ledger), by="p-2")
    assert registry.tags[tag] == NEW


def killed(*tags: str) -> tuple[InMemoryLedger, InMemoryRegistry, Dependencies, Ticking]:
    """Return dependencies with which p-1 has put all of its tags and was killed before it could record it."""
    registry = InMemoryRegistry({"new": NEW})
    ledger = InMemoryLedger(now := Ticking())
    here = dependencies(ANY_TAG, registry, ledger=ledger, now=now)
    mortals: Any = mortal({"registry": registry, "ledger": ledger}, (len(tags), "after"))
    with pytest.raises(Killed):
        put("new", "p-1", replace(here, **mortals), *tags)
    return ledger, registry, here, now


def test_nobody_is_settled_before_the_lease_is_over() -> None:
    """The promotion may still be putting tags: whoever wants to settle it early finds it as it was."""
    ledger, _, here, _ = killed("prod")

    assert recover("p-1", here)
    assert ledger.records["p-1"].outcome is None
    assert ledger.announced == []


def test_tags_that_are_lost_are_not_said_to_be_put() -> None:
    """A restored table holds `a` for nobody: the promotion is interrupted, with `b` only, if both are there."""
    ledger, _, here, now = killed("a", "b")
    now.at += timedelta(minutes=2)
    del ledger.held[REPOSITORY, "a"]

    recover("p-1", here)

    record = ledger.records["p-1"]
    assert (record.outcome, record.code, [move.image_tag for move in record.moves]) == (
        "FAILED",
        "interrupted",
        ["b"],
    )
    assert (REPOSITORY, "a") not in ledger.heads


@dataclass
class Archiving(InMemoryRegistry):
    """A registry that fails at the put, after which the tag's image cannot be read."""

    def put(self, repository: Repository, manifest: Manifest, image_tag: str) -> bool:
        self.unreadable = frozenset({image_tag})
        raise RegistryError("down")


def test_a_tag_that_cannot_be_read_after_a_failure_is_settled_later() -> None:
    """Nobody knows where it is: nothing is recorded that is not known."""
    ledger = InMemoryLedger()

    with pytest.raises(RegistryError):
        put("new", "p-1", dependencies(ANY_TAG, Archiving({"new": NEW}), ledger=ledger), "prod")

    assert ledger.announced == []
    assert "p-1" in ledger.leases


def test_a_ledger_that_cannot_be_read_is_asked_once() -> None:
    """Whether the key was used before cannot be asked either: the first error is told."""
    ledger = InMemoryLedger()
    ledger.known = lambda: (_ for _ in ()).throw(LedgerError("the table is gone"))  # type: ignore[method-assign]

    with pytest.raises(LedgerError):
        put(
            "new",
            "p-1",
            dependencies(ANY_TAG, InMemoryRegistry({"new": NEW}), ledger=ledger),
            "prod",
            fingerprint="f",
        )
    assert ledger.calls == []


def test_what_half_a_promotion_has_put_can_be_rolled_back_after_its_retry_was_refused(
    registry: FailingRegistry,
) -> None:
    """The refusal's record keeps what was put, and by which rule: or nobody could say who may take it back."""
    here = half_done(registry)
    ledger = here.ledger
    assert isinstance(ledger, InMemoryLedger)
    ledger.stops.append(Freeze(here.now(), None, "incident", None, None))
    with pytest.raises(Frozen):
        put("new", "p-1", here, "a", "b", fingerprint="f", expected_digests={"a": OLD.digest})
    ledger.stops.clear()

    assert take_back("p-1", here, by="p-2").outcome is Outcome.PROMOTED
    assert registry.tags["a"] == OLD


def test_a_rollback_that_is_sent_again_puts_back_what_somebody_has_put_again() -> None:
    """The ledger has the tag back already; the registry has it on the bad image."""
    registry = InMemoryRegistry({"new": NEW, "prod": OLD}, untagged=[OLD])
    here = dependencies(ANY_TAG, registry, ledger=InMemoryLedger())
    put("new", "p-1", here, "prod")
    take_back("p-1", here, by="p-2")
    registry.tags["prod"] = NEW

    assert take_back("p-1", here, by="p-3").outcome is Outcome.PROMOTED
    assert registry.tags["prod"] == OLD


def test_a_settled_rollback_claims_no_move_that_was_made_by_hand() -> None:
    """Somebody had put the tag back before; the rollback was killed before it could say so."""
    registry = InMemoryRegistry({"new": NEW, "prod": OLD}, untagged=[OLD])
    ledger = InMemoryLedger(now := Ticking())
    here = dependencies(ANY_TAG, registry, ledger=ledger, now=now)
    put("new", "p-1", here, "prod")
    registry.tags["prod"] = OLD
    mortals: Any = mortal({"registry": registry, "ledger": ledger}, (1, "after"))  # the first begins nothing
    undo = rollback.promotion(ledger.records["p-1"], Undo("p-2", "ann", None))
    with pytest.raises(Killed):
        promote(undo, replace(here, **mortals))
    now.at += timedelta(minutes=2)

    recover("p-2", here)

    assert ledger.records["p-2"].outcome is Outcome.UNCHANGED
