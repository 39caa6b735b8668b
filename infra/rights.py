"""What the function may do with images: made from the policy, so that it is never more than rules need."""

from __future__ import annotations

from aws_cdk import Stack
from aws_cdk import aws_iam as iam

from infra.nag import acknowledge
from infra.policy_file import PolicyFile

# Amazon ECR, "Actions, resources, and condition keys". Nothing here reads a layer or deletes an image.
PROMOTE = ["ecr:BatchGetImage", "ecr:PutImage"]


def grant_images(role: iam.Role, policy: PolicyFile) -> None:
    """Give the role what promotions need, on the policy's repositories and nowhere else."""
    arns = repository_arns(policy, Stack.of(role))
    role.add_to_principal_policy(iam.PolicyStatement(actions=PROMOTE, resources=arns))
    for arn in arns:
        if "*" in arn:
            acknowledge(
                role,
                f"AwsSolutions-IAM5[Resource::{readable(arn, role)}]",
                "A glob of promotions.yaml: the rule's own reach.",
            )


def repository_arns(policy: PolicyFile, stack: Stack) -> list[str]:
    """Return the ARNs of all repositories that rules name; `*` means to IAM what it means to the policy."""
    arns = {
        stack.format_arn(
            service="ecr", account=rule.registry or stack.account, resource="repository", resource_name=glob
        )
        for rule in policy.rules
        for glob in rule.repositories
    }
    return sorted(arns)


def readable(arn: str, role: iam.Role) -> str:
    """Return an ARN as cdk-nag writes it, with `<AWS::Region>` for what is known only at deployment."""
    resolved = Stack.of(role).resolve(arn)
    if isinstance(resolved, str):
        return resolved
    parts = resolved["Fn::Join"][1]
    return "".join(part if isinstance(part, str) else f"<{part['Ref']}>" for part in parts)
