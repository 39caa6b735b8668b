"""What somebody has to look at: alarms, and whom they tell. docs/operations/runbooks says what to do."""

from __future__ import annotations

import math

from aws_cdk import ArnFormat, Duration, Stack
from aws_cdk import aws_apigatewayv2 as api_
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from promoter.aws.dynamodb.table import INDEX
from promoter.domain.model import Outcome, Trigger

NAMESPACE, SERVICE = "EcrPromoter", "ecr-promoter"  # promoter.telemetry's; importing it would start its logger
RUNBOOKS = "docs/operations/runbooks"  # a page for each `heading`
MINUTE, SHORT, LONG = Duration.minutes(1), Duration.minutes(5), Duration.minutes(15)
HOUR, DAY = 3600, 86_400  # seconds

# What an alarm does while its metric has no data.
FINE = cloudwatch.TreatMissingData.NOT_BREACHING  # for what is counted only when it happens
UNCHANGED = cloudwatch.TreatMissingData.IGNORE  # for what is measured now and then, and holds in between
WRONG = cloudwatch.TreatMissingData.BREACHING  # for what has to be there


def own_metric(name: str, **dimensions: str) -> cloudwatch.Metric:
    """Return a metric that the functions emit."""
    return cloudwatch.Metric(
        namespace=NAMESPACE, metric_name=name, dimensions_map={"service": SERVICE, **dimensions}
    )


