"""Names of callers that strangers with a token cannot have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra.policy import check
from infra.policy.file import PolicyError, read
from infra.policy.subjects import REMEDY, fixes_owner


@pytest.mark.parametrize(
    "glob",
    [
        "arn:aws:sts::*:assumed-role/deployer/*",
        "arn:*",
        "github:owner/*",
        "github:owner/web:environment:prod",
        "github:owner@123456/web@456789:ref:refs/heads/*",
        "github:owner/*:environment:prod",
        "github:repository_owner:owner:*",
        "github:repository_owner_id:123456",
        "github:repository_id:456789:environment:*",
        "github:repository:owner/*",
        "jwt:ann",
        "jwt:project_path:group/*",
        "jwt:project_path:group/web:ref_type:branch:ref:main",
        "jwt:org/1a2b/project/*",
        "jwt:organization:acme:*",
        "jwt:system:serviceaccount:tools:*",
        "jwt:repo:owner/*",
        "jwt:owner:acme:*",
        "jwt:account:1a2b:pipeline:*",
        "jwt:org:acme:*",
        "jwt:pulumi:deploy:org:acme:*",
        "jwt:pulumi:environments:org:acme:env:*",
        "jwt:spiffe://example.org/*",
    ],
)
def test_a_fixed_owner_is_accepted(glob: str) -> None:
    """IAM ARNs match no token. Behind the owner, * may stand for anything."""
    assert fixes_owner(glob)


@pytest.mark.parametrize(
    "glob",
    [
        "*",
        "**",
        "*:prod",
        "*github:owner/web:*",
        "github:",
        "github:*",
        "github:owner",
        "github:own*/web",
        "github:*/web:environment:prod",
        "github:own*",
        "github:/web",
        "github:repo:*",
        "github:environment:prod",
        "github:pull_request",
        "github:ref:refs/heads/main",
        "github:job_workflow_ref:owner/workflows/.github/workflows/deploy.yml@main",
        "github:repository_owner:*",
        "github:repository_owner:own*",
        "github:repository_id:4567*",
        "jwt:",
        "jwt:*",
        "jwt:an*",
        "jwt:*/web",
        "jwt:/*",
        "jwt:project_path:*",
        "jwt:project_path:gro*/web",
        "jwt:org/*",
        "jwt:organization:ac*",
        "jwt:system:serviceaccount:*",
        "jwt:repo:own*",
        "jwt:owner:*",
        "jwt:owner:ac*:project:web",
        "jwt:account:*",
        "jwt:org:*",
        "jwt:pulumi:*",
        "jwt:pulumi:deploy:*",
        "jwt:pulumi:deploy:org:*",
        "jwt:pulumi:environments:org:ac*",
        "jwt:spiffe://*",
        "jwt:https://*",
    ],
)
def test_a_name_that_strangers_can_have_is_not(glob: str) -> None:
    """Everybody gets tokens of a public issuer, names an environment or a branch, and calls a public workflow."""
    assert not fixes_owner(glob)


POLICY = """\
rules:
  - {name: scans, on: scan, repositories: [web], from: 'b.*', to: [s]}
  - name: prod
    on: request
    repositories: [web]
    to: [prod]
    callers:
      - "arn:aws:iam::*:user/deployer"
      - "github:*"
      - "jwt:*"
  - {name: open, on: request, repositories: [web], to: [open]}
"""


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A policy with names of strangers, in a folder that has no cdk.json."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "promotions.yaml"
    file.write_text(POLICY)
    return file


def test_callers_who_may_be_strangers_are_mistakes_with_their_line(policy: Path) -> None:
    """So is a rule without callers. Without tokens, IAM keeps strangers out, and nothing is wrong."""
    with pytest.raises(PolicyError) as raised:
        read(policy, tokens=True)

    assert [line.removeprefix(f"{policy}:").partition("; ")[0] for line in f"{raised.value}".splitlines()] == [
        f"9:9: rules[1].callers[1]: 'github:*' does not fix the owner of a token: {REMEDY}",
        f"10:9: rules[1].callers[2]: 'jwt:*' does not fix the owner of a token: {REMEDY}",
        "11:5: rules[2].callers: is missing: authorization jwt admits every token",
    ]
    assert len(read(policy).rules) == 3


def test_make_policy_knows_the_authorization(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From cdk.json, or from the command line, in the CDK's own way to write a setting."""
    assert check.main([f"{policy}"]) == 0
    assert check.main([f"{policy}", "-c", "authorization=jwt", "-c", "operators=jwt:ann,*"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("setting operators[1]: '*' does not fix the owner of a token: write ")
    assert f"{policy}:9:9: rules[1].callers[1]: 'github:*'" in told

    settings = {"context": {"authorization": "jwt", "operators": ["jwt:ann", "jwt:*"]}}
    (policy.parent / "cdk.json").write_text(json.dumps(settings))
    assert check.main([f"{policy}"]) == 1
    told = capsys.readouterr().err
    assert told.startswith(
        "cdk.json:1:63: context.operators[1]: 'jwt:*' does not fix the owner of a token: write "
    )
    assert f"{policy}:9:9: rules[1].callers[1]: 'github:*'" in told
    assert check.main([f"{policy}", "-c", "authorization=iam"]) == 0


def test_make_policy_accepts_a_policy_for_tokens(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With owners that are fixed, it is as good as any."""
    policy.write_text(
        "rules: [{name: prod, on: request, repositories: [web], to: [prod], callers: ['github:owner/web:*']}]"
    )

    assert (
        check.main([f"{policy}", "-c", "authorization=jwt", "-c", "operators=github:owner/ops:environment:stop"])
        == 0
    )
    assert "1 rule, 0 freezes, no mistakes" in capsys.readouterr().out
