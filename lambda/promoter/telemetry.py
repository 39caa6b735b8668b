"""What operators see: structured logs, and metrics beside them. No manifest bodies, no credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from promoter import metrics
from promoter.domain import documents
from promoter.domain.answers import Answer, NotPromoted, Waiting, promotion_id_of
from promoter.domain.errors import Cancelled, PromoterError
from promoter.domain.model import Outcome, Promoted, Promotion, Trigger
from promoter.domain.names import SERVICE

if TYPE_CHECKING:
    from promoter.domain.records import Record, WakeUp
    from promoter.promotion.reconcile import Reconciled

MOST_LOGGED = 300
"""Tags of one record about drift: CloudWatch takes 256 KB of a record, and all of a repository may be gone."""

logger = Logger(service=SERVICE)


def report(promotion: Promotion, answer: Answer, *, milliseconds: float) -> None:
    """Log how a promotion ended, or for what it waits, and count it by outcome and trigger.

    A promotion that waits is counted when it ends. One of an event that failed and may be retried has not ended
    either: the event comes again, or `reconcile` carries the promotion out. A request that waits waits on.
    """
    record = _described(promotion, answer)
    record |= {"outcome": answer.outcome, "milliseconds": round(milliseconds, 1)}
    if answer.repeated:
        logger.info("promotion repeated", **record)
        return
    if isinstance(answer, Waiting):
        logger.info("promotion waits", **record, **_waits_for(answer))
        return
    if isinstance(answer, Promoted):
        logger.info("promotion", **record, rule=answer.rule, digest=answer.manifest.digest)
    else:
        _log_not_promoted(answer, record | {"rule": promotion.rule})
        if comes_again(promotion, answer.error):
            metrics.count_retry(promotion.trigger)
            return
        if answer.outcome is Outcome.REFUSED:
            metrics.count_refusals({each.code for each in answer.error.reasons} or {answer.error.code})
    metrics.count_promotion(promotion.trigger, answer.outcome, milliseconds=milliseconds)


def _described(promotion: Promotion, answer: Answer) -> dict[str, Any]:
    """Return what every record about a promotion says."""
    return {
        "promotion_id": promotion_id_of(promotion, answer),
        "trigger": promotion.trigger,
        "repository": promotion.repository.name,
        "registry_id": promotion.repository.registry_id,
        "source_tag": promotion.source.image_id.image_tag,
        "source_digest": promotion.source.image_digest,
        "caller": promotion.caller,
        "undoes": promotion.undoes,
        "override": promotion.override,
        "moves": [{"tag": m.image_tag, "outcome": m.outcome, "previous": m.previous_digest} for m in answer.moves],
    }


def _waits_for(answer: Waiting) -> dict[str, Any]:
    record = answer.record
    return {
        "rule": record.rule,
        "detail": documents.cut(record.detail, documents.MOST_DETAIL),
        "reasons": documents.fitting(record.reasons, room=documents.MOST_BYTES),
        "waits_until": record.wait.until.isoformat() if record.wait else None,
    }


def _log_not_promoted(answer: NotPromoted, record: dict[str, Any]) -> None:
    """Log why a promotion was not carried out; a failure is an error, a refusal a warning."""
    record |= {
        "code": answer.error.code,
        "detail": documents.cut(answer.error.detail, documents.MOST_DETAIL),
        "reasons": documents.fitting(answer.error.reasons, room=documents.MOST_BYTES),
    }
    log = logger.error if answer.outcome is Outcome.FAILED else logger.warning
    log("promotion", **record)


def report_waiting(wake_up: WakeUp, awaited: str) -> None:
    """Log that a promotion waits for one more scan after the one that has woken it."""
    logger.info(
        "promotion waits",
        outcome=Outcome.WAITING,
        promotion_id=wake_up.promotion_id,
        repository=wake_up.repository.name,
        registry_id=wake_up.repository.registry_id,
        awaited=awaited,
    )


def report_cancelled(record: Record) -> None:
    """Log and count a promotion that was cancelled while it waited; its `detail` says by whom."""
    logger.info(
        "promotion cancelled",
        promotion_id=record.promotion_id,
        trigger=record.trigger,
        repository=record.repository.name,
        registry_id=record.repository.registry_id,
        rule=record.rule,
        caller=record.caller,
        outcome=record.outcome,
        code=record.code,
        detail=record.detail,
    )
    metrics.count_refusals({Cancelled.code})
    metrics.count_promotion(record.trigger, Outcome.REFUSED, milliseconds=0)


def comes_again(promotion: Promotion, error: PromoterError) -> bool:
    """Say whether a failed promotion is retried without anybody asking for it: of an event, or one that waits."""
    by_itself = promotion.trigger is Trigger.SCAN or promotion.is_pinned
    return by_itself and error.outcome is Outcome.FAILED and error.retryable


def report_given_up(error: Exception) -> None:
    """Count an event that failed at its last try. `report` counted it as one that comes again."""
    if isinstance(error, PromoterError) and error.outcome is Outcome.FAILED:
        metrics.count_promotion(Trigger.SCAN, Outcome.FAILED, milliseconds=0)


def report_invalid(error: PromoterError, *, promotion_id: str, caller: str | None) -> None:
    """Log and count a request that could not be read."""
    logger.warning(
        "invalid request", promotion_id=promotion_id, caller=caller, field=error.field, detail=error.detail
    )
    metrics.count_promotion(Trigger.REQUEST, error.outcome, milliseconds=0)


def report_refused(error: PromoterError, *, route: str, caller: str | None) -> None:
    """Log a call that was refused or failed without being a promotion."""
    log = logger.error if error.outcome is Outcome.FAILED else logger.warning
    log("call refused", route=route, caller=caller, code=error.code, detail=error.detail)


def report_reconciled(done: Reconciled, *, trigger: str) -> None:
    """Log what a run of reconcile did, and count what operators have to know of."""
    from promoter.domain import drift  # events need none of this

    log = logger.warning if done.settled or done.drifted or done.failures else logger.info
    log(
        "reconciled",
        settled=done.settled,
        finished=done.finished,
        waiting=done.waiting,
        drifted=[drift.document(head) for head in done.drifted[:MOST_LOGGED]],
        drifted_count=len(done.drifted),
        failures=done.failures,
        failed=done.failed,
        unfinished=done.unfinished,
        longest_wait=done.longest_wait.total_seconds(),
    )
    metrics.count_run(done, trigger=trigger)
