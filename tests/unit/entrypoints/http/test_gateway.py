"""Who asks, and with what, as API Gateway hands it over."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from promoter.domain.errors import InvalidRequest
from promoter.entrypoints.http import gateway
from promoter.entrypoints.http.gateway import GITHUB, Event
from tests.support.policies import ACCOUNT
from tests.unit.entrypoints.http.conftest import REGION, event

ARN = f"arn:aws:sts::{ACCOUNT}:assumed-role/deployer/run-7"


def token(**claims: Any) -> dict[str, Any]:
    return {"jwt": {"claims": claims, "scopes": None}}


@pytest.mark.parametrize(
    ("authorizer", "caller"),
    [
        ({"iam": {"userArn": ARN}}, ARN),
        (token(sub="repo:owner/web:environment:prod", iss=GITHUB), "github:owner/web:environment:prod"),
        (token(sub="owner/web", iss=GITHUB), "github:owner/web"),
        (token(sub="repo:owner/web", iss="https://gitlab.example"), "jwt:repo:owner/web"),
        (token(sub="deploy"), "jwt:deploy"),
        (token(sub=42, iss="https://issuer.example"), "jwt:42"),
        (token(sub=ARN, iss="https://issuer.example"), f"jwt:{ARN}"),
        (token(sub="github:owner/web", iss="https://issuer.example"), "jwt:github:owner/web"),
        (token(sub="deploy", iss="https://issuer.example", iam={"userArn": ARN}, userArn=ARN), "jwt:deploy"),
        ({"iam": {"userArn": ARN}, "jwt": None}, ARN),
    ],
)
def test_a_caller_is_named_as_rules_name_it(authorizer: Any, caller: str) -> None:
    """By ARN, or by the subject of a token with the kind of its issuer."""
    assert gateway.caller(event(authorizer)) == caller


@pytest.mark.parametrize(
    "authorizer",
    [
        None,
        {},
        {"iam": None},
        {"iam": {}},
        {"iam": {"userArn": None}},
        {"iam": {"userArn": ""}},
        {"jwt": None},
        {"jwt": {}},
        {"jwt": {"claims": None}},
        token(),
        token(sub=None, iss=GITHUB),
        token(sub="", iss=GITHUB),
        token(sub="\ud800", iss=GITHUB),
        token(sub="a\ud800b", iss="https://issuer.example"),
        {"iam": {"userArn": ARN}, **token(sub="deploy", iss="https://issuer.example")},
    ],
)
def test_without_an_identity_there_is_no_caller(authorizer: Any) -> None:
    """Members that are missing, null or empty name nobody; nor does a text that is not Unicode.

    Nor do two identities at once: API Gateway writes only one.
    """
    assert gateway.caller(event(authorizer)) is None


def test_a_context_without_an_authorizer_names_nobody() -> None:
    """API Gateway leaves it out where a route has none."""
    assert gateway.caller(Event({"requestContext": {}})) is None


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("name", ["idempotency-key", "Idempotency-Key", "IDEMPOTENCY-KEY"])
def test_the_key_is_found_whatever_the_case_of_its_header(name: str) -> None:
    """API Gateway sends names in lower case; a test event of the Lambda console may not."""
    assert gateway.origin(event(headers={name: "deploy-7"})).idempotency_key == "deploy-7"


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("headers", [{}, {"headers": None}, {"headers": {}}])
def test_a_request_may_have_no_key(headers: dict[str, Any]) -> None:
    """Then it gets a promotionId of its own."""
    assert gateway.origin(event(**headers)).idempotency_key is None


@pytest.mark.usefixtures("environment")
def test_an_origin_has_the_caller_and_its_principal() -> None:
    """The record names the session, the key belongs to the role."""
    origin = gateway.origin(event({"iam": {"userArn": ARN}}))

    assert (origin.caller, origin.principal) == (ARN, ARN.removesuffix("/run-7"))
    assert (origin.registry_id, origin.region) == (ACCOUNT, REGION)


@pytest.mark.usefixtures("environment")
def test_the_principal_of_a_token_belongs_to_its_issuer() -> None:
    """Two issuers may name the same subject."""
    issuers = ("https://one.example", "https://two.example")

    one, two = (gateway.origin(event(token(sub="deploy", iss=issuer))) for issuer in issuers)

    assert one.caller == two.caller
    assert one.principal != two.principal


TEXT = '{"é": "💥"}\n'


@pytest.mark.parametrize(
    ("members", "body"),
    [
        ({}, b""),
        ({"body": None}, b""),
        ({"body": ""}, b""),
        ({"body": None, "isBase64Encoded": True}, b""),
        ({"body": TEXT}, TEXT.encode()),
        ({"body": TEXT, "isBase64Encoded": False}, TEXT.encode()),
        ({"body": base64.b64encode(TEXT.encode()).decode(), "isBase64Encoded": True}, TEXT.encode()),
    ],
)
def test_a_body_is_the_bytes_that_were_sent(members: dict[str, Any], body: bytes) -> None:
    """Whether API Gateway took it for text or for binary."""
    assert gateway.body(event(**members)) == body


@pytest.mark.parametrize(
    ("body", "is_binary"),
    [("\ud800", False), ("\ud800", True), ("a", True), (base64.b64encode(b"\xff").decode(), True)],
)
def test_a_body_that_cannot_be_decoded_is_invalid(body: str, *, is_binary: bool) -> None:
    """Half of a surrogate pair, a broken base64 and bytes that are not UTF-8 are never JSON."""
    with pytest.raises(InvalidRequest, match="not JSON") as raised:
        gateway.body(event(body=body, isBase64Encoded=is_binary))

    assert raised.value.field == "body"
