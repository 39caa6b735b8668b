"""The stack: connects the constructs and grants the rights that the policy needs, and no others."""

from __future__ import annotations

from typing import Any

from aws_cdk import CfnOutput, CliCredentialsStackSynthesizer, DefaultStackSynthesizer, Stack
from constructs import Construct

from infra import schedule
from infra.alarms import Alarms
from infra.api import PromotionApi
from infra.dashboard import Dashboard
from infra.function import PromoterFunction, of_promotions
from infra.policy.file import PolicyFile
from infra.queues import Queues
from infra.rights import grant_images
from infra.scan_rules import ScanRules
from infra.settings import Settings
from infra.table import PromoterTable

# A batch of the stream needs three PutEvents calls. The function waits for them, so a slow processor is enough.
ANNOUNCER_TIMEOUT, ANNOUNCER_MEMORY = 60, 256  # seconds, MB


class PromoterStack(Stack):
    """Three functions that promote, reconcile and announce, with their table, queues, API, rules and alarms."""

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
        ledger = PromoterTable(self, "Ledger", settings=settings)
        of_ledger = of_promotions(self, settings, ledger.table)
        promoter = PromoterFunction(
            self,
            "Promoter",
            policy=policy,
            settings=settings,
            handler="lambda_handler",
            description="Promotes container images in Amazon ECR",
            timeout=settings.timeout,
            memory=settings.memory,
            concurrency=settings.concurrency,
            calls_itself=True,  # it sends unfinished work back to its queue; each message has less left
            environment=of_ledger,
        )
        reconciler = PromoterFunction(
            self,
            "Reconciler",
            policy=policy,
            settings=settings,
            handler="reconcile_handler",
            description="Recovers interrupted promotions, retries deferred ones, and looks for drift",
            timeout=schedule.TIMEOUT,
            memory=settings.memory,
            environment=of_ledger | schedule.of_runs(settings.reconcileMinutes),
        )
        announcer = PromoterFunction(
            self,
            "Announcer",
            policy=policy,
            settings=settings,
            handler="announce_handler",
            description="Sends the outcomes of promotions, and drift, to EventBridge",
            timeout=ANNOUNCER_TIMEOUT,
            memory=ANNOUNCER_MEMORY,
            environment={},
        )
        for each in (promoter, reconciler):
            ledger.grant(each.role)
            grant_images(each.role, policy)
        ledger.announce_by(announcer.function, unannounced=queues.unannounced)
        queues.serve_events_by(promoter.function, retry_seconds=1 if local else 60)
        undelivered = queues.for_rules(queues.undelivered)
        ScanRules(
            self, "Scans", policy=policy, events_queue=queues.for_rules(queues.events), undelivered=undelivered
        )
        schedule.Reconciliation(
            self,
            "Reconciliation",
            function=reconciler.function,
            minutes=settings.reconcileMinutes,
            undelivered=undelivered,
            failed=queues.runs,
        )
        api = PromotionApi(
            self, "Api", function=promoter.function, reconciler=reconciler.function, settings=settings
        )

        watched: dict[str, Any] = {
            "function": promoter.function,
            "reconciler": reconciler.function,
            "announcer": announcer.function,
            "api": api.http,
            "table": ledger.table,
            "events_queue": queues.events,
            "failed": queues.failed,
            "undelivered": queues.undelivered,
            "unannounced": queues.unannounced,
            "runs": queues.runs,
        }
        Alarms(self, "Alarms", **watched, minutes=settings.reconcileMinutes, topic_email=settings.alarmEmail)
        Dashboard(self, "Dashboard", **watched)

        CfnOutput(self, "ApiUrl", value=api.url)
        CfnOutput(self, "FunctionName", value=promoter.function.function_name)
        CfnOutput(self, "LogGroup", value=promoter.log_group.log_group_name)
        CfnOutput(self, "ReconcilerFunctionName", value=reconciler.function.function_name)
        CfnOutput(self, "ReconcilerLogGroup", value=reconciler.log_group.log_group_name)
        CfnOutput(self, "AnnouncerFunctionName", value=announcer.function.function_name)
        CfnOutput(self, "AnnouncerLogGroup", value=announcer.log_group.log_group_name)
        CfnOutput(self, "TableName", value=ledger.table.table_name)
        CfnOutput(self, "EventsQueue", value=queues.events.queue_url)
        CfnOutput(self, "FailedEventsQueue", value=queues.failed.queue_url)
        CfnOutput(self, "UnannouncedQueue", value=queues.unannounced.queue_url)
        CfnOutput(self, "UndeliveredEventsQueue", value=queues.undelivered.queue_url)
        CfnOutput(self, "FailedRunsQueue", value=queues.runs.queue_url)
