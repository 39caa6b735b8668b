"""The stack: wires the constructs together and grants what the policy needs, nothing else."""

from __future__ import annotations

from typing import Any

from aws_cdk import CfnOutput, CliCredentialsStackSynthesizer, DefaultStackSynthesizer, Stack
from constructs import Construct

from infra.alarms import Alarms
from infra.api import PromotionApi
from infra.dashboard import Dashboard
from infra.dead_letters import DeadLetters
from infra.function import PromoterFunction
from infra.policy.file import PolicyFile
from infra.rights import grant_images
from infra.scan_rules import ScanRules
from infra.schedule import Reconciliation
from infra.settings import Settings
from infra.table import PromoterTable


class PromoterStack(Stack):
    """One function between EventBridge, an HTTP API and Amazon ECR."""

    def __init__(
        self, scope: Construct, construct_id: str, *, policy: PolicyFile, settings: Settings, **kwargs: Any
    ) -> None:
        # The local AWS enforces IAM, and there the bootstrap's publishing role cannot read its own bucket.
        local = settings.stage == "local"
        synthesizer = CliCredentialsStackSynthesizer() if local else DefaultStackSynthesizer()
        super().__init__(
            scope,
            construct_id,
            synthesizer=synthesizer,
            description="Promotes container images in Amazon ECR under a policy",
            **kwargs,
        )
        dead_letters = DeadLetters(self, "DeadLetters")
        memory = PromoterTable(self, "Memory", settings=settings)
        promoter = PromoterFunction(
            self,
            "Promoter",
            policy=policy,
            settings=settings,
            table=memory.table,
            failed_events=dead_letters.failed,
        )
        memory.grant(promoter.role)
        memory.announce_by(promoter.function, unannounced=dead_letters.unannounced)
        grant_images(promoter.role, policy)
        ScanRules(self, "Scans", policy=policy, function=promoter.function, undelivered=dead_letters.undelivered)
        Reconciliation(
            self,
            "Reconciliation",
            function=promoter.function,
            minutes=settings.reconcileMinutes,
            undelivered=dead_letters.undelivered,
        )
        api = PromotionApi(self, "Api", function=promoter.function, settings=settings)

        watched: dict[str, Any] = {
            "function": promoter.function,
            "api": api.http,
            "table": memory.table,
            "failed": dead_letters.failed,
            "undelivered": dead_letters.undelivered,
            "unannounced": dead_letters.unannounced,
        }
        Alarms(self, "Alarms", **watched, topic_email=settings.alarmEmail)
        Dashboard(self, "Dashboard", **watched)

        CfnOutput(self, "ApiUrl", value=api.url)
        CfnOutput(self, "FunctionName", value=promoter.function.function_name)
        CfnOutput(self, "LogGroup", value=promoter.log_group.log_group_name)
        CfnOutput(self, "TableName", value=memory.table.table_name)
        CfnOutput(self, "FailedEventsQueue", value=dead_letters.failed.queue_url)
        CfnOutput(self, "UnannouncedQueue", value=dead_letters.unannounced.queue_url)
        CfnOutput(self, "UndeliveredEventsQueue", value=dead_letters.undelivered.queue_url)
