"""The functions and their roles."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.bundling import bundle
from infra.nag import acknowledge
from infra.policy.file import PolicyFile
from infra.settings import RETENTION, Settings
from promoter.domain.limits import LONGEST_CALL_SECONDS

# Seconds that a lease outlasts an invocation of the promoter: a PutImage call with all its tries, and five more.
# A late PutImage then never overwrites the tag of the promotion that leases it next.
LEASE_MARGIN = LONGEST_CALL_SECONDS + 5


class PromoterFunction(Construct):
    """A Lambda function of the service, its log and its role. The functions share the code, not the handler."""

    def __init__(  # noqa: PLR0913 - each difference between the functions by its name
        self,
        scope: Construct,
        construct_id: str,
        *,
        policy: PolicyFile,
        settings: Settings,
        handler: str,
        description: str,
        timeout: int,
        memory: int,
        environment: Mapping[str, str],
        concurrency: int | None = None,
        calls_itself: bool = False,
    ) -> None:
        super().__init__(scope, construct_id)
        arch = architecture(settings)
        self.log_group = log_group(self, "Log", settings)
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        self.log_group.grant_write(self.role)
        self.function = lambda_.Function(
            self,
            "Function",
            description=description,
            runtime=runtime(),
            architecture=arch,
            handler=f"promoter.handler.{handler}",
            code=bundle(policy, architecture=arch),
            role=self.role,
            memory_size=memory,
            timeout=Duration.seconds(timeout),
            reserved_concurrent_executions=concurrency,
            environment={**environment, "POWERTOOLS_LOG_LEVEL": settings.logLevel},
            log_group=self.log_group,
            tracing=lambda_.Tracing.ACTIVE,
            # Lambda stops a loop after 16 invocations (developer guide, "Use Lambda recursive loop detection").
            recursive_loop=lambda_.RecursiveLoop.ALLOW if calls_itself else None,
        )
        acknowledge(
            self.role,
            "AwsSolutions-IAM5[Resource::*]",
            "xray:PutTraceSegments, xray:PutTelemetryRecords, inspector2:ListFindings and inspector2:ListCoverage "
            "do not support resources (Service Authorization Reference); nothing else is granted on *.",
        )
        acknowledge(
            self.function,
            "AwsSolutions-L1",
            "The runtime is the Python that deploys: docs/decisions/0001-python-runtime-of-the-deployer.md.",
        )


def promotion_environment(scope: Construct, settings: Settings, table: dynamodb.ITableV2) -> dict[str, str]:
    """Return the environment variables of a function that carries out promotions."""
    return {
        "PROMOTER_REGISTRY_ID": Stack.of(scope).account,
        "PROMOTER_TABLE": table.table_name,
        "PROMOTER_LEASE_SECONDS": str(settings.timeout + LEASE_MARGIN),
        "PROMOTER_HISTORY_DAYS": str(settings.historyDays),
        "PROMOTER_OPERATORS": json.dumps(settings.operators),
    }


def log_group(scope: Construct, construct_id: str, settings: Settings) -> logs.LogGroup:
    """Return a log group. Logs are audit records: they outlive the stack, until they expire."""
    local = settings.stage == "local"
    return logs.LogGroup(
        scope,
        construct_id,
        retention=RETENTION[settings.logRetentionDays],
        removal_policy=RemovalPolicy.DESTROY if local else RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    )


def runtime() -> lambda_.Runtime:
    """Return the runtime of the Python that deploys, because the tests ran on that version."""
    return lambda_.Runtime(f"python{sys.version_info[0]}.{sys.version_info[1]}", lambda_.RuntimeFamily.PYTHON)


def architecture(settings: Settings) -> lambda_.Architecture:
    """Return arm64, which is cheaper; the local AWS runs functions on this machine's processor."""
    local_intel = settings.stage == "local" and platform.machine() in ("x86_64", "AMD64")
    return lambda_.Architecture.X86_64 if local_intel else lambda_.Architecture.ARM_64
