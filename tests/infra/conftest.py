"""The stack as `cdk synth` makes it, without bundling, which has its own tests."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Importing the CDK starts Node.js: this makes it the virtual environment's own.
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
    """Add the stack of a policy to an app; the policy is written to the folder."""
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
    """Return a function that makes the template of a policy, with changed settings."""

    def template(policy: str = POLICY, **context: Any) -> Template:
        app = cdk.App(context=CONTEXT | context | {"aws:cdk:bundling-stacks": []})
        return Template.of(stack_in(app, tmp_path_factory.mktemp("policy"), policy))

    return template


@pytest.fixture(scope="session")
def template(synthesize: Synthesize) -> Template:
    """The template of POLICY with the settings of cdk.json."""
    return synthesize()


def resources(template: Template, kind: str) -> list[dict[str, Any]]:
    """Return the properties of every resource of a type."""
    found = template.find_resources(kind)
    return [resource.get("Properties", {}) for resource in found.values()]


def flat(value: Any) -> str:
    """Return an ARN as text; `<AWS::Region>` stands for a value that CloudFormation fills in."""
    if isinstance(value, str):
        return value
    return "".join(part if isinstance(part, str) else f"<{part['Ref']}>" for part in value["Fn::Join"][1])


def statements(template: Template) -> list[dict[str, Any]]:
    """Return every statement of every identity policy."""
    return [
        statement
        for properties in resources(template, "AWS::IAM::Policy")
        for statement in properties["PolicyDocument"]["Statement"]
    ]


def functions(template: Template) -> dict[str, dict[str, Any]]:
    """Return the properties of each function, by the name of its handler."""
    found = resources(template, "AWS::Lambda::Function")
    return {function["Handler"].rpartition(".")[2]: function for function in found}


def listed(value: Any) -> list[Any]:
    """Return a value as a list: IAM policies may have a single value instead."""
    return value if isinstance(value, list) else [value]
