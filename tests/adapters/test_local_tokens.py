"""The JWT authorizer of the local AWS: what it checks is what API Gateway documents."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from local.apigateway import tokens
from tests.support.issuer import Issuer, Key, encoded, signed, signed_with_secret, unsigned, with_claims

AUDIENCE = "promoter"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the keys."""
    return tmp_path_factory.mktemp("keys")


@pytest.fixture(scope="module")
def issuer(folder: Path) -> Issuer:
    """An issuer with a key of each kind, that does not have to run here."""
    keys = (Key.make(folder, "one"), Key.make(folder, "curve", "ES256"), Key.make(folder, "long", "RS512"))
    return Issuer("https://issuer.example", folder / "none", keys)


def refusal(text: str, issuer: Issuer, *, audiences: tuple[str, ...] = (AUDIENCE,)) -> str | None:
    """Return why a token is refused; None if it is accepted."""
    try:
        keys = [key.jwk for key in issuer.keys]
        tokens.check(tokens.read(text), keys, issuer=issuer.url, audiences=audiences, now=time.time())
    except tokens.RefusedError as refused:
        return f"{refused}"
    return None


@pytest.mark.parametrize(
    "others",
    [
        {},
        {"nbf": None, "iat": None},
        {"aud": ["other", AUDIENCE]},
        {"aud": None, "client_id": AUDIENCE},
        {"exp": time.time() + 1000.5},
        {"sub": None},
    ],
)
def test_a_good_token_is_accepted(issuer: Issuer, others: dict[str, Any]) -> None:
    """With one of its audiences, and with `client_id` in place of `aud`."""
    assert refusal(issuer.token("ann", AUDIENCE, **others), issuer) is None
    assert refusal(issuer.token("ann", AUDIENCE, key=issuer.keys[2], **others), issuer) is None


@pytest.mark.parametrize(
    ("others", "reason"),
    [
        ({"exp": int(time.time()) - 1}, "the token has expired"),
        ({"exp": None}, "the token has expired"),
        ({"exp": "2999999999"}, "the token has a time that is not a number"),
        ({"exp": True}, "the token has a time that is not a number"),
        ({"nbf": int(time.time()) + 1000}, "the token is not valid yet"),
        ({"iat": int(time.time()) + 1000}, "the token is not valid yet"),
        ({"nbf": []}, "the token has a time that is not a number"),
        ({"iss": "https://issuer.example/"}, "the token does not have a valid issuer"),
        ({"iss": None}, "the token does not have a valid issuer"),
        ({"aud": "other"}, "the token does not have a valid audience"),
        ({"aud": None}, "the token does not have a valid audience"),
        ({"aud": [[AUDIENCE]]}, "the token does not have a valid audience"),
        ({"aud": {AUDIENCE: 1}}, "the token does not have a valid audience"),
        ({"aud": "other", "client_id": AUDIENCE}, "the token does not have a valid audience"),
    ],
)
def test_a_claim_that_does_not_hold_refuses_the_token(issuer: Issuer, others: dict[str, Any], reason: str) -> None:
    """The signature is good. API Gateway reads `client_id` only where there is no `aud`."""
    assert refusal(issuer.token("ann", AUDIENCE, **others), issuer) == reason


def test_only_a_key_of_the_issuer_signs(issuer: Issuer, folder: Path) -> None:
    """Neither another key of the same name, nor one that is not published, nor a changed payload."""
    good, claims = issuer.token("ann", AUDIENCE), issuer.claims("ann", AUDIENCE)
    other = Key.make(folder, "one", name="other")

    assert refusal(signed(claims, other), issuer) == "the signature is invalid"
    assert refusal(signed(claims, other, kid="two"), issuer) == "the issuer has no such key"
    assert refusal(signed(claims, other, kid=None), issuer) == "the issuer has no such key"
    assert refusal(signed(claims, issuer.keys[0], kid="long"), issuer) == "the signature is invalid"
    assert refusal(with_claims(good, sub="bob"), issuer) == "the signature is invalid"
    assert refusal(good[:-6], issuer) == "the signature is invalid"
    assert refusal(f"{good}AAAA", issuer) == "the signature is invalid"


def test_only_rsa_signs(issuer: Issuer) -> None:
    """API Gateway supports no other algorithms: no curves, no shared secrets, and not `none`."""
    claims, key = issuer.claims("ann", AUDIENCE), issuer.keys[0]

    assert refusal(signed(claims, issuer.keys[1]), issuer) == "signing method ES256 is invalid"
    assert refusal(signed(claims, key, alg="RS384"), issuer) == "the signature is invalid"
    assert (
        refusal(signed_with_secret(claims, key.public, kid=key.kid), issuer) == "signing method HS256 is invalid"
    )
    names: tuple[Any, ...] = ("none", "None", "nOnE", "", None, 256, [], {})
    for name in names:
        text = f"{unsigned({'alg': name, 'kid': key.kid}, claims)}."
        assert refusal(text, issuer) == f"signing method {name} is invalid"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "..",
        "a.b.c",
        "e30.e30",
        "e30.e30.e30.e30",
        "W10.e30.",
        "e30.MQ.",
        "e3 0.e30.",
        "e30=.e30.",
        "é.e30.",
    ],
)
def test_what_is_not_a_jwt_is_refused(issuer: Issuer, text: str) -> None:
    """Whatever else it is; nothing breaks off."""
    assert refusal(text, issuer) == "the token is not a JWT"


def test_a_padded_signature_needs_all_its_padding(issuer: Issuer) -> None:
    """A power that ends with the right hash is not enough (RFC 8017, section 8.2.2)."""
    key = issuer.keys[0]
    text = unsigned({"alg": "RS256", "kid": key.kid}, issuer.claims("ann", AUDIENCE))

    for signature in (b"", b"\0" * 256, b"\0" * 255 + b"\1", b"\xff" * 256, b"\0" + key.sign(text.encode())):
        assert refusal(f"{text}.{encoded(signature)}", issuer) == "the signature is invalid"


def test_the_scopes_of_a_token_are_read_from_either_claim() -> None:
    """As a text with spaces, or as a list."""
    assert tokens.scopes({"scope": "b a"}) == tokens.scopes({"scp": ["a", "b"]}) == ["a", "b"]
    assert tokens.scopes({}) == []
