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

# Only what the code calls; a transaction needs the rights of its parts (DynamoDB developer guide, "IAM and
# transactions").
RIGHTS = [
    "dynamodb:BatchGetItem",
    "dynamodb:BatchWriteItem",
    "dynamodb:DeleteItem",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:Query",
    "dynamodb:UpdateItem",
]
# Not the histories, which have outcomes too.
ENDED = {"NewImage": {"sk": {"S": ["record"]}, "outcome": {"S": lambda_.FilterRule.exists()}}}
DRIFTED = {"NewImage": {"drift": {"S": lambda_.FilterRule.exists()}}}

# Of a batch of the stream, beside the first: more than an hour, where each ends with a time-out.
TRIES = 200


class PromoterTable(Construct):
    """One on-demand table, encrypted, recoverable to any second of 35 days, and kept when the stack is deleted."""

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
        """Give the role what promoter and reconciler do with the table and its index."""
        arns = [self.table.table_arn, f"{self.table.table_arn}/index/{INDEX}"]
        role.add_to_principal_policy(iam.PolicyStatement(actions=RIGHTS, resources=arns))

    def announce_by(self, function: lambda_.Function, *, unannounced: sqs.IQueue) -> None:
        """Have the function announce what ends in the table, and put aside in the queue what it cannot announce.

        Lambda itself gives up only where the function cannot even do that: after TRIES, or 20 hours. The stream
        forgets after 24: what is given up then would be given up without a trace.
        """
        function.add_event_source(
            sources.DynamoEventSource(
                self.table,
                starting_position=lambda_.StartingPosition.TRIM_HORIZON,
                batch_size=25,
                bisect_batch_on_error=True,  # finds the record that ends the function, and is no try by itself
                retry_attempts=TRIES,
                max_record_age=Duration.hours(20),
                on_failure=sources.SqsDlq(unannounced),
                filters=[
                    lambda_.FilterCriteria.filter({"dynamodb": ENDED}),
                    lambda_.FilterCriteria.filter({"dynamodb": DRIFTED}),
                ],
            )
        )
        function.add_environment("PROMOTER_UNANNOUNCED_QUEUE", unannounced.queue_url)
        bus = Stack.of(self).format_arn(service="events", resource="event-bus", resource_name="default")
        function.add_to_role_policy(
            iam.PolicyStatement(
                actions=["events:PutEvents"],
                resources=[bus],
                conditions={"ForAllValues:StringEquals": {"events:source": "ecr-promoter"}},
            )
        )


def _text(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)
