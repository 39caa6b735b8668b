"""The dashboard: promotions, refusals, waiting events, and the AWS services beneath."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import Duration
from aws_cdk import aws_apigatewayv2 as api_
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.metrics import PERIOD, highest, own_metric, percentiles, search, total
from promoter.aws.dynamodb.table import INDEX
from promoter.domain.limits import PUT_IMAGE_A_SECOND
from promoter.domain.model import Outcome, Trigger
from promoter.domain.names import NAMESPACE, SERVICE, Metric

WIDTH, HEIGHT = 8, 6  # three graphs in a row of 24
PUT_IMAGE_QUOTA = cloudwatch.HorizontalAnnotation(
    value=60 * PUT_IMAGE_A_SECOND, label=f"PutImage: {PUT_IMAGE_A_SECOND} a second"
)


class Dashboard(Construct):
    """One CloudWatch dashboard: promotions by outcome, errors and delays, and the AWS services beneath."""

    def __init__(  # noqa: PLR0913 - each shown resource by its name
        self,
        scope: Construct,
        construct_id: str,
        *,
        function: lambda_.IFunction,
        reconciler: lambda_.IFunction,
        announcer: lambda_.IFunction,
        apis: Mapping[str, api_.IHttpApi],
        table: dynamodb.ITableV2,
        events_queue: sqs.IQueue,
        failed: sqs.IQueue,
        undelivered: sqs.IQueue,
        unannounced: sqs.IQueue,
        runs: sqs.IQueue,
    ) -> None:
        super().__init__(scope, construct_id)
        functions = {"promoter": function, "reconciler": reconciler, "announcer": announcer}
        queues = {"failed": failed, "undelivered": undelivered, "unannounced": unannounced, "runs": runs}
        cloudwatch.Dashboard(
            self,
            "Dashboard",
            default_interval=Duration.days(1),
            widgets=[
                [
                    _graph("Promotions by outcome and trigger", _promotions(), stacked=True),
                    _graph("Refusals by reason", [_refusals()], stacked=True),
                    _graph("Duration of promotions, milliseconds", _durations()),
                ],
                [
                    _graph(
                        "Stale intents, drift",
                        [highest(own_metric(name)) for name in (Metric.STALE_INTENTS, Metric.DRIFT)],
                    ),
                    _graph(
                        "Events that wait, dead letters",
                        _waiting(events=events_queue, **queues),
                    ),
                    _graph("The account's calls of ECR a minute", [_ecr_calls()], annotations=[PUT_IMAGE_QUOTA]),
                ],
                [
                    _graph("Functions: errors, throttles", _troubles(functions)),
                    _graph("Functions: concurrency", _concurrencies(functions)),
                    _graph(
                        "Longest wait: announcements, milliseconds; events, seconds",
                        [
                            highest(announcer.metric("IteratorAge")),
                            highest(events_queue.metric_approximate_age_of_oldest_message()),
                        ],
                    ),
                ],
                [
                    _graph("Runs of reconcile", _runs()),
                    _graph(
                        "Longest wait of a promotion, longest time between two drift checks, seconds",
                        [
                            highest(own_metric(name))
                            for name in (Metric.LONGEST_WAIT, Metric.LONGEST_DRIFT_CHECK_INTERVAL)
                        ],
                    ),
                    _graph("Dead letters that came, tries of events that failed", _arrivals(queues)),
                ],
                [
                    _graph("API: errors", _api_errors(apis)),
                    _graph("API: latency, milliseconds", _api_latencies(apis)),
                    _graph("Table: throttled, conflicts", _table(table)),
                ],
            ],
        )


def _graph(
    title: str,
    metrics: Sequence[cloudwatch.IMetric],
    *,
    stacked: bool = False,
    annotations: Sequence[cloudwatch.HorizontalAnnotation] = (),
) -> cloudwatch.IWidget:
    return cloudwatch.GraphWidget(
        title=title,
        left=list(metrics),
        left_annotations=list(annotations),
        left_y_axis=cloudwatch.YAxisProps(min=0, show_units=False),
        stacked=stacked,
        width=WIDTH,
        height=HEIGHT,
    )


def _promotions() -> list[cloudwatch.Metric]:
    return [
        total(own_metric(Metric.PROMOTIONS, trigger=trigger, outcome=outcome)).with_(
            label=f"{outcome} ({trigger})"
        )
        for outcome in Outcome
        if outcome is not Outcome.WAITING  # it has not ended, and is counted when it does
        for trigger in Trigger
    ]


def _refusals() -> cloudwatch.SearchExpression:
    """Return a line for every reason that was emitted, including the reasons of later versions."""
    return search(f'{{{NAMESPACE},service,reason}} MetricName="{Metric.REFUSALS}" service="{SERVICE}"', "reason")


def _ecr_calls() -> cloudwatch.SearchExpression:
    """Return the calls that ECR counts against the account's quotas (user guide, "Amazon ECR usage metrics").

    The metrics are searched for, because only some services give them the dimension Class.
    """
    calls = '(Resource="PutImage" OR Resource="BatchGetImage")'
    found = f'Namespace="AWS/Usage" MetricName="CallCount" Service="ECR" {calls}'
    return search(found, "Resource", period=Duration.minutes(1))


def _durations() -> list[cloudwatch.Metric]:
    return [
        metric
        for trigger in Trigger
        for metric in percentiles(
            own_metric(Metric.DURATION, trigger=trigger, outcome=Outcome.PROMOTED), suffix=f" ({trigger})"
        )
    ]


def _troubles(functions: Mapping[str, lambda_.IFunction]) -> list[cloudwatch.Metric]:
    return [
        metric.with_(label=f"{metric.metric_name} ({name})")
        for name, function in functions.items()
        for metric in (function.metric_errors(), function.metric_throttles())
    ]


def _concurrencies(functions: Mapping[str, lambda_.IFunction]) -> list[cloudwatch.Metric]:
    return [
        highest(function.metric("ConcurrentExecutions")).with_(label=name) for name, function in functions.items()
    ]


def _api_errors(apis: Mapping[str, api_.IHttpApi]) -> list[cloudwatch.Metric]:
    return [
        total(metric).with_(label=f"{metric.metric_name} ({name})")
        for name, api in apis.items()
        for metric in (api.metric_client_error(), api.metric_server_error())
    ]


def _api_latencies(apis: Mapping[str, api_.IHttpApi]) -> list[cloudwatch.Metric]:
    return [
        metric for name, api in apis.items() for metric in percentiles(api.metric_latency(), suffix=f" ({name})")
    ]


def _runs() -> list[cloudwatch.Metric]:
    """Return the runs by trigger, and their failures."""
    runs = [
        total(own_metric(Metric.RECONCILE_RUNS, trigger=trigger)).with_(label=f"runs ({trigger})")
        for trigger in ("schedule", "request")
    ]
    return [*runs, highest(own_metric(Metric.RECONCILE_FAILURES))]


def _arrivals(queues: Mapping[str, sqs.IQueue]) -> list[cloudwatch.Metric]:
    sent = [total(queue.metric_number_of_messages_sent()).with_(label=name) for name, queue in queues.items()]
    return [*sent, total(own_metric(Metric.RETRIES, trigger=Trigger.SCAN))]


def _waiting(**queues: sqs.IQueue) -> list[cloudwatch.Metric]:
    return [
        queue.metric_approximate_number_of_messages_visible(statistic="Maximum", period=PERIOD, label=name)
        for name, queue in queues.items()
    ]


def _table(table: dynamodb.ITableV2) -> list[cloudwatch.Metric]:
    """Return throttling and conflicts of the table; in a conflict two promotions lease the same tag."""
    index = {"TableName": table.table_name, "GlobalSecondaryIndexName": INDEX}
    return [
        *(
            total(table.metric(name))
            for name in ("ReadThrottleEvents", "WriteThrottleEvents", "TransactionConflict")
        ),
        total(table.metric("WriteThrottleEvents", dimensions_map=index)).with_(
            label="WriteThrottleEvents (index)"
        ),
    ]
