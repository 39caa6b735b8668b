"""The stack, synthesized as `cdk synth` does it, without the bundling that has its own tests."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# The CDK starts Node.js when it is imported: the virtual environment's own, whatever else is installed or not.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

import aws_cdk as cdk
import pytest
from aws_cdk import assertions

from infra.policy import file as policy_file
from infra.settings import Settings
from infra.stack import PromoterStack

CONTEXT = json.loads((Path(__file__).parents[2] / "cdk.json").read_text())["context"]
ACCOUNT, REGION = "123456789012", "eu-central-1"
POLICY = r"""
rules:
  - {name: scans, on: scan, repositories: ["team/*", "solo"], from: 'build-.*', to: [staging]}
  - {name: own, on: scan, registry: "123456789012", repositories: ["mirror/web"], from: 'v.*', to: [seen]}
  - {name: foreign, on: request, registry: "999999999999", repositories: ["far/web"], to: [seen]}
  - {name: prod, on: request, repositories: ["team/*", "apps/*-api"], to: [prod]}
"""
JWT = {
    "authorization": "jwt",
    "jwtIssuer": "https://issuer.example",
    "jwtAudience": ["promoter"],
    "operators": ["jwt:ann"],
}


@dataclass(frozen=True)
class Template:
    """A stack's template, read once: each question to CDK's own Template sends all of it between two processes."""

    document: dict[str, Any]

    @classmethod
    def of(cls, stack: cdk.Stack) -> Template:
        """Synthesize a stack."""
        return cls(dict(assertions.Template.from_stack(stack).to_json()))

    def find_resources(self, kind: str) -> dict[str, Any]:
        """Return the resources of a type by their logical ids."""
        return {name: found for name, found in self.document["Resources"].items() if found["Type"] == kind}


Synthesize = Callable[..., Template]


def stack_in(app: cdk.App, folder: Path, policy: str = POLICY) -> PromoterStack:
    """Put the stack of a policy into an app; the policy is written into the folder."""
    file = folder / "promotions.yaml"
    file.write_text(policy)
    return PromoterStack(
        app,
        "EcrPromoter",
        policy=policy_file.read(file, account=ACCOUNT, deploying=True),
        settings=Settings.read(app.node),
        env=cdk.Environment(account=ACCOUNT, region=REGION),
    )


@pytest.fixture(scope="session")
def synthesize(tmp_path_factory: pytest.TempPathFactory) -> Synthesize:
    """Return a function that makes the template of a policy under changed settings."""

    def template(policy: str = POLICY, **context: Any) -> Template:
        app = cdk.App(context=CONTEXT | context | {"aws:cdk:bundling-stacks": []})
        return Template.of(stack_in(app, tmp_path_factory.mktemp("policy"), policy))

    return template


@pytest.fixture(scope="session")
def template(synthesize: Synthesize) -> Template:
    """The template of POLICY under the settings of cdk.json."""
    return synthesize()


def resources(template: Template, kind: str) -> list[dict[str, Any]]:
    """Return the properties of every resource of a type."""
    found = template.find_resources(kind)
    return [resource.get("Properties", {}) for resource in found.values()]
