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


def main() -> None:
    """Synthesize; a mistake in the policy or the settings is told without a traceback."""
    app = cdk.App()
    try:
        settings = Settings.read(app.node)
        policy = read(Path(settings.policy), account=os.environ.get("CDK_DEFAULT_ACCOUNT"))
        check_callers(settings, policy)
        PromoterStack(app, "EcrPromoter", policy=policy, settings=settings)
    except (PolicyError, SettingsError) as error:
        sys.exit(f"{error}")
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    app.synth()


main()
