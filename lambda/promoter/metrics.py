"""The metrics that alarms and dashboards read, in CloudWatch's embedded metric format: one log line each time."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from promoter.domain.names import NAMESPACE, SERVICE, Metric

if TYPE_CHECKING:
    from promoter.promotion.reconcile import Reconciled

Measurement = tuple[Metric, MetricUnit, float]
"""A metric's name, unit and value."""


def count_promotion(trigger: str, outcome: str, *, milliseconds: float) -> None:
    """Emit the metrics Promotions and Duration."""
    _emit(
        (Metric.PROMOTIONS, MetricUnit.Count, 1),
        (Metric.DURATION, MetricUnit.Milliseconds, milliseconds),
        trigger=trigger,
        outcome=outcome,
    )


def count_retry(trigger: str) -> None:
    """Emit the metric Retries."""
    _emit((Metric.RETRIES, MetricUnit.Count, 1), trigger=trigger)


def count_refusals(codes: Collection[str]) -> None:
    """Emit the metric Refusals for each kind of reason."""
    for code in sorted(codes):
        _emit((Metric.REFUSALS, MetricUnit.Count, 1), reason=code)


def count_run(done: Reconciled, *, trigger: str) -> None:
    """Emit what operators have to know of a run of reconcile, and that it ran.

    A zero for Drift ends the alarm. So only a run that has compared all tags emits it.
    """
    found: list[Measurement] = [
        (Metric.STALE_INTENTS, MetricUnit.Count, done.stale),
        (Metric.RECONCILE_FAILURES, MetricUnit.Count, done.failed),
        (Metric.LONGEST_WAIT, MetricUnit.Seconds, done.longest_wait.total_seconds()),
    ]
    if done.drifted or done.compared_all:
        found.append((Metric.DRIFT, MetricUnit.Count, len(done.drifted)))
    if done.interval is not None:
        found.append((Metric.LONGEST_DRIFT_CHECK_INTERVAL, MetricUnit.Seconds, done.interval.total_seconds()))
    _emit(*found)
    _emit((Metric.RECONCILE_RUNS, MetricUnit.Count, 1), trigger=trigger)


def _emit(*measurements: Measurement, **dimensions: str) -> None:
    """Emit metrics with the same dimensions."""
    metrics = EphemeralMetrics(namespace=NAMESPACE, service=SERVICE)
    for dimension, text in dimensions.items():
        metrics.add_dimension(dimension, text)
    for name, unit, value in measurements:
        metrics.add_metric(name=name, unit=unit, value=value)
    metrics.flush_metrics()
