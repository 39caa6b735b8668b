"""The functions' table: what they remember between invocations. docs/reference/ledger.md has the items."""

from __future__ import annotations

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.settings import Settings
from promoter.aws.dynamodb.table import INDEX
from promoter.domain.model import Outcome
from promoter.domain.names import SERVICE

# Only the actions that the code calls. A transaction needs the rights of its parts (DynamoDB developer guide, "IAM
# and transactions").
RIGHTS = [
    "dynamodb:BatchGetItem",
    "dynamodb:BatchWriteItem",
    "dynamodb:ConditionCheckItem",
    "dynamodb:DeleteItem",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:Query",
    "dynamodb:UpdateItem",
]
# Records only: rows of histories have outcomes too. A record that waits changes at every try; only the change with
# which a request is accepted has the attribute `accepted`.
EXISTS, RECORD = lambda_.FilterRule.exists(), {"sk": {"S": lambda_.FilterRule.is_equal("record")}}
ENDED = {"NewImage": {**RECORD, "outcome": {"S": lambda_.FilterRule.not_equals(Outcome.WAITING)}}}
ACCEPTED = {
    "NewImage": {
        **RECORD,
        "outcome": {"S": lambda_.FilterRule.is_equal(Outcome.WAITING)},
        "accepted": {"S": EXISTS},
    }
}
DRIFTED = {"NewImage": {"drift": {"S": EXISTS}}}

# Retries of a batch of the stream. They last more than an hour if each ends with a time-out.
RETRIES = 200


class PromoterTable(Construct):
    """One encrypted on-demand table, recoverable to any second of 35 days, which outlives the stack."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings) -> None:
        super().__init__(scope, construct_id)
        local = settings.stage == "local"
        self.table = dynamodb.TableV2(
            self,
            "Table",
            partition_key=_text("pk"),
            sort_key=_text("sk"),
            global_secondary_indexes=[
                dynamodb.GlobalSecondaryIndexPropsV2(
                    index_name=INDEX, partition_key=_text("listing"), sort_key=_text("listedAt")
                )
            ],
            billing=dynamodb.Billing.on_demand(),
            dynamo_stream=dynamodb.StreamViewType.NEW_AND_OLD_IMAGES,
            time_to_live_attribute="expires",
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=not local,
            removal_policy=RemovalPolicy.DESTROY if local else RemovalPolicy.RETAIN,
        )

    def grant(self, role: iam.IRole) -> None:
        """Grant the role the actions of promoter and reconciler on the table and its index."""
        arns = [self.table.table_arn, f"{self.table.table_arn}/index/{INDEX}"]
        role.add_to_principal_policy(iam.PolicyStatement(actions=RIGHTS, resources=arns))

    def stream_to(self, function: lambda_.Function, *, unannounced: sqs.IQueue) -> None:
        """Invoke the function for outcomes, accepted requests and drift.

        It sends to `unannounced` what it cannot announce. If the function cannot do that either, Lambda itself
        sends the batch to the queue, after RETRIES or 20 hours. The limit is below the 24 hours of the stream,
        after which records are lost without a trace.
        """
        function.add_event_source(
            sources.DynamoEventSource(
                self.table,
                starting_position=lambda_.StartingPosition.TRIM_HORIZON,
                batch_size=25,
                bisect_batch_on_error=True,  # isolates the record that fails; does not count as a retry
                retry_attempts=RETRIES,
                max_record_age=Duration.hours(20),
                on_failure=sources.SqsDlq(unannounced),
                filters=[
                    lambda_.FilterCriteria.filter({"dynamodb": changed}) for changed in (ENDED, ACCEPTED, DRIFTED)
                ],
            )
        )
        function.add_environment("PROMOTER_UNANNOUNCED_QUEUE", unannounced.queue_url)
        bus = Stack.of(self).format_arn(service="events", resource="event-bus", resource_name="default")
        function.add_to_role_policy(
            iam.PolicyStatement(
                actions=["events:PutEvents"],
                resources=[bus],
                conditions={"ForAllValues:StringEquals": {"events:source": SERVICE}},
            )
        )


def _text(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)
