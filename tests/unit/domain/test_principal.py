"""Who a caller is from one call to the next."""

from __future__ import annotations

import pytest

from promoter.domain.principal import principal

PERSON = "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Release_0123456789abcdef/ann@example.com"


@pytest.mark.parametrize(
    ("caller", "expected"),
    [
        (
            "arn:aws:sts::123456789012:assumed-role/deployer/run-7",
            "arn:aws:sts::123456789012:assumed-role/deployer",
        ),
        (
            "arn:aws-cn:sts::123456789012:assumed-role/deployer/x",
            "arn:aws-cn:sts::123456789012:assumed-role/deployer",
        ),
        (
            "arn:aws-us-gov:sts::123456789012:assumed-role/de.pl+oy=er,@-_/a=b,c.d@e-f",
            "arn:aws-us-gov:sts::123456789012:assumed-role/de.pl+oy=er,@-_",
        ),
    ],
)
def test_a_role_is_itself_whatever_its_session_is_called(caller: str, expected: str) -> None:
    """CodeBuild and IRSA make a new session name at every run."""
    assert principal(caller) == expected


@pytest.mark.parametrize(
    "caller",
    [
        PERSON,
        PERSON.replace("arn:aws:", "arn:aws-us-gov:"),
        "arn:aws:iam::123456789012:user/ann",
        "arn:aws:iam::123456789012:user/division/ann",
        "arn:aws:iam::123456789012:root",
        "arn:aws:sts::123456789012:federated-user/ann",
        "github:owner/web:environment:prod",
        # None of AWS's, and so not shortened: what is not known is not shared.
        "arn:aws:sts::123456789012:assumed-role/deployer",
        "arn:aws:sts::123456789012:assumed-role/deployer/a/b",
        "arn:aws:iam::123456789012:assumed-role/deployer/run-7",
        "github:arn:aws:sts::123456789012:assumed-role/deployer/run-7",
    ],
)
def test_everybody_else_is_who_they_are(caller: str) -> None:
    """The session of a role of IAM Identity Center is a person; users, root and tokens have no sessions."""
    assert principal(caller) == caller


def test_a_subject_belongs_to_its_issuer() -> None:
    """Two issuers may give the same subject; neither can be written so that it looks like the other's."""
    one = principal("jwt:deploy", issuer="https://one.example")

    assert one == principal("jwt:deploy", issuer="https://one.example")
    assert one != principal("jwt:deploy", issuer="https://two.example")
    assert principal("jwt:x#deploy", issuer="https://one") != principal("jwt:deploy", issuer="https://one.x")


def test_nobody_is_no_principal_of_another() -> None:
    """A call without an identity shares nothing with a caller that has one."""
    assert principal(None) not in {principal("None"), principal("jwt:", issuer=None)}
