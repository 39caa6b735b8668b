"""Moves tags under a lease: takes it, puts one tag after the other, and records how that ended."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from promoter.domain import documents
from promoter.domain.answers import Answer, NotPromoted
from promoter.domain.clock import spread_pause
from promoter.domain.errors import Failure, Interrupted, LedgerError, PromoterError, RegistryError, Throttled
from promoter.domain.leasing import Begun
from promoter.domain.model import ImageId, Manifest, Outcome, Promoted, TagMove, Unreadable
from promoter.domain.records import Lease
from promoter.promotion.dependencies import Dependencies
from promoter.promotion.endings import end_of
from promoter.promotion.plan import AttemptState, Plan


class NotPut(NamedTuple):
    """A tag that was not put, and why.

    `unanswered`: AWS may still carry out a call. `settled`: it is known where the tag is.
    """

    error: PromoterError
    unanswered: bool = False
    settled: bool = True


class Puts(NamedTuple):
    """The tags that were put under a lease, and what stopped it before the last."""

    moves: tuple[TagMove, ...]
    stopped: NotPut | None = None


class Putting(NamedTuple):
    """The work under one lease: it waits for the quota until `patient_until`, and ends before the lease does."""

    plan: Plan
    lease: Lease
    patient_until: datetime
    dependencies: Dependencies


def take_lease(plan: Plan, state: AttemptState, dependencies: Dependencies) -> Begun:
    """Record what is intended, and take the lease of the tags that have to move, unless they have moved.

    What an earlier attempt has put stays in the record.
    """
    moves = [
        replace(move, outcome=Outcome.PLANNED) if move.image_tag in plan.leased else move for move in plan.moves
    ]
    intent = replace(
        documents.opened(plan.promotion, rule=plan.rule.name),
        image_digest=plan.manifest.digest,
        media_type=plan.manifest.media_type,
        image_tags=tuple(plan.current_digests),
        moves=tuple(moves),
    )
    seen = {tag: plan.current_digests[tag] for tag in plan.leased}
    return dependencies.ledger.begin(intent, seen, state.versions, state.earlier, plan.exact)


def put_all(plan: Plan, lease: Lease, dependencies: Dependencies) -> Puts:
    """Put the tags one by one, until one cannot be put."""
    putting = Putting(plan, lease, dependencies.now() + dependencies.patience, dependencies)
    moves: list[TagMove] = []
    for tag in plan.current_digests:
        done = plan.resumed_moves.get(tag) or put_tag(plan.planned(tag), putting)
        if isinstance(done, NotPut):
            return Puts(tuple(moves), done)
        moves.append(done)
    return Puts(tuple(moves))


def record_end(plan: Plan, lease: Lease, puts: Puts, dependencies: Dependencies) -> Answer:
    """Record how it ended and end the lease; an error of the ledger says which tags were put all the same.

    If it is not known whether a tag was put, the lease is kept until its time is over: then the promotion is
    recovered.
    """
    stopped = puts.stopped
    if stopped is None:
        ended: Promoted | NotPromoted = plan.answer(puts.moves)
    else:
        ended = NotPromoted(stopped.error, puts.moves, plan.manifest.digest)
        if not stopped.settled:
            return ended
    try:
        record, answer = end_of(lease, ended, dependencies, plan.promotion.source.manifest)
        lost = dependencies.ledger.finish(lease, record)
    except LedgerError as error:
        return NotPromoted(error, puts.moves, plan.manifest.digest)
    if lost:
        unrecorded = LedgerError(
            f"The promotion was not recorded: it no longer holds {', '.join(lost.image_tags)}, because somebody "
            "changed the table. Reconcile recovers it."
        )
        return NotPromoted(unrecorded, puts.moves, plan.manifest.digest)
    return answer


def put_tag(planned: TagMove, putting: Putting) -> TagMove | NotPut:
    """Put one tag, unless it is there already. Where an answer was lost, the tag itself tells what happened."""
    if planned.outcome is Outcome.UNCHANGED:
        return planned
    manifest = putting.plan.images[planned.image_tag]
    put = put_patiently(manifest, planned.image_tag, putting)
    if isinstance(put, NotPut):
        put = read_back(put, manifest, planned.image_tag, putting)
    if isinstance(put, NotPut):
        return put
    if put:
        return replace(planned, outcome=Outcome.PROMOTED)
    # Somebody else put it since the read.
    return replace(planned, outcome=Outcome.UNCHANGED, previous_digest=manifest.digest)


def put_patiently(manifest: Manifest, image_tag: str, putting: Putting) -> bool | NotPut:
    """Put one tag; False: it was there already. While the registry throttles, wait, as long as there is time.

    PutImage has a quota of 10 a second for the account and Region, pushes included (Amazon ECR service quotas), so
    a burst of events has to wait for each other. The pauses differ, or all would come again at once.
    """
    dependencies, waited, unanswered = putting.dependencies, False, False
    while True:
        if not is_time_left(putting):
            error: PromoterError = Interrupted(f"There was no time left to put {image_tag}. Promote again.")
            return NotPut(error, unanswered)
        try:
            return dependencies.registry.put(putting.plan.promotion.repository, manifest, image_tag) or waited
        except PromoterError as failed:
            error = failed
        # A try that got no answer may still be carried out, however the next ones end.
        unanswered = unanswered or (isinstance(error, Failure) and error.unanswered)
        if not isinstance(error, Throttled) or dependencies.now() > putting.patient_until:
            return NotPut(error, unanswered)
        waited = True
        dependencies.pause(spread_pause(0.2, 1.0))


def is_time_left(putting: Putting) -> bool:
    """Say whether a put ends before the lease does: a later one might overtake the next promotion of the tag."""
    dependencies = putting.dependencies
    return dependencies.now() + dependencies.registry.longest_put <= putting.lease.until


def read_back(not_put: NotPut, manifest: Manifest, image_tag: str, putting: Putting) -> bool | NotPut:
    """Read the tag after an error that leaves open whether it was put; True: it was.

    AWS may still carry out a call without an answer: that the tag is not there yet proves nothing.
    """
    if not (not_put.unanswered or isinstance(not_put.error, RegistryError | Throttled)):
        return not_put
    tag_id = ImageId(image_tag=image_tag)
    try:
        answer = putting.dependencies.registry.read(putting.plan.promotion.repository, [tag_id])[tag_id]
    except PromoterError:
        return not_put._replace(settled=False)
    if isinstance(answer, Manifest) and answer.digest == manifest.digest:
        return True
    return not_put._replace(settled=not (not_put.unanswered or isinstance(answer, Unreadable)))
