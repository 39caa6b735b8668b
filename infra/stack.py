"""The stack: wires the constructs together and grants what the policy needs, nothing else."""

from __future__ import annotations

from typing import Any

from aws_cdk import CfnOutput, CliCredentialsStackSynthesizer, DefaultStackSynthesizer, Stack
from constructs import Construct

from infra.alarms import Alarms
from infra.api import PromotionApi
from infra.dashboard import Dashboard
from infra.function import PromoterFunction
from infra.policy.file import PolicyFile
from infra.queues import Queues
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
        queues = Queues(self, "Queues", settings=settings)
        memory = PromoterTable(self, "Memory", settings=settings)
        promoter = PromoterFunction(
            self,
            "Promoter",
            policy=policy,
            settings=settings,
            table=memory.table,
        )
        memory.grant(promoter.role)
        memory.announce_by(promoter.function, unannounced=queues.unannounced)
        queues.serve_events_by(promoter.function, retry_seconds=1 if local else 60)
        grant_images(promoter.role, policy)
        undelivered = queues.for_rules(queues.undelivered)
        ScanRules(
            self, "Scans", policy=policy, events_queue=queues.for_rules(queues.events), undelivered=undelivered
        )
        Reconciliation(
            self,
            "Reconciliation",
            function=promoter.function,
            minutes=settings.reconcileMinutes,
            undelivered=undelivered,
        )
        api = PromotionApi(self, "Api", function=promoter.function, settings=settings)

        watched: dict[str, Any] = {
            "function": promoter.function,
            "api": api.http,
            "table": memory.table,
            "events_queue": queues.events,
            "failed": queues.failed,
            "undelivered": queues.undelivered,
            "unannounced": queues.unannounced,
        }
        Alarms(self, "Alarms", **watched, topic_email=settings.alarmEmail)
        Dashboard(self, "Dashboard", **watched)

        CfnOutput(self, "ApiUrl", value=api.url)
        CfnOutput(self, "FunctionName", value=promoter.function.function_name)
        CfnOutput(self, "LogGroup", value=promoter.log_group.log_group_name)
        CfnOutput(self, "TableName", value=memory.table.table_name)
        CfnOutput(self, "EventsQueue", value=queues.events.queue_url)
        CfnOutput(self, "FailedEventsQueue", value=queues.failed.queue_url)
        CfnOutput(self, "UnannouncedQueue", value=queues.unannounced.queue_url)
        CfnOutput(self, "UndeliveredEventsQueue", value=queues.undelivered.queue_url)
