"""Records outcomes that moved nothing, and answers a repeat: what was recorded first is answered again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from promoter.domain import documents
from promoter.domain.answers import Answer, NotPromoted, Waiting
from promoter.domain.errors import IdempotencyConflict, InvalidRequest, LedgerError, PromoterError, TagBusy
from promoter.domain.leasing import Abandoned, Busy, Kept, Recorded, Replayed, Resumable, Waits
from promoter.domain.model import ImageId, Manifest, Outcome, Promoted, Promotion, Trigger
from promoter.domain.records import Record
from promoter.promotion.dependencies import Dependencies
from promoter.promotion.plan import AttemptState, Plan
from promoter.promotion.recovery import read_or_missing, recover_in_the_way


def record_noop(plan: Plan, state: AttemptState, dependencies: Dependencies) -> Kept:
    """Record a promotion that has nothing to move."""
    ended = documents.ended(documents.opened(plan.promotion), plan.answer(plan.moves), now=dependencies.now())
    return dependencies.ledger.record(ended, state.earlier)


def record_refusal(promotion: Promotion, error: PromoterError, dependencies: Dependencies) -> Answer:
    """Record why a promotion ended before it moved a tag, and answer that; or its first answer, if it has one.

    Final outcomes are recorded. Retryable failures are not: the same promotionId runs the promotion again.
    """
    if promotion.dry_run or isinstance(error, InvalidRequest | IdempotencyConflict):
        return NotPromoted(error)
    if error.retryable:
        return first_answer(promotion, error, dependencies)
    return keep(documents.opened(promotion), NotPromoted(error), dependencies)


def first_answer(promotion: Promotion, error: PromoterError, dependencies: Dependencies) -> Answer:
    """Replay the final answer of a request whose Idempotency-Key was used before; otherwise answer the error.

    If that request waits, it waits on.
    """
    if promotion.fingerprint and promotion.trigger is Trigger.REQUEST and not isinstance(error, LedgerError):
        earlier = dependencies.ledger.earlier(documents.opened(promotion))
        if earlier and (earlier.outcome is Outcome.WAITING or documents.is_final(earlier)):
            return replay(earlier, dependencies)
    return NotPromoted(error)


def keep(
    record: Record,
    answer: NotPromoted,
    dependencies: Dependencies,
    earlier: Record | None = None,
    *,
    tries: int = 3,
) -> Answer:
    """Record a refusal or failure. It inherits the tags that an earlier attempt moved.

    An interrupted attempt of the same promotion is recovered first.
    """
    ended = documents.ended(record, answer, now=dependencies.now())
    match dependencies.ledger.record(ended, earlier):
        case Recorded():
            return answer
        case Replayed(first) | Waits(first):
            return replay(first, dependencies)
        case Busy(detail):
            return NotPromoted(TagBusy(detail))
        case _ if tries == 1:
            return NotPromoted(TagBusy("Another attempt of this promotion is under way. Retry."))
        case Abandoned() as abandoned:
            recover_in_the_way(abandoned, record.repository, dependencies)
            return keep(record, answer, dependencies, earlier, tries=tries - 1)
        case Resumable(partly):
            moves = tuple(move for move in partly.moves if move.outcome is Outcome.PROMOTED)
            inherited = answer._replace(moves=moves, image_digest=partly.image_digest)
            return keep(inheriting(record, partly), inherited, dependencies, partly, tries=tries - 1)


def inheriting(record: Record, earlier: Record) -> Record:
    """Return a refusal's record with what it keeps of an earlier attempt: or nobody could take that back."""
    return replace(
        record,
        rule=record.rule or earlier.rule,
        media_type=record.media_type or earlier.media_type,
        image_tags=record.image_tags or earlier.image_tags,
    )


def replay(record: Record, dependencies: Dependencies) -> Answer:
    """Give the answer that the promotion was given when it ended, or that it waits."""
    if record.outcome is Outcome.WAITING:
        return Waiting(record, repeated=True)
    refused = documents.not_promoted(record)
    if refused is not None:
        return refused
    manifests = _manifests(record, dependencies)
    return Promoted(
        record.promotion_id,
        record.rule or "",
        record.repository,
        manifests[record.image_digest or ""],
        record.moves,
        repeated=True,
        others={move.image_digest: manifests[move.image_digest] for move in record.moves if move.image_digest},
    )


def _manifests(record: Record, dependencies: Dependencies) -> Mapping[str, Manifest]:
    """Return the images of a promotion by digest; one that was deleted since is returned without its bytes."""
    digests = {record.image_digest or "", *(record.digest_of(move) for move in record.moves)}
    image_ids = {digest: ImageId(image_digest=digest) for digest in sorted(digests)}
    answers = read_or_missing(dependencies, record.repository, list(image_ids.values()))
    return {
        digest: answer
        if isinstance(answer := answers[image_id], Manifest)
        else Manifest(b"", record.media_type or "", digest)
        for digest, image_id in image_ids.items()
    }
