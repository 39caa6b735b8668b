"""cdk-nag's checks, whatever the policy and the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_s3 as s3
from cdk_nag import AwsSolutionsChecks

from tests.infra.conftest import CONTEXT, JWT, stack_in

REGISTRIES = r"""
rules:
  - {name: all, on: scan, repositories: ["*"], from: 'v.*', to: [seen]}
  - name: named
    on: request
    registry: "999999999999"
    repositories: ["mirror/web", "mirror/**"]
    from: 'v.*'
    to: [seen]
  - name: prod
    on: request
    registry: "888888888888"
    repositories: ["apps/*-api"]
    to: [prod]
    gate: {signed: true, soak: 1d}
"""


def checked(folder: Path, **context: Any) -> cdk.App:
    """Return an app whose synth runs the checks as app.py has them run."""
    app = cdk.App(context=CONTEXT | context | {"aws:cdk:bundling-stacks": []}, outdir=str(folder / "cdk.out"))
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    return app


@pytest.mark.parametrize("context", [{}, {"stage": "local"}, JWT], ids=["aws", "local", "jwt"])
def test_every_kind_of_policy_passes(tmp_path: Path, context: dict[str, Any]) -> None:
    """The acknowledgements are made for what the policy says, not for one example."""
    app = checked(tmp_path, **context)
    stack_in(app, tmp_path, REGISTRIES)

    app.synth()


def test_a_finding_that_nobody_acknowledged_fails_the_synth(tmp_path: Path) -> None:
    """Nothing is deployed that the checks object to."""
    app = checked(tmp_path)
    s3.Bucket(stack_in(app, tmp_path), "Open")

    with pytest.raises(RuntimeError, match="AwsSolutions-S1"):
        app.synth()


def test_an_acknowledgement_reaches_no_further_than_its_reason(tmp_path: Path) -> None:
    """A further right on everything is a finding, though X-Ray's is acknowledged on the same stack."""
    app = checked(tmp_path)
    stack = stack_in(app, tmp_path)
    role = cdk.aws_iam.Role(stack, "Other", assumed_by=cdk.aws_iam.ServicePrincipal("lambda.amazonaws.com"))
    role.add_to_policy(cdk.aws_iam.PolicyStatement(actions=["ecr:PutImage"], resources=["*"]))

    with pytest.raises(RuntimeError, match="AwsSolutions-IAM5"):
        app.synth()
