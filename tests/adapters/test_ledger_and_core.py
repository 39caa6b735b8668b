"""Retries, rollbacks and settled promotions on both ledgers: what crashes and repeats leave behind."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from promoter.domain.errors import IdempotencyConflict
from promoter.domain.model import ImageId, Lease, Outcome, Promoted, Promotion, Source, TagMove, Trigger
from promoter.domain.ports import Heads, Ledger
from promoter.promotion.recovery import recover
from tests.adapters.killing import Killed, mortal
from tests.adapters.test_ledger import (
    LATER,
    NEW,
    OLD,
    OTHER,
    PLACE,
    Clock,
    begin,
    carry_out,
    clock,
    ended,
    finish,
    heads,
    intent,
    kept,
    leased,
    ledger,
    listed,
    partly_done,
    record_only,
    roles,
)
from tests.support.answers import promote
from tests.support.ledgers import dependencies
from tests.support.policies import policy, rule
from tests.support.registries import InMemoryRegistry, manifest

__all__ = ["clock", "heads", "kept", "ledger", "roles"]

ANY_TAG = policy(rule(to_matching=[".*"]))


def test_a_key_still_stands_for_its_request_after_a_crash(roles: dict[str, Any], clock: Clock) -> None:
    """A pipeline whose promotion was settled sends it again with its Idempotency-Key: it gets the answer."""
    new = manifest('{"new": 1}')
    registry = InMemoryRegistry({"new": new})
    here = replace(dependencies(ANY_TAG, registry, now=clock), **roles)
    promotion = Promotion(
        "p-1", Trigger.REQUEST, PLACE, Source(ImageId("new")), ("prod",), caller="arn:x", fingerprint="f"
    )
    with pytest.raises(Killed):
        promote(promotion, replace(here, **mortal({"registry": registry, "ledger": here.ledger}, (1, "after"))))
    clock.time += timedelta(minutes=2)
    assert recover("p-1", here)

    answer = promote(promotion, here)

    assert (answer.outcome, answer.repeated) == (Outcome.PROMOTED, True)


def test_a_key_still_stands_for_its_request_after_half_a_promotion(roles: dict[str, Any], clock: Clock) -> None:
    """Only the first tag was put before the crash: sent again, the promotion is carried on."""
    new = manifest('{"new": 1}')
    registry = InMemoryRegistry({"new": new})
    here = replace(dependencies(ANY_TAG, registry, now=clock), **roles)
    promotion = Promotion(
        "p-1", Trigger.REQUEST, PLACE, Source(ImageId("new")), ("a", "b"), caller="arn:x", fingerprint="f"
    )
    with pytest.raises(Killed):
        promote(promotion, replace(here, **mortal({"registry": registry, "ledger": here.ledger}, (1, "after"))))
    clock.time += timedelta(minutes=2)
    assert recover("p-1", here)

    answer = promote(promotion, here)

    assert isinstance(answer, Promoted)
    assert [move.outcome for move in answer.moves] == [Outcome.PROMOTED, Outcome.PROMOTED]


def test_a_lease_ends_for_its_holder_when_it_ends_for_the_others(ledger: Ledger, clock: Clock) -> None:
    """A PutImage begins if it ends before the lease: before the lease that the others see, too."""
    clock.time = datetime(2026, 11, 23, 12, 0, 0, 900_000, tzinfo=UTC)
    lease = leased(ledger, record := intent())

    seen_by_others = ledger.lease(record.promotion_id)

    assert seen_by_others is not None
    assert lease.until <= seen_by_others.until
    clock.time = lease.until - timedelta(milliseconds=100)
    assert list(ledger.abandoned()) == []


def test_a_key_of_a_half_done_promotion_is_nobody_elses(ledger: Ledger) -> None:
    """Another request under the key may not carry on what the first one has put."""
    record, _ = partly_done(ledger)

    with pytest.raises(IdempotencyConflict):
        begin(ledger, replace(record, fingerprint="other"))


def test_drift_onto_the_image_of_another_tag_is_not_taken_over(ledger: Ledger, heads: Heads) -> None:
    """A rollback found `b` on OTHER and put `a` on OLD; that somebody moves `b` to OLD is drift, not asked for."""
    carry_out(ledger, intent(OTHER, tags=("b",)))
    (head,) = listed(heads)
    both = intent(OLD, tags=("a", "b"))
    found = TagMove("b", Outcome.UNCHANGED, OTHER, OTHER)
    lease = ledger.begin(replace(both, moves=both.moves[:1]), {"a": NEW}, {})
    assert isinstance(lease, Lease)
    done = replace(ended(both), moves=(replace(both.moves[0], outcome=Outcome.PROMOTED), found))
    finish(ledger, lease, replace(done, ended_at=LATER))

    assert heads.adopt(head, OLD) is False
    assert heads.adopt(head, OTHER) is True


def test_drift_is_not_taken_over_while_the_tag_is_moving(ledger: Ledger, heads: Heads) -> None:
    """Somebody has the lease: the head is theirs to write."""
    carry_out(ledger, intent())
    (head,) = listed(heads)
    accepted = intent(OTHER, moves=(TagMove("prod", Outcome.UNCHANGED, OTHER),))
    record_only(ledger, ended(accepted, Outcome.UNCHANGED, at=LATER))
    leased(ledger, intent(OTHER), NEW)

    assert heads.adopt(head, OTHER) is False
