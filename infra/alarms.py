"""The alarms. Each description names its page in docs/operations/runbooks, which says what to do."""

from __future__ import annotations

import math
from collections.abc import Mapping

from aws_cdk import Duration
from aws_cdk import aws_apigatewayv2 as api_
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.alarm_topic import alarm_topic
from infra.metrics import own_metric
from promoter.aws.dynamodb.table import INDEX
from promoter.domain.model import Outcome, Trigger
from promoter.domain.names import Metric
from promoter.domain.waiting import LONGEST_PAUSE

RUNBOOKS = "docs/operations/runbooks"  # a page for each `runbook` below
MINUTE, SHORT, LONG = Duration.minutes(1), Duration.minutes(5), Duration.minutes(15)
HOUR, DAY = 3600, 86_400  # seconds

# Scans and signatures come within minutes. What has not come after six hours needs somebody to look at it, and a
# request that waits for the default of a day has most of its time left.
TOO_LONG = 6 * HOUR

# How an alarm treats missing data.
FINE = cloudwatch.TreatMissingData.NOT_BREACHING  # for metrics that are emitted only when something happens
UNCHANGED = cloudwatch.TreatMissingData.IGNORE  # for metrics that are emitted now and then: the last value holds
WRONG = cloudwatch.TreatMissingData.BREACHING  # for metrics that must be emitted


