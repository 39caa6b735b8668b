"""Deploys the stack to the local AWS with the AWS CDK command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from local.aws import LocalAws

PROJECT = Path(__file__).parents[1]
CDK = PROJECT / "node_modules" / ".bin" / "cdk"
STACK = "EcrPromoter"
OUTPUTS = {
    "PROMOTER_FUNCTION": "FunctionName",
    "PROMOTER_RECONCILER": "ReconcilerFunctionName",
    "PROMOTER_RECONCILER_LOG_GROUP": "ReconcilerLogGroup",
    "PROMOTER_ANNOUNCER": "AnnouncerFunctionName",
    "PROMOTER_FAILED_RUNS": "FailedRunsQueue",
    "PROMOTER_TABLE": "TableName",
    "PROMOTER_LOG_GROUP": "LogGroup",
    "PROMOTER_EVENTS": "EventsQueue",
    "PROMOTER_FAILED_EVENTS": "FailedEventsQueue",
    "PROMOTER_UNDELIVERED_EVENTS": "UndeliveredEventsQueue",
    "PROMOTER_UNANNOUNCED": "UnannouncedQueue",
}
"""The environment variable for each output of the stack."""
URLS = {
    "PROMOTER_API_URL": "ApiUrl",
    "ECR_PROMOTER_API_URL": "ApiUrl",
    "PROMOTER_TOKEN_API_URL": "TokenApiUrl",
}
"""The same for the addresses of the APIs, here by path. The command line reads the second name.

The third is there with `authorization: jwt`.
"""


class DeployError(Exception):
    """The CDK command line failed; the text is the end of its output."""


def deploy(
    aws: LocalAws,
    directory: Path,
    policy: Path,
    *,
    settings: Sequence[str] = (),
    tell: Callable[[str], None] = print,
) -> dict[str, str]:
    """Bootstrap and deploy; return the variables that lead to the stack. Raises DeployError.

    `settings` are `name=value`, in place of those of cdk.json. The CDK writes only into `directory`, so that two
    deployments do not disturb each other.
    """
    environment = environment_for(aws)
    directory = directory.resolve()
    tell("   cdk bootstrap")
    # Outside the project: where there is a cdk.json, bootstrap first synthesizes the app, with another policy.
    run(["bootstrap", f"aws://{aws.account_id}/{aws.region}"], environment, directory, cwd=directory)
    tell("   cdk deploy")
    outputs = directory / "outputs.json"
    options = ["--require-approval", "never", "--outputs-file", str(outputs)]
    context = [*settings, "stage=local", f"policy={policy.resolve()}"]
    run(["deploy", STACK, *options, *(part for each in context for part in ("-c", each))], environment, directory)
    stack = json.loads(outputs.read_text())[STACK]
    variables = {name: stack[output] for name, output in OUTPUTS.items()}
    urls = {name: plain_url(aws, stack[output]) for name, output in URLS.items() if output in stack}
    return {**urls, **variables}


def plain_url(aws: LocalAws, api_url: str) -> str:
    """Return the API's address by path: no name server here knows the host name that CloudFormation answers."""
    api_id = api_url.removeprefix("https://").partition(".")[0]
    return f"{aws.endpoint_url}/_aws/execute-api/{api_id}"


def environment_for(aws: LocalAws) -> Mapping[str, str]:
    """Return this process's environment with the local AWS in place of the user's own AWS settings."""
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
