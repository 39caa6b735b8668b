"""Moves tags: leases those that have to move, puts one after the other, and records how it ended."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from promoter.domain import documents
from promoter.domain.errors import Interrupted, LedgerError, PromoterError, RegistryError, Throttled
from promoter.domain.model import (
    ImageId,
    Lease,
    Manifest,
    Outcome,
    Promoted,
    Promotion,
    Record,
    TagMove,
    Unreadable,
)
from promoter.domain.ports import LeaseLostError
from promoter.promotion.dependencies import Dependencies
from promoter.promotion.idempotency import replay
from promoter.promotion.preflight import Plan


@dataclass
class AttemptState:
    """What one attempt of a promotion leaves for the next.

    `versions` are those of heads whose digest in the ledger is out of date, `passed` is the digest that passed the
    gate, `earlier` the record of an attempt that put tags.
    """

    versions: Mapping[str, int] = field(default_factory=dict)
    passed: str | None = None
    earlier: Record | None = None


@dataclass(frozen=True)
class Putting:
    """The puts of one lease. They wait for the quota until `patient_until`, and all end before the lease does."""

    promotion: Promotion
    lease: Lease
    patient_until: datetime
    dependencies: Dependencies


def put_under_lease(promotion: Promotion, plan: Plan, state: AttemptState, dependencies: Dependencies) -> Promoted:
    """Take the lease of the tags that have to move, put them, and record how it ended.

    What an earlier try has put stays in the record. If it is unknown whether a tag was put, the lease is
    kept until its time is over, and the promotion is recovered then.
    """
    found = {tag: plan.resumed_moves.get(tag) or plan.planned(tag) for tag in plan.current_digests}
    planned = {tag: replace(found[tag], outcome=Outcome.PLANNED) for tag in plan.leased}
    intent = replace(
        documents.opened(promotion, rule=plan.rule.name),
        image_digest=plan.manifest.digest,
        media_type=plan.manifest.media_type,
        image_tags=tuple(plan.current_digests),
        moves=tuple((found | planned).values()),
    )
    seen = {tag: plan.current_digests[tag] for tag in plan.leased}
    begun = dependencies.ledger.begin(intent, seen, state.versions, state.earlier)
    if isinstance(begun, Record):
        return replay(begun, dependencies)
    answer = put_all(plan, Putting(promotion, begun, dependencies.now() + dependencies.patience, dependencies))
    if not (isinstance(answer, PromoterError) and answer.unsettled):
        finish(begun, answer, dependencies)
    if isinstance(answer, PromoterError):
        raise answer
    return answer


def put_all(plan: Plan, putting: Putting) -> Promoted | PromoterError:
    """Put the tags one by one; return the answer, or the failure that stopped it with the moves before."""
    promotion, moves = putting.promotion, list[TagMove]()
    for tag in plan.current_digests:
        try:
            moves.append(plan.resumed_moves.get(tag) or move(plan.images[tag], plan.planned(tag), putting))
        except PromoterError as error:
            error.moves, error.image_digest = tuple(moves), plan.manifest.digest
            return error
    return Promoted(
        promotion.promotion_id,
        plan.rule.name,
        promotion.repository,
        plan.manifest,
        tuple(moves),
        others=plan.others,
    )


def move(manifest: Manifest, planned: TagMove, putting: Putting) -> TagMove:
    """Put one tag, unless it is there already. Where an answer was lost, the tag itself tells what happened."""
    if planned.outcome is Outcome.UNCHANGED:
        return planned
    done = replace(planned, outcome=Outcome.PROMOTED)
    try:
        if put(manifest, planned.image_tag, putting):
            return done
    except PromoterError as error:
        open_end = error.unanswered or isinstance(error, RegistryError | Throttled)
        if not open_end or not is_at(manifest, planned.image_tag, error, putting):
            raise
        return done
    # Somebody else put it since the read.
    return replace(planned, outcome=Outcome.UNCHANGED, previous_digest=manifest.digest)


def put(manifest: Manifest, image_tag: str, putting: Putting) -> bool:
    """Put one tag; while the registry throttles, wait, for as long as there is time.

    PutImage has a quota of 10 a second for the account and Region, pushes included (Amazon ECR service quotas), so
    a burst of events has to wait for each other. The pauses differ, or all would come again at once.
    """
    dependencies, waited, unanswered = putting.dependencies, False, False
    while True:
        try:
            require_time(image_tag, putting)
            return dependencies.registry.put(putting.promotion.repository, manifest, image_tag) or waited
        except PromoterError as error:
            # A try that got no answer may still be carried out, however the next ones end.
            unanswered = error.unanswered = error.unanswered or unanswered
            if not isinstance(error, Throttled) or dependencies.now() > putting.patient_until:
                raise
        waited = True
        dependencies.pause(random.uniform(0.2, 1.0))  # noqa: S311 - as above


def require_time(image_tag: str, putting: Putting) -> None:
    """Raise Interrupted where a put could outlast the lease: it might overtake the next promotion of the tag."""
    if putting.dependencies.now() + putting.dependencies.registry.longest_put > putting.lease.until:
        raise Interrupted(f"there was no time left to put {image_tag}; promote again")


def is_at(manifest: Manifest, image_tag: str, error: PromoterError, putting: Putting) -> bool:
    """Say whether the tag is there after an error that leaves it open; raise it, unsettled, if nobody knows.

    A call without an answer may still be on its way: that the tag is not there yet proves nothing.
    """
    tag_id = ImageId(image_tag=image_tag)
    try:
        answer = putting.dependencies.registry.read(putting.promotion.repository, [tag_id])[tag_id]
    except PromoterError:
        error.unsettled = True
        raise error from None
    there = isinstance(answer, Manifest) and answer.digest == manifest.digest
    error.unsettled = (error.unanswered or isinstance(answer, Unreadable)) and not there
    return there


def record(lease: Lease, answer: Promoted | PromoterError, dependencies: Dependencies) -> None:
    """Record the end of a lease. Raises LedgerError where that cannot be done, so that it is recovered later."""
    try:
        dependencies.ledger.finish(lease, documents.ended(lease.record, answer, now=dependencies.now()))
    except LeaseLostError as lost:  # only where somebody changed the table by hand
        raise LedgerError(f"the promotion could not be recorded: {lost}; reconcile settles it") from lost


def finish(lease: Lease, answer: Promoted | PromoterError, dependencies: Dependencies) -> None:
    """Record the end of a lease; an error of the ledger says which tags were put all the same."""
    try:
        record(lease, answer, dependencies)
    except PromoterError as error:
        error.moves, error.image_digest = answer.moves, lease.record.image_digest
        raise
    if isinstance(answer, PromoterError):
        answer.recorded = True
