"""The queue in which events wait for the promoter, and the dead-letter queues."""

from __future__ import annotations

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.nag import acknowledge
from infra.settings import Settings

KEPT = Duration.days(14)  # the longest that SQS keeps a message
# A throttled function may use up a try: AWS recommends at least five (Lambda developer guide, "Using Lambda with
# Amazon SQS").
TRIES = 5


class Queues(Construct):
    """The queue `events`, and four dead-letter queues.

    `failed` has events that the promoter failed to carry out, `undelivered` events that EventBridge could not
    deliver, `unannounced` outcomes that could not be announced, and `runs` failed runs of reconcile.

    Events wait in a queue because ECR serves few PutImage calls a second for the whole account, and a burst of
    events must not exceed that: docs/decisions/0009-events-wait-in-a-queue.md.
    """

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings) -> None:
        super().__init__(scope, construct_id)
        self._concurrency = settings.eventConcurrency
        self.undelivered = self._dead_letters("Undelivered")
        self.failed = self._dead_letters("Failed")
        self.unannounced = self._dead_letters("Unannounced")
        self.runs = self._dead_letters("FailedRuns")
        self.events = self._queue(
            "Events",
            # Six times the function's time-out (the same guide). What the function hands back comes again sooner.
            visibility_timeout=Duration.seconds(6 * settings.timeout),
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.failed, max_receive_count=TRIES),
        )
        for queue in (self.events, self.undelivered):
            self._let_rules_send(queue)

    def _let_rules_send(self, queue: sqs.Queue) -> None:
        """Let the stack's rules send messages, with one statement of the queue's policy.

        CDK would add a statement for each rule, and a queue's policy may have twenty (SQS developer guide, "Amazon
        SQS policy quotas"): see `as_rule_target`.
        """
        stack = Stack.of(self)
        rules = stack.format_arn(service="events", resource="rule", resource_name=f"{stack.stack_name}-*")
        queue.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("events.amazonaws.com")],
                actions=["sqs:SendMessage"],
                resources=[queue.queue_arn],
                conditions={"ArnLike": {"aws:SourceArn": rules}},
            )
        )

    def send_events_to(self, function: lambda_.Function, *, retry_seconds: int) -> None:
        """Invoke the function for each event, with limited concurrency, and let it send to both queues."""
        function.add_event_source(
            sources.SqsEventSource(self.events, batch_size=1, max_concurrency=self._concurrency)
        )
        self.failed.grant_send_messages(function)
        self.events.grant_send_messages(function)  # work that did not fit into one invocation
        for name, value in {
            "PROMOTER_EVENTS_QUEUE": self.events.queue_url,
            "PROMOTER_FAILED_EVENTS_QUEUE": self.failed.queue_url,
            "PROMOTER_EVENT_TRIES": str(TRIES),
            "PROMOTER_EVENT_RETRY_SECONDS": str(retry_seconds),
        }.items():
            function.add_environment(name, value)

    def as_rule_target(self, queue: sqs.IQueue) -> sqs.IQueue:
        """Return a reference to the queue to which CDK adds no further policy statements."""
        return sqs.Queue.from_queue_arn(self, f"{queue.node.id}ForRules", queue.queue_arn)

    def _dead_letters(self, construct_id: str) -> sqs.Queue:
        queue = self._queue(construct_id)
        acknowledge(queue, "AwsSolutions-SQS3", "This queue is itself a dead-letter queue.")
        return queue

    def _queue(
        self,
        construct_id: str,
        *,
        visibility_timeout: Duration | None = None,
        dead_letter_queue: sqs.DeadLetterQueue | None = None,
    ) -> sqs.Queue:
        return sqs.Queue(
            self,
            construct_id,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=KEPT,
            visibility_timeout=visibility_timeout,
            dead_letter_queue=dead_letter_queue,
            removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
        )
