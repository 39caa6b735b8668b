"""The function's table: what it remembers between invocations."""

from __future__ import annotations

from aws_cdk import RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.settings import Settings

# Only what the code calls; docs/ledger.md has the items.
RIGHTS = ["dynamodb:BatchWriteItem", "dynamodb:Query"]


class PromoterTable(Construct):
    """One on-demand table, encrypted, recoverable to any second of 35 days, and kept when the stack is deleted."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings) -> None:
        super().__init__(scope, construct_id)
        local = settings.stage == "local"
        self.table = dynamodb.TableV2(
            self,
            "Table",
            partition_key=dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="sk", type=dynamodb.AttributeType.STRING),
            billing=dynamodb.Billing.on_demand(),
            time_to_live_attribute="expires",
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=not local,
            removal_policy=RemovalPolicy.DESTROY if local else RemovalPolicy.RETAIN,
        )

    def grant(self, role: iam.IGrantable) -> None:
        """Give the role what the function does with the table."""
        self.table.grant(role, *RIGHTS)
