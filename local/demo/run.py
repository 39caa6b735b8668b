"""Starts a local AWS, deploys the stack, runs every step and stops the local AWS again."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from local import process
from local.demo import steps
from local.demo.stack import DeployedStack
from local.demo.steps import DemoFailed, headline
from local.deploy import PROJECT, deploy


def main() -> int:
    """Run the demo; return the exit code."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ecr-promoter-") as folder:
        directory = Path(folder)
        try:
            steps.run_all(start(directory))
        except (DemoFailed, RuntimeError) as error:
            print(f"\nThe demo FAILED. Expected: {error}.")
            return 1
        finally:
            process.stop(directory)
    print(f"\nDone in {time.monotonic() - started:.0f} s. The local AWS is stopped; nothing is left running.")
    return 0


def start(directory: Path) -> DeployedStack:
    """Start a local AWS in a directory and deploy the stack to it."""
    headline(1, "Start a local AWS, with IAM enforced")
    aws = process.start(directory)
    print(f"   {aws.endpoint_url}")
    headline(2, "Deploy the stack with the AWS CDK and the policy promotions.yaml (about 20 s)")
    variables = deploy(aws, directory, PROJECT / "promotions.yaml")
    return DeployedStack(aws, variables["PROMOTER_API_URL"])
