"""What operators see: structured logs and metrics. No manifest bodies, no credentials."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from promoter.errors import PromoterError
from promoter.model import Outcome, Promoted, Promotion

SERVICE = "ecr-promoter"
NAMESPACE = "EcrPromoter"

logger = Logger(service=SERVICE)


def report(wish: Promotion, answer: Promoted | PromoterError, *, milliseconds: float) -> None:
    """Log how a promotion ended, and count it by outcome and trigger."""
    record: dict[str, Any] = {
        "promotion_id": wish.promotion_id,
        "trigger": wish.trigger,
        "outcome": answer.outcome,
        "repository": wish.repository.name,
        "registry_id": wish.repository.registry_id,
        "source_tag": wish.source.image_id.image_tag,
        "source_digest": wish.source.image_digest,
        "caller": wish.caller,
        "moves": [{"tag": m.image_tag, "outcome": m.outcome, "previous": m.previous_digest} for m in answer.moves],
        "milliseconds": round(milliseconds, 1),
    }
    if isinstance(answer, Promoted):
        logger.info("promotion", **record, rule=answer.rule, digest=answer.manifest.digest)
    else:
        log = logger.error if answer.outcome is Outcome.FAILED else logger.warning
        log("promotion", **record, rule=wish.rule, code=answer.code, detail=answer.detail, reasons=answer.reasons)
    count(wish.trigger, answer.outcome, milliseconds)


def count(trigger: str, outcome: str, milliseconds: float) -> None:
    """Emit the metrics Promotions and Duration (CloudWatch embedded metric format, one line)."""
    metrics = EphemeralMetrics(namespace=NAMESPACE, service=SERVICE)
    metrics.add_dimension("trigger", trigger)
    metrics.add_dimension("outcome", outcome)
    metrics.add_metric(name="Promotions", unit=MetricUnit.Count, value=1)
    metrics.add_metric(name="Duration", unit=MetricUnit.Milliseconds, value=milliseconds)
    metrics.flush_metrics()


def report_invalid(error: PromoterError, *, promotion_id: str, caller: str | None) -> None:
    """Log and count a request that could not be read."""
    logger.warning(
        "invalid request", promotion_id=promotion_id, caller=caller, field=error.field, detail=error.detail
    )
    count("request", error.outcome, milliseconds=0)
