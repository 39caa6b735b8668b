"""The rights of the functions' roles."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from infra.policy.file import PolicyError
from tests.infra.conftest import ACCOUNT, REGION, Synthesize, Template, flat, listed, resources, statements

ARNS = f"arn:<AWS::Partition>:ecr:{REGION}:"


SCANNED = {
    f"{ACCOUNT}:repository/team/*",
    f"{ACCOUNT}:repository/solo",
    f"{ACCOUNT}:repository/mirror/web",
}


TABLE = {
    f"dynamodb:{action}"
    for action in (
        "BatchGetItem",
        "BatchWriteItem",
        "ConditionCheckItem",
        "DeleteItem",
        "GetItem",
        "PutItem",
        "Query",
        "UpdateItem",
    )
}


IMAGES = {
    "ecr:BatchGetImage",
    "ecr:PutImage",
    "ecr:DescribeImageScanFindings",
    "ecr:DescribeImages",
    "inspector2:ListCoverage",
    "inspector2:ListFindings",
}


LOGS = {"logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTelemetryRecords", "xray:PutTraceSegments"}


STREAM = {f"dynamodb:{action}" for action in ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")}


SEND = {"sqs:SendMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl"}


RECEIVE = {"sqs:ReceiveMessage", "sqs:ChangeMessageVisibility", "sqs:DeleteMessage", *SEND} - {"sqs:SendMessage"}


def rights_of(template: Template, role: str) -> dict[str, list[dict[str, Any]]]:
    """Return the statements of a role by action; `role` is the beginning of its logical id."""
    rights: dict[str, list[dict[str, Any]]] = {}
    for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        for properties in resources(template, kind):
            if any(each["Ref"].startswith(role) for each in properties["Roles"]):
                for statement in properties["PolicyDocument"]["Statement"]:
                    for action in listed(statement["Action"]):
                        rights.setdefault(action, []).append(statement)
    return rights


def image_rights(template: Template) -> dict[str, set[str]]:
    """Return, for each action on images, the repositories on which it is allowed, without the prefix ARNS."""
    rights: dict[str, set[str]] = {}
    for statement in statements(template):
        for action in listed(statement["Action"]):
            if action.startswith("ecr:"):
                arns = {flat(arn).removeprefix(ARNS) for arn in listed(statement["Resource"])}
                rights.setdefault(action, set()).update(arns)
    return rights


def test_the_function_can_touch_images_only_where_a_rule_says(template: Template) -> None:
    """It can in the rules' registries and this Region, and read scans only for rules whose gate judges them."""
    everywhere = {*SCANNED, f"{ACCOUNT}:repository/apps/*-api", "999999999999:repository/far/web"}

    assert image_rights(template) == {
        "ecr:BatchGetImage": everywhere,
        "ecr:PutImage": everywhere,
        "ecr:DescribeImageScanFindings": SCANNED,
        "ecr:DescribeImages": SCANNED,
    }


@pytest.mark.parametrize(
    ("gate", "more", "findings"),
    [
        ("{}", set(), False),
        ("{findings: {}}", {"ecr:DescribeImageScanFindings", "ecr:DescribeImages"}, True),
        ("{soak: 1h}", {"ecr:DescribeImages"}, False),
        ("{signed: true}", {"ecr:DescribeImageSigningStatus"}, False),
        (
            "{signed: {profiles: ['arn:aws:signer:us-east-1:123456789012:/signing-profiles/release']}}",
            {"ecr:DescribeImageSigningStatus"},
            False,
        ),
    ],
)
def test_a_gates_rights_follow_the_rule_that_uses_it(
    synthesize: Synthesize, gate: str, more: set[str], *, findings: bool
) -> None:
    """They hold on the repositories of that rule, and not on those of other rules."""
    gated = f"{{name: a, on: request, repositories: [web], to: [prod], gate: {gate}}}"
    template = synthesize(f"rules: [{gated}, {{name: b, on: request, repositories: [api], to: [prod]}}]")
    both, one = {f"{ACCOUNT}:repository/{name}" for name in ("web", "api")}, {f"{ACCOUNT}:repository/web"}

    rights = image_rights(template)

    assert rights == {"ecr:BatchGetImage": both, "ecr:PutImage": both} | dict.fromkeys(more, one)
    assert any("inspector2:ListFindings" in s["Action"] for s in statements(template)) is findings


