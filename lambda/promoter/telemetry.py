"""What operators see: structured logs and metrics. No manifest bodies, no credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from promoter.domain import documents
from promoter.domain.errors import PromoterError
from promoter.domain.model import Outcome, Promoted, Promotion, Trigger
from promoter.domain.names import NAMESPACE, SERVICE, Metric

if TYPE_CHECKING:
    from promoter.domain.model import DeferredPromotion
    from promoter.promotion.reconcile import Reconciled

MOST_LOGGED = 300
"""Tags of one record about drift: CloudWatch takes 256 KB of a record, and all of a repository may be gone."""

logger = Logger(service=SERVICE)


def report(
    promotion: Promotion, answer: Promoted | PromoterError, *, milliseconds: float, waits: bool = False
) -> None:
    """Log how a promotion ended, and count it by outcome and trigger.

    One that `waits` has not ended: that is logged, and it is counted when it ends. Nor has one of an event that
    failed and may be tried again: the event comes again, or `reconcile` does it.
    """
    record: dict[str, Any] = {
        "promotion_id": promotion.promotion_id,
        "trigger": promotion.trigger,
        "outcome": "WAITING" if waits else answer.outcome,
        "repository": promotion.repository.name,
        "registry_id": promotion.repository.registry_id,
        "source_tag": promotion.source.image_id.image_tag,
        "source_digest": promotion.source.image_digest,
        "caller": promotion.caller,
        "undoes": promotion.undoes,
        "override": promotion.override,
        "moves": [{"tag": m.image_tag, "outcome": m.outcome, "previous": m.previous_digest} for m in answer.moves],
        "milliseconds": round(milliseconds, 1),
    }
    if answer.repeated:
        logger.info("promotion repeated", **record)
        return
    if isinstance(answer, Promoted):
        logger.info("promotion", **record, rule=answer.rule, digest=answer.manifest.digest)
    else:
        record |= {
            "rule": promotion.rule,
            "code": answer.code,
            "detail": documents.cut(answer.detail, documents.MOST_DETAIL),
            "reasons": documents.fitting(answer.reasons, room=documents.MOST_BYTES),
        }
        if waits:
            logger.info("promotion waits", **record)
            return
        log = logger.error if answer.outcome is Outcome.FAILED else logger.warning
        log("promotion", **record)
        if comes_again(promotion, answer):
            count_retry(promotion.trigger)
            return
        if answer.outcome is Outcome.REFUSED:
            count_reasons({each.code for each in answer.reasons} or {answer.code})
    count(promotion.trigger, answer.outcome, milliseconds)


def report_waiting(deferred: DeferredPromotion, awaited: str) -> None:
    """Log that a tag waits for one more scan after the one that its deferred promotion waited for."""
    logger.info(
        "promotion waits",
        outcome="WAITING",
        repository=deferred.repository.name,
        registry_id=deferred.repository.registry_id,
        source_tag=deferred.waiting.image_tag,
        source_digest=deferred.waiting.image_digest,
        awaited=awaited,
    )


def comes_again(promotion: Promotion, answer: PromoterError) -> bool:
    """Say whether a failed promotion is tried again without anybody asking for it."""
    return promotion.trigger is Trigger.SCAN and answer.outcome is Outcome.FAILED and answer.retryable


def report_given_up(error: Exception) -> None:
    """Count an event that failed at its last try, which `report` took for one that comes again."""
    if isinstance(error, PromoterError) and error.outcome is Outcome.FAILED:
        count(Trigger.SCAN, Outcome.FAILED, milliseconds=0)


def count_retry(trigger: str) -> None:
    """Emit the metric Retries."""
    metrics = EphemeralMetrics(namespace=NAMESPACE, service=SERVICE)
    metrics.add_dimension("trigger", trigger)
    metrics.add_metric(name=Metric.RETRIES, unit=MetricUnit.Count, value=1)
    metrics.flush_metrics()


def count_reasons(codes: set[str]) -> None:
    """Emit the metric Refusals for each kind of reason."""
    for code in sorted(codes):
        metrics = EphemeralMetrics(namespace=NAMESPACE, service=SERVICE)
        metrics.add_dimension("reason", code)
        metrics.add_metric(name=Metric.REFUSALS, unit=MetricUnit.Count, value=1)
        metrics.flush_metrics()


def count(trigger: str, outcome: str, milliseconds: float) -> None:
    """Emit the metrics Promotions and Duration (CloudWatch embedded metric format, one line)."""
    metrics = EphemeralMetrics(namespace=NAMESPACE, service=SERVICE)
    metrics.add_dimension("trigger", trigger)
    metrics.add_dimension("outcome", outcome)
    metrics.add_metric(name=Metric.PROMOTIONS, unit=MetricUnit.Count, value=1)
    metrics.add_metric(name=Metric.DURATION, unit=MetricUnit.Milliseconds, value=milliseconds)
    metrics.flush_metrics()


def report_invalid(error: PromoterError, *, promotion_id: str, caller: str | None) -> None:
    """Log and count a request that could not be read."""
    logger.warning(
        "invalid request", promotion_id=promotion_id, caller=caller, field=error.field, detail=error.detail
    )
    count("request", error.outcome, milliseconds=0)


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
    )
    metrics = EphemeralMetrics(namespace=NAMESPACE, service=SERVICE)
    counts = {Metric.STALE_INTENTS: done.stale, Metric.RECONCILE_FAILURES: done.failed}
    if done.drifted or done.compared_all:  # a zero ends the alarm: it is said only by who has looked everywhere
        counts[Metric.DRIFT] = len(done.drifted)
    for name, count_of in counts.items():
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=count_of)
    if done.interval is not None:
        seconds = done.interval.total_seconds()
        metrics.add_metric(name=Metric.LONGEST_DRIFT_CHECK_INTERVAL, unit=MetricUnit.Seconds, value=seconds)
    metrics.flush_metrics()
    runs = EphemeralMetrics(namespace=NAMESPACE, service=SERVICE)
    runs.add_dimension("trigger", trigger)
    runs.add_metric(name=Metric.RECONCILE_RUNS, unit=MetricUnit.Count, value=1)
    runs.flush_metrics()
