"""The schedule on which the function puts right what events and crashes left behind."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct


class Reconciliation(Construct):
    """Runs `reconcile` every so many minutes."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        function: lambda_.IFunction,
        minutes: int,
        undelivered: sqs.IQueue,
    ) -> None:
        super().__init__(scope, construct_id)
        # The next run does what this one could not: a run that is late is not worth waiting for.
        target = targets.LambdaFunction(
            function,
            event=events.RuleTargetInput.from_object({"reconcile": True}),
            dead_letter_queue=undelivered,
            max_event_age=Duration.minutes(minutes),
            retry_attempts=2,
        )
        events.Rule(self, "Rule", schedule=events.Schedule.rate(Duration.minutes(minutes)), targets=[target])
