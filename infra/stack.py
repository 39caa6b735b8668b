"""The stack: connects the constructs and grants the rights that the policy needs, and no others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws_cdk import CfnOutput, CliCredentialsStackSynthesizer, DefaultStackSynthesizer, Stack
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra import schedule
from infra.alarms import Alarms
from infra.api import PromotionApi, for_signatures, for_tokens
from infra.dashboard import Dashboard
from infra.function import PromoterFunction, promotion_environment
from infra.policy.file import PolicyFile
from infra.queues import Queues
from infra.rights import grant_images
from infra.scan_rules import ScanRules
from infra.settings import Settings
from infra.table import PromoterTable

# A batch of the stream needs three PutEvents calls. The function waits for them, so a slow processor is enough.
ANNOUNCER_TIMEOUT, ANNOUNCER_MEMORY = 60, 256  # seconds, MB


class PromoterStack(Stack):
    """Three functions that promote, reconcile and announce, with their table, queues, APIs, rules and alarms."""

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
        self._policy, self._settings = policy, settings
        queues = Queues(self, "Queues", settings=settings)
        ledger = PromoterTable(self, "Ledger", settings=settings)
        environment = promotion_environment(self, settings, ledger.table)
        promoter, reconciler = self._promoter(environment), self._reconciler(environment)
        announcer = self._announcer()
        for each in (promoter, reconciler):
            ledger.grant(each.role)
            grant_images(each.role, policy)
        ledger.stream_to(announcer.function, unannounced=queues.unannounced)
        queues.send_events_to(promoter.function, retry_seconds=1 if local else 60)
        self._add_rules(queues, reconciler.function)
        apis = self._apis(promoter.function, reconciler.function)
        watched: dict[str, Any] = {
            "function": promoter.function,
            "reconciler": reconciler.function,
            "announcer": announcer.function,
            "apis": {name: each.http for name, each in apis.items()},
            "table": ledger.table,
            "events_queue": queues.events,
            "failed": queues.failed,
            "undelivered": queues.undelivered,
            "unannounced": queues.unannounced,
            "runs": queues.runs,
        }
        Alarms(self, "Alarms", **watched, minutes=settings.reconcileMinutes, topic_email=settings.alarmEmail)
        Dashboard(self, "Dashboard", **watched)
        self._add_outputs(
            **{f"{name}Url": each.url for name, each in apis.items()},
            FunctionName=promoter.function.function_name,
            LogGroup=promoter.log_group.log_group_name,
            ReconcilerFunctionName=reconciler.function.function_name,
            ReconcilerLogGroup=reconciler.log_group.log_group_name,
            AnnouncerFunctionName=announcer.function.function_name,
            AnnouncerLogGroup=announcer.log_group.log_group_name,
            TableName=ledger.table.table_name,
            EventsQueue=queues.events.queue_url,
            FailedEventsQueue=queues.failed.queue_url,
            UnannouncedQueue=queues.unannounced.queue_url,
            UndeliveredEventsQueue=queues.undelivered.queue_url,
            FailedRunsQueue=queues.runs.queue_url,
        )

    def _apis(self, promoter: lambda_.Function, reconciler: lambda_.Function) -> dict[str, PromotionApi]:
        """Return the HTTP APIs by name: the one for signatures, and with `authorization: jwt` one for tokens."""
        kinds = {"Api": (for_signatures(), "ecr-promoter, for requests signed with SigV4")}
        if self._settings.authorization == "jwt":
            kinds["TokenApi"] = (for_tokens(self._settings), "ecr-promoter, for requests with a token")
        return {
            name: PromotionApi(
                self,
                name,
                function=promoter,
                reconciler=reconciler,
                authorizer=authorizer,
                description=description,
                settings=self._settings,
            )
            for name, (authorizer, description) in kinds.items()
        }

    def _promoter(self, environment: Mapping[str, str]) -> PromoterFunction:
        return PromoterFunction(
            self,
            "Promoter",
            policy=self._policy,
            settings=self._settings,
            handler="lambda_handler",
            description="Promotes container images in Amazon ECR",
            timeout=self._settings.timeout,
            memory=self._settings.memory,
            concurrency=self._settings.concurrency,
            calls_itself=True,  # it sends unfinished work back to its queue; each message has less left
            environment=environment,
        )

    def _reconciler(self, environment: Mapping[str, str]) -> PromoterFunction:
        return PromoterFunction(
            self,
            "Reconciler",
            policy=self._policy,
            settings=self._settings,
            handler="reconcile_handler",
            description="Recovers interrupted promotions, tries waiting ones, and looks for drift",
            timeout=schedule.TIMEOUT,
            memory=self._settings.memory,
            environment={**environment, **schedule.run_environment(self._settings.reconcileMinutes)},
        )

    def _announcer(self) -> PromoterFunction:
        return PromoterFunction(
            self,
            "Announcer",
            policy=self._policy,
            settings=self._settings,
            handler="announce_handler",
            description="Sends the outcomes of promotions, and drift, to EventBridge",
            timeout=ANNOUNCER_TIMEOUT,
            memory=ANNOUNCER_MEMORY,
            environment={},
        )

    def _add_rules(self, queues: Queues, reconciler: lambda_.Function) -> None:
        undelivered, events_queue = (queues.as_rule_target(each) for each in (queues.undelivered, queues.events))
        ScanRules(self, "Scans", policy=self._policy, events_queue=events_queue, undelivered=undelivered)
        schedule.Reconciliation(
            self,
            "Reconciliation",
            function=reconciler,
            minutes=self._settings.reconcileMinutes,
            undelivered=undelivered,
            failed=queues.runs,
        )

    def _add_outputs(self, **values: str) -> None:
        for name, value in values.items():
            CfnOutput(self, name, value=value)
