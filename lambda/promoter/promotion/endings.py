"""How the work under a lease ends: for good, or with the promotion waiting again."""

from __future__ import annotations

from collections.abc import Mapping

from promoter.domain import documents, waiting
from promoter.domain.answers import Answer, NotPromoted, Waiting
from promoter.domain.model import ImageId, Manifest, Promoted, Seen, TagMove, Trigger
from promoter.domain.records import Lease, Record
from promoter.promotion.dependencies import Dependencies


def end_of(
    lease: Lease, answer: Promoted | NotPromoted, dependencies: Dependencies, brought: Manifest | None = None
) -> tuple[Record, Answer]:
    """Return what to record at the end of a lease, and the answer.

    A promotion that may wait waits again after a failure that a retry may overcome. If it has not waited before,
    the manifest that it `brought` along is kept for that; without it, it ends. Raises LedgerError.
    """
    record = lease.record
    if isinstance(answer, Promoted) or record.wait is None or not answer.error.retryable:
        return documents.ended(record, answer, now=dependencies.now()), answer
    if record.source == ImageId() and record.wait.seen is None:
        if brought is None:
            return documents.ended(record, answer, now=dependencies.now()), answer
        dependencies.waiting.keep(record, brought)
    put = {move.image_tag: move for move in answer.moves}
    moves = tuple(put.get(move.image_tag, move) for move in record.moves)
    wait = record.wait._replace(leases=record.wait.leases + 1)
    if record.trigger is Trigger.REQUEST:
        wait = wait._replace(seen=seen_under(lease, put, dependencies))
    waits = documents.waits(record, wait, waiting.reasons_of([answer.error]), moves)
    return waits, Waiting(waits)


def seen_under(lease: Lease, put: Mapping[str, TagMove], dependencies: Dependencies) -> Mapping[str, Seen]:
    """Return where the tags are that are still to be moved; nobody else moves them under the lease."""
    left = {move.image_tag: move for move in lease.planned.values() if move.image_tag not in put}
    positions = dependencies.heads.positions(lease.record.repository, tuple(left))
    return {tag: Seen(move.previous_digest, positions[tag].version) for tag, move in left.items()}
