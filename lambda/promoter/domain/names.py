"""Names that alarms, dashboards and event rules refer to. They never change once they are released."""

from __future__ import annotations

from enum import StrEnum

SERVICE = "ecr-promoter"
"""The source of the service's events, and the metrics' dimension `service`."""

NAMESPACE = "EcrPromoter"
"""The namespace of the service's metrics in Amazon CloudWatch."""


class Metric(StrEnum):
    """The metrics that the functions emit."""

    PROMOTIONS = "Promotions"
    DURATION = "Duration"
    REFUSALS = "Refusals"
    RETRIES = "Retries"
    STALE_INTENTS = "StaleIntents"
    DRIFT = "Drift"
    RECONCILE_RUNS = "ReconcileRuns"
    RECONCILE_FAILURES = "ReconcileFailures"
    LONGEST_DRIFT_CHECK_INTERVAL = "LongestDriftCheckInterval"
    LONGEST_WAIT = "LongestWait"
