"""First answers: what was recorded first under a promotionId is answered again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from promoter.domain import documents
from promoter.domain.errors import PromoterError
from promoter.domain.model import ImageId, Manifest, Outcome, Promoted, Record
from promoter.domain.ports import AbandonedError, PartlyDoneError
from promoter.promotion.dependencies import Dependencies
from promoter.promotion.recovery import read_or_missing, recover_in_the_way


def first_answer(
    record: Record, answer: Promoted | PromoterError, dependencies: Dependencies, earlier: Record | None = None
) -> Promoted:
    """Record an outcome that moved nothing, and give it; or the earlier one, where the promotion ended before.

    A failure inherits the tags that an earlier attempt moved. A success is planned again, because the caller needs
    the new plan.
    """
    ended = documents.ended(record, answer, now=dependencies.now())
    try:
        kept = keep(ended, dependencies, earlier)
    except PartlyDoneError as partly:
        if isinstance(answer, Promoted):
            raise
        answer.image_digest = partly.record.image_digest
        answer.moves = tuple(move for move in partly.record.moves if move.outcome is Outcome.PROMOTED)
        return first_answer(carrying(record, partly.record), answer, dependencies, partly.record)
    if kept is not ended:
        return replay(kept, dependencies)
    if isinstance(answer, PromoterError):
        answer.recorded = True
        raise answer
    return answer


def carrying(record: Record, earlier: Record) -> Record:
    """Return a refusal's record with what it keeps of an earlier try: or nobody could take that back."""
    return replace(
        record,
        rule=record.rule or earlier.rule,
        media_type=record.media_type or earlier.media_type,
        image_tags=record.image_tags or earlier.image_tags,
    )


def keep(ended: Record, dependencies: Dependencies, earlier: Record | None) -> Record:
    """Record an outcome that moved nothing; an interrupted promotion of the same id is recovered first."""
    try:
        return dependencies.ledger.record(ended, earlier)
    except AbandonedError as abandoned:
        recover_in_the_way(abandoned, ended.repository, dependencies)
        return dependencies.ledger.record(ended, earlier)


def replay(record: Record, dependencies: Dependencies) -> Promoted:
    """Give the answer that the promotion was given when it ended."""
    error = documents.error(record)
    if error is not None:
        error.recorded = error.repeated = True
        raise error
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
