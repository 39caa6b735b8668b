#!/usr/bin/env python3
"""The CDK app: reads the settings and the policy, and makes the stack of them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks

from infra.policy.file import PolicyError, read
from infra.settings import Settings, SettingsError, check_callers
from infra.stack import PromoterStack


def main(app: cdk.App) -> None:
    """Synthesize; a mistake in the policy or the settings is told without a traceback.

    What is over in the policy is a warning here: an incident must not wait for it.
    """
    try:
        settings = Settings.read(app.node)
        policy = read(Path(settings.policy), account=os.environ.get("CDK_DEFAULT_ACCOUNT"), deploying=True)
        check_callers(settings, policy)
        stack = PromoterStack(app, "EcrPromoter", policy=policy, settings=settings)
    except (PolicyError, SettingsError) as error:
        sys.exit(f"{error}")
    for number, warning in enumerate(policy.warnings):
        cdk.Annotations.of(stack).add_warning_v2(f"ecr-promoter:policy-{number}", warning)
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    app.synth()


if __name__ == "__main__":
    main(cdk.App())