class Alarms(Construct):
    """An alarm for everything that does not recover by itself, or has to too often.

    `topic` is the SNS topic that alarms notify, None without an e-mail address. Descriptions name their
    page of the runbooks. No alarm uses metric math, which the local AWS lacks.
    """

    def __init__(  # noqa: PLR0913 - what is watched, each by its name
        self,
        scope: Construct,
        construct_id: str,
        *,
        function: lambda_.Function,
        reconciler: lambda_.IFunction,
        announcer: lambda_.IFunction,
        api: api_.IHttpApi,
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
        self.topic = self._topic(topic_email) if topic_email else None
        self._watch_dead_letters(failed, undelivered, unannounced, runs)
        self._watch_events(events_queue)
        self._watch_function(function)
        self._watch_throttles(Throttles=function, ReconcilerThrottles=reconciler, AnnouncerThrottles=announcer)
        self._watch_announcer(announcer)
        self._watch_api(api)
        self._watch_table(table)
        self._watch_failures()
        self._watch_reconcile()
        self._watch_runs(minutes)

    def _watch_dead_letters(
        self, failed: sqs.IQueue, undelivered: sqs.IQueue, unannounced: sqs.IQueue, runs: sqs.IQueue
    ) -> None:
        """Watch the queues, by two alarms each: one lasts while messages are there, one notifies of new ones.

        SQS stops reporting on a queue that nobody uses for hours, so that missing data leaves the first alarm as
        it is. It does not notify of further messages, since actions are taken when the state changes (CloudWatch
        user guide, "Using Amazon CloudWatch alarms"). The second one ends after a minute without new messages.
        What SQS itself moves to `failed`, after time-outs, is not counted as sent (SQS developer guide, "Using
        dead-letter queues in Amazon SQS"): then the alarm Errors notifies.
        """
        for construct_id, queue, says, heading in (
            ("FailedEvents", failed, "The function failed on an event for good.", "failed-events"),
            ("UndeliveredEvents", undelivered, "EventBridge gave up on an event.", "undelivered-events"),
            ("Unannounced", unannounced, "Outcomes could not be announced.", "unsent-announcements"),
            ("FailedRuns", runs, "A run of reconcile failed.", "failed-runs"),
        ):
            metric = queue.metric_approximate_number_of_messages_visible(period=SHORT, statistic="Maximum")
            self._alarm(construct_id, metric, says=says, heading=heading, missing=UNCHANGED)
            sent = queue.metric_number_of_messages_sent(period=MINUTE, statistic="Sum")
            self._alarm(f"New{construct_id}", sent, says=says, heading=heading, tell_end=False)

    def _watch_events(self, events_queue: sqs.IQueue) -> None:
        """Watch what waits: a burst does for minutes, and longer if the function fails or is turned away."""
        self._alarm(
            "EventsLate",
            events_queue.metric_approximate_age_of_oldest_message(period=SHORT, statistic="Maximum"),
            threshold=int(LONG.to_seconds()),
            says="An event has been waiting for a quarter of an hour.",
            heading="late-events",
        )

    def _watch_function(self, function: lambda_.Function) -> None:
        if function.timeout is None:
            raise ValueError("the function has no time-out to hold its duration against")
        self._alarm(
            "Errors",
            function.metric_errors(period=LONG),
            threshold=4,  # the tries of one event; one error is retried, and is no news if that helps
            says="The function fails, and retries do not help.",
            heading="function-errors",
        )
        self._alarm(
            "Slow",
            function.metric_duration(period=SHORT, statistic="Maximum"),
            threshold=int(function.timeout.to_milliseconds()) * 9 // 10,
            periods=12,
            datapoints=2,  # twice in an hour: one slow answer of ECR is nothing to act on
            says="Invocations take nearly as long as the time-out, which would cut them off.",
            heading="slow-function",
        )

    def _watch_throttles(self, **functions: lambda_.IFunction) -> None:
        for construct_id, function in functions.items():
            self._alarm(
                construct_id,
                function.metric_throttles(period=SHORT),
                periods=3,  # Lambda retries events itself: only throttling that lasts delays anything
                says="Lambda has been turning calls of the function away for a quarter of an hour.",
                heading="function-throttles",
            )

    def _watch_announcer(self, announcer: lambda_.IFunction) -> None:
        """Watch the wait only: whatever is wrong with the announcer, its announcements wait."""
        self._alarm(
            "AnnouncementsLate",
            announcer.metric("IteratorAge", period=SHORT, statistic="Maximum"),
            threshold=int(LONG.to_milliseconds()),
            says="Outcomes have been waiting to be announced for a quarter of an hour.",
            heading="late-announcements",
        )

    def _watch_api(self, api: api_.IHttpApi) -> None:
        self._alarm(
            "ServerErrors",
            api.metric_server_error(period=LONG, statistic="Sum"),
            threshold=3,  # a caller retries one
            says="The API answered 5xx three times in a quarter of an hour.",
            heading="api-server-errors",
        )

    def _watch_table(self, table: dynamodb.ITableV2) -> None:
        """Watch what DynamoDB does not do.

        The index has throttle events of its own, which the table's leave out. System errors have a metric for
        each operation: promotions are transactions.
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
                periods=2,  # the SDK rides out a peak
                says="DynamoDB has been throttling the table for ten minutes.",
                heading="table-throttles",
            )
        self._alarm(
            "TableErrors",
            _of_dynamodb("SystemErrors", {**name, "Operation": "TransactWriteItems"}),
            periods=2,
            says="DynamoDB has been failing the promotions' transactions for ten minutes.",
            heading="table-errors",
        )

    def _watch_failures(self) -> None:
        """Watch failures. Nobody else tells of a scan's promotion; who sent a request was answered."""
        for trigger, period, threshold in ((Trigger.SCAN, SHORT, 1), (Trigger.REQUEST, LONG, 5)):
            metric = own_metric("Promotions", trigger=trigger, outcome=Outcome.FAILED)
            self._alarm(
                f"Failed{trigger.capitalize()}s",
                metric.with_(period=period, statistic="Sum"),
                threshold=threshold,
                says=f"Promotions asked for by a {trigger} failed.",
                heading="failed-promotions",
            )

    def _watch_reconcile(self) -> None:
        """Watch what reconcile finds: the alarm lasts until a later run finds nothing."""
        for name, says, heading in (
            ("StaleIntents", "Promotions broke off in the middle and had to be settled.", "stale-intents"),
            ("Drift", "A tag is not where this service put it: somebody else moved it.", "drift"),
        ):
            metric = own_metric(name).with_(period=LONG, statistic="Maximum")
            self._alarm(name, metric, says=says, heading=heading, missing=UNCHANGED)

    def _watch_runs(self, minutes: int) -> None:
        """Watch the runs of reconcile on schedule, over two of them: one may be late, or have bad luck.

        CloudWatch takes a day for periods below an hour, and a week for longer ones (API reference,
        PutMetricAlarm): two runs are two days at most. Silence counts in short periods: before CloudWatch takes
        any for missing, it looks at some more than an alarm names (user guide, "Configuring how CloudWatch alarms
        treat missing data").
        """
        period = Duration.minutes(minutes)
        silence = MINUTE if 2 * minutes * 60 <= DAY else Duration.hours(1)
        self._alarm(
            "ReconcileMissing",
            own_metric("ReconcileRuns", trigger="schedule").with_(period=silence, statistic="Sum"),
            below=True,
            periods=math.ceil(2 * minutes * 60 / silence.to_seconds()),
            missing=WRONG,
            says="No run of reconcile on schedule has ended for twice its interval.",
            heading="reconcile-does-not-run",
        )
        self._alarm(
            "ReconcileFailures",
            own_metric("ReconcileFailures").with_(period=period, statistic="Maximum"),
            periods=2,
            missing=UNCHANGED,
            says="Two runs of reconcile after each other could not do all of their work.",
            heading="failures-of-reconcile",
        )
        self._alarm(
            "DriftChecksLate",
            own_metric("LongestDriftCheckInterval").with_(period=LONG, statistic="Maximum"),
            threshold=max(HOUR, 2 * minutes * 60),
            missing=UNCHANGED,
            says="Tags that move were not compared with the registry for too long.",
            heading="late-drift-checks",
        )

    def _alarm(  # noqa: PLR0913 - what alarms differ in, each by its name
        self,
        construct_id: str,
        metric: cloudwatch.Metric,
        *,
        says: str,
        heading: str,
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
            alarm_description=f"{says} What to do: {RUNBOOKS}/{heading}.md",
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

    def _topic(self, email: str) -> sns.Topic:
        """Return a topic that only this account's alarms publish to, with one reader.

        A topic with a policy of its own, which TLS takes, has lost the one that lets the account's alarms in. It
        is not encrypted at rest: alarms cannot use the key that AWS manages, a key of our own costs a dollar a
        month, and what is said is in the mail anyway.
        """
        topic = sns.Topic(self, "Topic", display_name="ecr-promoter alarms", enforce_ssl=True)
        topic.add_subscription(subscriptions.EmailSubscription(email))
        stack = Stack.of(self)
        alarms = stack.format_arn(
            service="cloudwatch", resource="alarm", resource_name="*", arn_format=ArnFormat.COLON_RESOURCE_NAME
        )
        topic.grant_publish(
            iam.ServicePrincipal(
                "cloudwatch.amazonaws.com",
                conditions={
                    "StringEquals": {"aws:SourceAccount": stack.account},
                    "ArnLike": {"aws:SourceArn": alarms},
                },
            )
        )
        return topic


def _of_dynamodb(name: str, dimensions: dict[str, str]) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace="AWS/DynamoDB", metric_name=name, dimensions_map=dimensions, period=SHORT, statistic="Sum"
    )
