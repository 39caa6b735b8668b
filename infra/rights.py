"""The rights of promoter and reconciler on images: made from the policy, and no more than its rules need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_iam as iam

from infra.chunks import chunks
from infra.nag import acknowledge
from infra.policy.file import PolicyError, PolicyFile

# Amazon ECR, "Actions, resources, and condition keys". Nothing here reads a layer or deletes an image.
PROMOTE = ("ecr:BatchGetImage", "ecr:PutImage")
# Further rights that a gate needs. BatchGetImage also authorizes ListImageReferrers.
FINDINGS = ("ecr:DescribeImageScanFindings", "ecr:DescribeImages")
SOAK = ("ecr:DescribeImages",)
SIGNED = ("ecr:DescribeImageSigningStatus",)
# DescribeImageScanFindings reads enhanced findings with the caller's rights on Amazon Inspector.
ENHANCED = ("inspector2:ListCoverage", "inspector2:ListFindings")

# CDK distributes statements over managed policies, and does not split a statement. A managed policy has 6,144
# characters at most, which is room for two of these statements; a role has ten of them, beside its own policy (IAM
# and AWS STS quotas). References that CloudFormation resolves count too.
ROOM, NAME_ROOM, STATEMENTS = 2_800, 50, 20


def grant_images(role: iam.Role, policy: PolicyFile) -> None:
    """Grant the rights that promotions and gates need, each on the repositories of the rules that need it.

    Raises PolicyError if the policy names more repositories than the role's policies have room for.
    """
    granted = [
        (named, chunk)
        for arns, named in sorted(image_rights(policy, Stack.of(role)).items())
        for chunk in chunks(arns, room=ROOM, size=lambda arn: len(nag_text(arn, role)) + NAME_ROOM)
    ]
    if len(granted) > STATEMENTS:
        raise PolicyError("the policy names more repositories than the function's role can hold: use globs")
    for named, chunk in granted:
        role.add_to_principal_policy(iam.PolicyStatement(actions=named, resources=chunk))
    if any(needs_findings(rule) for rule in policy.compiled()["rules"]):
        role.add_to_principal_policy(iam.PolicyStatement(actions=list(ENHANCED), resources=["*"]))
    for arn in repository_arns(policy.compiled()["rules"], Stack.of(role)):
        if "*" in arn:
            acknowledge(
                role,
                f"AwsSolutions-IAM5[Resource::{nag_text(arn, role)}]",
                "A glob of promotions.yaml: the rule covers these repositories.",
            )


def image_rights(policy: PolicyFile, stack: Stack) -> dict[tuple[str, ...], list[str]]:
    """Return the actions on images, by the ARNs of the repositories on which rules need them."""
    needed: dict[str, set[str]] = {}
    for rule in policy.compiled()["rules"]:
        for action in actions(rule):
            needed.setdefault(action, set()).update(repository_arns([rule], stack))
    rights: dict[tuple[str, ...], list[str]] = {}
    for action, arns in sorted(needed.items()):
        rights.setdefault(tuple(sorted(arns)), []).append(action)
    return rights


def actions(rule: Mapping[str, Any]) -> set[str]:
    """Return the actions on images that a compiled rule needs."""
    gate = rule["gate"] or {}
    return {
        *PROMOTE,
        *(FINDINGS if needs_findings(rule) else ()),
        *(SOAK if gate.get("soak") else ()),
        *(SIGNED if gate.get("signed") else ()),
    }


def needs_findings(rule: Mapping[str, Any]) -> bool:
    """Say whether the rule's gate reads scan findings."""
    return rule["gate"] is not None and rule["gate"]["findings"] is not None


def repository_arns(rules: Iterable[Mapping[str, Any]], stack: Stack) -> set[str]:
    """Return the ARNs of the rules' repositories; `*` has the same meaning for IAM as in the policy."""
    return {
        stack.format_arn(
            service="ecr", account=rule["registry"] or stack.account, resource="repository", resource_name=glob
        )
        for rule in rules
        for glob in rule["repositories"]
    }


def nag_text(arn: str, role: iam.Role) -> str:
    """Return an ARN as cdk-nag writes it: `<AWS::Region>` stands for a value that CloudFormation fills in."""
    resolved = Stack.of(role).resolve(arn)
    if isinstance(resolved, str):
        return resolved
    parts = resolved["Fn::Join"][1]
    return "".join(part if isinstance(part, str) else f"<{part['Ref']}>" for part in parts)
