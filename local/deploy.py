"""Deploys the real stack with the real CDK command line to the local AWS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from local.aws import LocalAws

PROJECT = Path(__file__).parents[1]
CDK = PROJECT / "node_modules" / ".bin" / "cdk"
STACK = "EcrPromoter"


class DeployError(Exception):
    """The CDK command line failed; the text holds what it printed."""


def deploy(aws: LocalAws, directory: Path, policy: Path, *, tell: Callable[[str], None] = print) -> dict[str, str]:
    """Bootstrap and deploy; return the variables that lead to the stack. Raises DeployError.

    All that CDK writes goes into `directory`, so that two deployments do not meet.
    """
    environment = environment_for(aws)
    directory = directory.resolve()
    tell("   cdk bootstrap")
    # Not in the project: beside a cdk.json, bootstrap would synthesize the app first, with another policy.
    run(["bootstrap", f"aws://{aws.account_id}/{aws.region}"], environment, directory, cwd=directory)
    tell("   cdk deploy")
    outputs = directory / "outputs.json"
    options = ["--require-approval", "never", "--outputs-file", str(outputs)]
    run(
        ["deploy", STACK, *options, "-c", "stage=local", "-c", f"policy={policy.resolve()}"],
        environment,
        directory,
    )
    made = json.loads(outputs.read_text())[STACK]
    return {
        "PROMOTER_API_URL": plain_url(aws, made["ApiUrl"]),
        "PROMOTER_FUNCTION": made["FunctionName"],
        "PROMOTER_RECONCILER": made["ReconcilerFunctionName"],
        "PROMOTER_RECONCILER_LOG_GROUP": made["ReconcilerLogGroup"],
        "PROMOTER_ANNOUNCER": made["AnnouncerFunctionName"],
        "PROMOTER_FAILED_RUNS": made["FailedRunsQueue"],
        "PROMOTER_TABLE": made["TableName"],
        "PROMOTER_LOG_GROUP": made["LogGroup"],
        "PROMOTER_EVENTS": made["EventsQueue"],
        "PROMOTER_FAILED_EVENTS": made["FailedEventsQueue"],
        "PROMOTER_UNDELIVERED_EVENTS": made["UndeliveredEventsQueue"],
        "PROMOTER_UNANNOUNCED": made["UnannouncedQueue"],
    }


def plain_url(aws: LocalAws, api_url: str) -> str:
    """Return the API's address without a host name of its own, which no name server here would know."""
    api_id = api_url.removeprefix("https://").partition(".")[0]
    return f"{aws.endpoint_url}/_aws/execute-api/{api_id}"


def environment_for(aws: LocalAws) -> Mapping[str, str]:
    """Return an environment in which AWS is the local one and nothing of the user's own is seen."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return kept | aws.environment() | {"PATH": path, "CDK_DISABLE_VERSION_CHECK": "true"}


def run(arguments: list[str], environment: Mapping[str, str], directory: Path, *, cwd: Path = PROJECT) -> None:
    """Run the CDK command line. Raises DeployError with the end of what it printed."""
    fixed = ["--output", str(directory / "cdk.out"), "--no-notices", "--ci"]
    done = subprocess.run(
        [CDK, *arguments, *fixed], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise DeployError(f"cdk {arguments[0]} failed:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
