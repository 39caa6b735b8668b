"""Promotions that wait: tried again when something wakes them, given up. `acceptance` has how they begin.

A promotion that waits has a record before anything else, so that nothing is lost: what wakes it is written after
that, and `reconcile` tries what nothing has woken. Each try judges anew. Each way to end replaces the record on
condition that it still waits, so that it ends once.
"""

from __future__ import annotations

from dataclasses import replace

from promoter.domain import documents, waiting
from promoter.domain.answers import Answer, NotPromoted, Waiting
from promoter.domain.errors import Cancelled, LedgerError, NotWaiting, PromoterError, TagBusy
from promoter.domain.leasing import Recorded, Replayed, Resumable, Waits
from promoter.domain.model import ImageId, Outcome, Promotion, Source, Trigger, Wait
from promoter.domain.records import Record
from promoter.promotion.attempt import Attempted, Held, attempt_patiently
from promoter.promotion.dependencies import Dependencies
from promoter.promotion.idempotency import replay
from promoter.promotion.plan import AttemptState

UNDER_WAY = "The promotion is being carried out. Retry."


def resume(promotion_id: str, dependencies: Dependencies) -> tuple[Promotion, Answer] | None:
    """Try a promotion that waits; None: it does not, or no longer."""
    record = dependencies.waiting.promotion(promotion_id)
    if record is None:
        return None
    return promotion_of(record), carry_on(record, dependencies)


def carry_on(record: Record, dependencies: Dependencies) -> Answer:
    """Carry out a promotion that has waited, or say for what it waits still, or why it ends."""
    try:
        return _carry_on(record, dependencies)
    except PromoterError as error:
        return NotPromoted(error)


def cancel(record: Record, caller: str | None, dependencies: Dependencies) -> Record:
    """Give up a promotion that waits; return its record. Repeating that is not an error.

    Raises NotWaiting for one that has ended, TagBusy for one that is moving tags.
    """
    if record.outcome is Outcome.WAITING:
        by = f" by {caller}" if caller else ""
        _end(
            record, waiting.end_of(record, dependencies.now()) or Cancelled(f"It was cancelled{by}."), dependencies
        )
        record = dependencies.history.promotion(record.promotion_id)
    if record.outcome in (None, Outcome.WAITING):
        raise TagBusy(f"Promotion {record.promotion_id} is moving tags. Retry, or roll it back when it has ended.")
    if record.code != Cancelled.code:
        raise NotWaiting(f"Promotion {record.promotion_id} has ended as {record.outcome}. It cannot be cancelled.")
    return record


def promotion_of(record: Record) -> Promotion:
    """Return the promotion that a record was made of. A manifest that came along is not in it.

    A request has the tags and the digest that it was accepted with. The rule of an event makes its tags anew.
    """
    is_request = record.trigger is Trigger.REQUEST
    named = record.source.image_tag or record.source.image_digest
    source = ImageId(record.source.image_tag, record.image_digest) if is_request and named else record.source
    wait = record.wait
    return Promotion(
        promotion_id=record.promotion_id,
        trigger=record.trigger,
        repository=record.repository,
        source=Source(source),
        image_tags=record.image_tags if is_request else None,
        expected_digests=record.undone if record.undoes else wait.expected_digests if wait else {},
        caller=record.caller,
        rule=record.rule,
        asked_at=record.asked_at,
        fingerprint=record.fingerprint,
        undoes=record.undoes,
        images={move.image_tag: record.digest_of(move) for move in record.moves} if record.undoes else {},
        override=record.override,
        wait=wait,
    )


def _carry_on(record: Record, dependencies: Dependencies, *, is_recorded: bool = False) -> Answer:
    """Try it. `is_recorded`: what it waits for was recorded a moment ago."""
    now = dependencies.now()
    if over := waiting.end_of(record, now):
        return _end(record, over, dependencies)
    if others := dependencies.waiting.overtaken(record):
        return _end(record, waiting.overtaken(others), dependencies)
    promotion = promotion_of(record)
    if promotion.source.image_id == ImageId():
        promotion = replace(promotion, source=_brought(record, dependencies))
    try:
        attempted = attempt_patiently(promotion, AttemptState(earlier=record), dependencies)
    except PromoterError as error:
        if not error.retryable:
            return _end(record, error, dependencies)
        attempted = Held((error,))
    if isinstance(attempted, Held):
        return _wait_on(record, attempted, dependencies, is_recorded=is_recorded)
    return answer_of(attempted)


def _brought(record: Record, dependencies: Dependencies) -> Source:
    manifest = dependencies.waiting.manifest(record.promotion_id)
    if manifest is None:
        raise LedgerError("The manifest that came with the promotion is not in the table. Restore the table.")
    return Source(manifest=manifest)


def answer_of(attempted: Attempted) -> Answer:
    """Return the answer of a try that was not held; where another one has changed the record, what that says."""
    if isinstance(attempted, Waits):
        return Waiting(attempted.record, repeated=True)
    if isinstance(attempted, Held):
        raise TypeError("a promotion that is held has no answer")
    return attempted


def _wait_on(record: Record, held: Held, dependencies: Dependencies, *, is_recorded: bool) -> Answer:
    """Record what the promotion waits for now, unless the same is recorded already."""
    now, wait = dependencies.now(), record.wait or Wait(dependencies.now())
    waits = documents.waits(record, wait, waiting.reasons_of(held.errors))
    if until := waiting.longer(waits, now):
        waits = documents.waits(waits, wait._replace(until=until), waits.reasons)
    if is_recorded and waits == record:
        return Waiting(record)
    if dependencies.waiting.update(record, waits, waiting.next_try(waits, now)):
        return wake_by_events(waits, dependencies)
    standing = dependencies.history.promotion(record.promotion_id)
    return replay(standing, dependencies) if standing.outcome else NotPromoted(TagBusy(UNDER_WAY))


def wake_by_events(record: Record, dependencies: Dependencies) -> Answer:
    """Write what wakes the promotion. If any of it is new, try it once more: the event may have come before."""
    until = record.wait.until if record.wait else dependencies.now()
    new = [
        dependencies.wake_ups.add(record.repository, record.promotion_id, digests, until)
        for digests in (waiting.awaited_scans(record), waiting.awaited_signature(record))
        if digests
    ]
    if any(new):
        return _carry_on(record, dependencies, is_recorded=True)
    return Waiting(record)


def _end(record: Record, error: PromoterError, dependencies: Dependencies) -> Answer:
    """Record why the promotion ends, unless it has ended otherwise meanwhile. Tags that it has put stay put."""
    put = tuple(move for move in record.moves if move.outcome is Outcome.PROMOTED)
    answer = NotPromoted(error, put, record.image_digest)
    match dependencies.ledger.record(documents.ended(record, answer, now=dependencies.now()), record):
        case Recorded():
            return answer
        case Replayed(standing) | Waits(standing) | Resumable(standing):
            return replay(standing, dependencies)
        case _:
            return NotPromoted(TagBusy(UNDER_WAY))
