#!/usr/bin/env python3
"""The CDK app: reads the settings and the policy, and makes a stack from them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks

from infra.policy.file import PolicyError, read
from infra.settings import Settings, SettingsError
from infra.stack import PromoterStack


def main(app: cdk.App) -> None:
    """Synthesize the stack. A mistake in the policy or the settings ends it with a message, without a traceback.

    An expired exception of the policy is only a warning, so that it does not hold up a deployment in an incident.
    """
    try:
        settings = Settings.read(app.node)
        policy = read(
            Path(settings.policy),
            account=os.environ.get("CDK_DEFAULT_ACCOUNT"),
            deploying=True,
            tokens=settings.authorization == "jwt",
        )
        stack = PromoterStack(app, "EcrPromoter", policy=policy, settings=settings)
    except (PolicyError, SettingsError) as error:
        sys.exit(f"{error}")
    for number, warning in enumerate(policy.warnings):
        cdk.Annotations.of(stack).add_warning_v2(f"ecr-promoter:policy-{number}", warning)
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    app.synth()


if __name__ == "__main__":
    main(cdk.App())