def test_many_repositories_are_distributed_over_policies(synthesize: Synthesize) -> None:
    """No policy exceeds IAM's limits. More repositories than a role has room for are refused, with a remedy."""
    names = [f"a-team-with-a-name/a-service-with-a-name-{number}" for number in range(300)]
    rule = {"name": "s", "on": "scan", "from": "y", "to": ["x"]}

    template = synthesize(json.dumps({"rules": [rule | {"repositories": names}]}))

    managed = resources(template, "AWS::IAM::ManagedPolicy")
    assert all(len(json.dumps(policy["PolicyDocument"])) <= 6144 for policy in managed)
    for role in ("Promoter", "Reconciler"):
        own = [policy for policy in managed if policy["Roles"][0]["Ref"].startswith(role)]
        inline = [p for p in resources(template, "AWS::IAM::Policy") if p["Roles"][0]["Ref"].startswith(role)]
        assert 0 < len(own) <= 10
        assert all(json.dumps([*own, *inline]).count(f'/{name}"') == 1 for name in names)
    with pytest.raises(PolicyError, match="use globs"):
        synthesize(json.dumps({"rules": [rule | {"repositories": [*names, *(f"{name}-b" for name in names)]}]}))


def test_only_actions_without_resources_are_granted_on_all(template: Template) -> None:
    """These are X-Ray's two writes and Inspector's two reads, which do not support resources."""
    everywhere = [s["Action"] for s in statements(template) if "*" in listed(s["Resource"])]

    assert {action for actions in everywhere for action in listed(actions)} == {
        "xray:PutTraceSegments",
        "xray:PutTelemetryRecords",
        "inspector2:ListCoverage",
        "inspector2:ListFindings",
    }


def test_no_role_has_a_managed_policy_of_aws(template: Template) -> None:
    """These policies allow writing to every log group."""
    assert all("ManagedPolicyArns" not in role for role in resources(template, "AWS::IAM::Role"))


@pytest.mark.parametrize(
    ("role", "rights", "queues"),
    [
        ("Promoter", {*TABLE, *IMAGES, *LOGS, *SEND, *RECEIVE}, {"Events", "Failed"}),
        ("Reconciler", {*TABLE, *IMAGES, *LOGS, *SEND}, {"FailedRuns"}),
        ("Announcer", {*STREAM, *LOGS, *SEND, "events:PutEvents"}, {"Unannounced"}),
    ],
)
def test_each_function_has_only_its_own_rights(
    template: Template, role: str, rights: set[str], queues: set[str]
) -> None:
    """The announcer cannot touch an image or the table, and the promoter cannot announce."""
    found = rights_of(template, role)

    assert set(found) - {"xray:PutTraceSegments"} == rights - {"xray:PutTraceSegments"}
    arns = json.dumps([s["Resource"] for name, named in found.items() if name.startswith("sqs:") for s in named])
    names = {"Events", "Failed", "FailedRuns", "Unannounced", "Undelivered"}
    assert {name for name in names if re.search(rf'"Queues{name}[0-9A-F]{{8}}"', arns)} == queues


def test_announcements_have_the_products_own_source(template: Template) -> None:
    """The right to put events is limited to one bus and one source."""
    (statement,) = [s for s in statements(template) if s["Action"] == "events:PutEvents"]

    assert flat(statement["Resource"]) == f"arn:<AWS::Partition>:events:{REGION}:{ACCOUNT}:event-bus/default"
    assert statement["Condition"] == {"ForAllValues:StringEquals": {"events:source": "ecr-promoter"}}