class Alarms(Construct):
    """An alarm for everything that does not recover by itself, or that has to recover too often.

    `topic` is the SNS topic that alarms notify, None without an e-mail address. Descriptions name their
    page of the runbooks. No alarm uses metric math, because the local AWS does not support it.
    """

    def __init__(  # noqa: PLR0913 - each watched resource by its name
        self,
        scope: Construct,
        construct_id: str,
        *,
        function: lambda_.Function,
        reconciler: lambda_.IFunction,
        announcer: lambda_.IFunction,
        apis: Mapping[str, api_.IHttpApi],
        table: dynamodb.ITableV2,
        events_queue: sqs.IQueue,
        failed: sqs.IQueue,
        undelivered: sqs.IQueue,
        unannounced: sqs.IQueue,
        runs: sqs.IQueue,
        minutes: int,
        topic_email: str | None,
    ) -> None:
        super().__init__(scope, construct_id)
        self.topic = alarm_topic(self, topic_email) if topic_email else None
        self._watch_dead_letters(failed, undelivered, unannounced, runs)
        self._watch_events(events_queue)
        self._watch_function(function)
        self._watch_throttles(Throttles=function, ReconcilerThrottles=reconciler, AnnouncerThrottles=announcer)
        self._watch_announcer(announcer)
        for name, api in apis.items():
            self._watch_api(name.removesuffix("Api"), api)
        self._watch_table(table)
        self._watch_failures()
        self._watch_reconcile()
        self._watch_runs(minutes)

    def _watch_dead_letters(
        self, failed: sqs.IQueue, undelivered: sqs.IQueue, unannounced: sqs.IQueue, runs: sqs.IQueue
    ) -> None:
        """Watch each queue with two alarms: one lasts while the queue has messages, one notifies of new messages.

        Missing data leaves the first alarm as it is, because SQS stops reporting on a queue that nobody uses for
        hours. It does not notify of further messages: CloudWatch acts only when an alarm changes its state
        (CloudWatch user guide, "Using Amazon CloudWatch alarms"). The second alarm ends after a minute without
        new messages. SQS does not count messages as sent that it moves to `failed` itself, after time-outs (SQS
        developer guide, "Using dead-letter queues in Amazon SQS"): for these the alarm Errors notifies.
        """
        for construct_id, queue, says, runbook in (
            ("FailedEvents", failed, "An event failed at its last try.", "failed-events"),
            ("UndeliveredEvents", undelivered, "EventBridge could not deliver an event.", "undelivered-events"),
            ("Unannounced", unannounced, "Outcomes could not be sent to EventBridge.", "unsent-announcements"),
            ("FailedRuns", runs, "A run of reconcile failed.", "failed-runs"),
        ):
            metric = queue.metric_approximate_number_of_messages_visible(period=SHORT, statistic="Maximum")
            self._alarm(construct_id, metric, says=says, runbook=runbook, missing=UNCHANGED)
            sent = queue.metric_number_of_messages_sent(period=MINUTE, statistic="Sum")
            self._alarm(f"New{construct_id}", sent, says=says, runbook=runbook, tell_end=False)

    def _watch_events(self, events_queue: sqs.IQueue) -> None:
        """Watch the waiting events: in a burst they wait for minutes, and longer if the function fails."""
        self._alarm(
            "EventsLate",
            events_queue.metric_approximate_age_of_oldest_message(period=SHORT, statistic="Maximum"),
            threshold=int(LONG.to_seconds()),
            says="An event has been waiting in the queue for 15 minutes.",
            runbook="late-events",
        )

    def _watch_function(self, function: lambda_.Function) -> None:
        if function.timeout is None:
            raise ValueError("the function has no time-out with which to compare its duration")
        self._alarm(
            "Errors",
            function.metric_errors(period=LONG),
            threshold=4,  # the failed tries of one event before its last; a single error is retried
            says="Invocations of the function fail, and retries do not help.",
            runbook="function-errors",
        )
        self._alarm(
            "Slow",
            function.metric_duration(period=SHORT, statistic="Maximum"),
            threshold=int(function.timeout.to_milliseconds()) * 9 // 10,
            periods=12,
            datapoints=2,  # twice in an hour: a single slow answer of ECR needs no action
            says="Invocations take almost as long as the function's time-out.",
            runbook="slow-function",
        )

    def _watch_throttles(self, **functions: lambda_.IFunction) -> None:
        for construct_id, function in functions.items():
            self._alarm(
                construct_id,
                function.metric_throttles(period=SHORT),
                periods=3,  # Lambda retries events by itself: only long throttling delays them
                says="Lambda has been throttling the function for 15 minutes.",
                runbook="function-throttles",
            )

    def _watch_announcer(self, announcer: lambda_.IFunction) -> None:
        """Watch only how long announcements wait: every problem of the announcer makes them wait."""
        self._alarm(
            "AnnouncementsLate",
            announcer.metric("IteratorAge", period=SHORT, statistic="Maximum"),
            threshold=int(LONG.to_milliseconds()),
            says="Outcomes have been waiting for 15 minutes to be sent to EventBridge.",
            runbook="late-announcements",
        )

    def _watch_api(self, prefix: str, api: api_.IHttpApi) -> None:
        self._alarm(
            f"{prefix}ServerErrors",
            api.metric_server_error(period=LONG, statistic="Sum"),
            threshold=3,  # callers retry a single error
            says="The API answered 5xx three times in 15 minutes.",
            runbook="api-server-errors",
        )

    def _watch_table(self, table: dynamodb.ITableV2) -> None:
        """Watch the calls that DynamoDB throttles or fails.

        Throttle events of the index are not in the table's metric. System errors have a metric for each
        operation; promotions use TransactWriteItems.
        """
        name = {"TableName": table.table_name}
        for construct_id, metric_name, dimensions in (
            ("TableReadsThrottled", "ReadThrottleEvents", name),
            ("TableWritesThrottled", "WriteThrottleEvents", name),
            ("IndexWritesThrottled", "WriteThrottleEvents", {**name, "GlobalSecondaryIndexName": INDEX}),
        ):
            self._alarm(
                construct_id,
                _of_dynamodb(metric_name, dimensions),
                periods=2,  # the SDK's retries survive a short peak
                says="DynamoDB has been throttling the table for ten minutes.",
                runbook="table-throttles",
            )
        self._alarm(
            "TableErrors",
            _of_dynamodb("SystemErrors", {**name, "Operation": "TransactWriteItems"}),
            periods=2,
            says="Promotions' transactions have been failing in DynamoDB for ten minutes.",
            runbook="table-errors",
        )

    def _watch_failures(self) -> None:
        """Watch failed promotions: a request's caller gets an answer, a scan's promotion has no caller."""
        for trigger, period, threshold in ((Trigger.SCAN, SHORT, 1), (Trigger.REQUEST, LONG, 5)):
            metric = own_metric(Metric.PROMOTIONS, trigger=trigger, outcome=Outcome.FAILED)
            self._alarm(
                f"Failed{trigger.capitalize()}s",
                metric.with_(period=period, statistic="Sum"),
                threshold=threshold,
                says=f"Promotions triggered by a {trigger} failed.",
                runbook="failed-promotions",
            )

    def _watch_reconcile(self) -> None:
        """Watch the findings of reconcile: an alarm lasts until a later run finds nothing."""
        for name, says, runbook in (
            (
                Metric.STALE_INTENTS,
                "Promotions were interrupted, and reconcile had to recover them.",
                "stale-intents",
            ),
            (Metric.DRIFT, "Somebody else moved or deleted a tag that this service had put.", "drift"),
        ):
            metric = own_metric(name).with_(period=LONG, statistic="Maximum")
            self._alarm(name, metric, says=says, runbook=runbook, missing=UNCHANGED)

    def _watch_runs(self, minutes: int) -> None:
        """Watch the scheduled runs of reconcile, over two runs: a single run may be late or fail.

        An alarm may evaluate one day with periods below an hour, and a week with longer ones (API reference,
        PutMetricAlarm); two runs take two days at most. ReconcileMissing has short periods, because CloudWatch
        looks at more periods than the alarm names before it treats one as missing (user guide, "Configuring how
        CloudWatch alarms treat missing data").
        """
        period = Duration.minutes(minutes)
        silence = MINUTE if 2 * minutes * 60 <= DAY else Duration.hours(1)
        self._alarm(
            "ReconcileMissing",
            own_metric(Metric.RECONCILE_RUNS, trigger="schedule").with_(period=silence, statistic="Sum"),
            below=True,
            periods=math.ceil(2 * minutes * 60 / silence.to_seconds()),
            missing=WRONG,
            says="No scheduled run of reconcile has ended for twice its interval.",
            runbook="reconcile-does-not-run",
        )
        self._alarm(
            "ReconcileFailures",
            own_metric(Metric.RECONCILE_FAILURES).with_(period=period, statistic="Maximum"),
            periods=2,
            missing=UNCHANGED,
            says="Two consecutive runs of reconcile could not do all of their work.",
            runbook="failures-of-reconcile",
        )
        self._alarm(
            "WaitsTooLong",
            own_metric(Metric.LONGEST_WAIT).with_(period=_between_tries(minutes), statistic="Maximum"),
            threshold=TOO_LONG,
            missing=UNCHANGED,
            says="A promotion has waited for six hours for something that may never come.",
            runbook="long-waits",
        )
        self._alarm(
            "DriftChecksLate",
            own_metric(Metric.LONGEST_DRIFT_CHECK_INTERVAL).with_(period=LONG, statistic="Maximum"),
            threshold=max(HOUR, 2 * minutes * 60),
            missing=UNCHANGED,
            says="Tags have not been compared with the registry for too long.",
            runbook="late-drift-checks",
        )

    def _alarm(  # noqa: PLR0913 - each difference between alarms by its name
        self,
        construct_id: str,
        metric: cloudwatch.Metric,
        *,
        says: str,
        runbook: str,
        threshold: int = 1,
        periods: int = 1,
        datapoints: int | None = None,
        missing: cloudwatch.TreatMissingData = FINE,
        below: bool = False,
        tell_end: bool = True,
    ) -> None:
        operators = cloudwatch.ComparisonOperator
        alarm = cloudwatch.Alarm(
            self,
            construct_id,
            metric=metric,
            alarm_description=f"{says} What to do: {RUNBOOKS}/{runbook}.md",
            comparison_operator=operators.LESS_THAN_THRESHOLD
            if below
            else operators.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            threshold=threshold,
            evaluation_periods=periods,
            datapoints_to_alarm=datapoints,
            treat_missing_data=missing,
        )
        if self.topic:
            action = actions.SnsAction(self.topic)
            alarm.add_alarm_action(action)
            if tell_end:
                alarm.add_ok_action(action)


def _between_tries(minutes: int) -> Duration:
    """Return a period in which every promotion that waits is tried: its pause, and two runs of reconcile.

    A run reports on the promotions that it tries. One that runs less often than the pause tries all of them.
    """
    pause = LONGEST_PAUSE.total_seconds() / 60
    return Duration.minutes(min(max(60, int(pause) + 2 * minutes), DAY // 60))


def _of_dynamodb(name: str, dimensions: dict[str, str]) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace="AWS/DynamoDB", metric_name=name, dimensions_map=dimensions, period=SHORT, statistic="Sum"
    )
