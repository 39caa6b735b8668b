"""The schedule of reconcile, which recovers interrupted promotions, tries waiting ones and looks for drift."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_destinations as destinations
from aws_cdk import aws_sqs as sqs
from constructs import Construct

TIMEOUT = 15 * 60  # seconds, the longest that Lambda allows
SPARE = 60  # seconds between the end of a run and the next run, or the time-out
SHORT_PATIENCE_SECONDS = 3  # the next run retries a promotion that has to wait for longer
LATEST = 6 * 60  # minutes that Lambda keeps an event at most (API reference, PutFunctionEventInvokeConfig)


def run_environment(minutes: int) -> dict[str, str]:
    """Return the environment variables with which each run ends before the next one begins."""
    return {
        "PROMOTER_RECONCILE_SECONDS": str(min(TIMEOUT, minutes * 60) - SPARE),
        "PROMOTER_PATIENCE_SECONDS": str(SHORT_PATIENCE_SECONDS),
    }


class Reconciliation(Construct):
    """Runs `reconcile` every `minutes`. A run that fails is sent to the queue `failed` and not retried."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        function: lambda_.Function,
        minutes: int,
        undelivered: sqs.IQueue,
        failed: sqs.IQueue,
    ) -> None:
        super().__init__(scope, construct_id)
        # The next run does the work of one that failed or is late.
        function.configure_async_invoke(
            retry_attempts=0,
            max_event_age=Duration.minutes(min(minutes, LATEST)),
            on_failure=destinations.SqsDestination(failed),
        )
        target = targets.LambdaFunction(
            function,
            event=events.RuleTargetInput.from_object({"reconcile": True}),
            dead_letter_queue=undelivered,
            max_event_age=Duration.minutes(minutes),
            retry_attempts=2,
        )
        events.Rule(self, "Rule", schedule=events.Schedule.rate(Duration.minutes(minutes)), targets=[target])
