"""Metrics of the service, and the statistics of metrics that the dashboard shows."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch

from promoter.domain.names import NAMESPACE, SERVICE, Metric

PERIOD = Duration.minutes(5)
PERCENTILES = ("p50", "p90", "p99")


def own_metric(name: Metric, **dimensions: str) -> cloudwatch.Metric:
    """Return a metric that the functions emit."""
    return cloudwatch.Metric(
        namespace=NAMESPACE, metric_name=name, dimensions_map={"service": SERVICE, **dimensions}
    )


def total(metric: cloudwatch.Metric) -> cloudwatch.Metric:
    """Return the metric's sum in each period."""
    return metric.with_(statistic="Sum", period=PERIOD)


def highest(metric: cloudwatch.Metric) -> cloudwatch.Metric:
    """Return the metric's maximum in each period."""
    return metric.with_(statistic="Maximum", period=PERIOD)


def percentiles(metric: cloudwatch.Metric, suffix: str = "") -> list[cloudwatch.Metric]:
    """Return the metric's percentiles in each period."""
    return [metric.with_(statistic=each, period=PERIOD, label=f"{each}{suffix}") for each in PERCENTILES]


def search(expression: str, dimension: str, *, period: Duration = PERIOD) -> cloudwatch.SearchExpression:
    """Return a line for each metric that the search finds, named by one of its dimensions."""
    seconds = int(period.to_seconds())
    return cloudwatch.SearchExpression(
        expression=f"SEARCH('{expression}', 'Sum', {seconds})",
        label=f"${{PROP('Dim.{dimension}')}}",
        period=period,
    )
