"""cdk-nag's checks, for any policy and settings."""

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
    """Return an app whose synth runs the same checks as app.py."""
    app = cdk.App(context=CONTEXT | context | {"aws:cdk:bundling-stacks": []}, outdir=str(folder / "cdk.out"))
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    return app


@pytest.mark.parametrize("context", [{}, {"stage": "local"}, JWT], ids=["aws", "local", "jwt"])
def test_every_kind_of_policy_passes(tmp_path: Path, context: dict[str, Any]) -> None:
    """The acknowledgements follow the policy and are not made for one example."""
    app = checked(tmp_path, **context)
    stack_in(app, tmp_path, REGISTRIES)

    app.synth()


def test_an_unacknowledged_finding_fails_the_synth(tmp_path: Path) -> None:
    """A stack with findings is not deployed."""
    app = checked(tmp_path)
    s3.Bucket(stack_in(app, tmp_path), "Open")

    with pytest.raises(RuntimeError, match="AwsSolutions-S1"):
        app.synth()


def test_an_acknowledgement_covers_only_its_own_construct(tmp_path: Path) -> None:
    """Another right on all resources is a finding, although X-Ray's is acknowledged in the same stack."""
    app = checked(tmp_path)
    stack = stack_in(app, tmp_path)
    role = cdk.aws_iam.Role(stack, "Other", assumed_by=cdk.aws_iam.ServicePrincipal("lambda.amazonaws.com"))
    role.add_to_policy(cdk.aws_iam.PolicyStatement(actions=["ecr:PutImage"], resources=["*"]))

    with pytest.raises(RuntimeError, match="AwsSolutions-IAM5"):
        app.synth()
