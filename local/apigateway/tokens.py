"""Tokens as the JWT authorizer of an HTTP API judges them.

What is checked is in the API Gateway developer guide, "Control access to HTTP APIs with JWT authorizers in API
Gateway": the algorithm and the signature with a key of the issuer, then the claims. RSA needs no library: a
signature is checked with one power.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# "Currently, only RSA-based algorithms are supported." For each the hash, and what stands before the hash in a
# signature (RFC 8017, section 9.2, note 1). RFC 7518, section 3.1, has the names.
ALGORITHMS = {
    "RS256": ("sha256", bytes.fromhex("3031300d060960864801650304020105000420")),
    "RS384": ("sha384", bytes.fromhex("3041300d060960864801650304020205000430")),
    "RS512": ("sha512", bytes.fromhex("3051300d060960864801650304020305000440")),
}
TIMES = ("exp", "nbf", "iat")


class RefusedError(Exception):
    """The authorizer does not accept the token; the text says why, for the header www-authenticate."""


@dataclass(frozen=True)
class Token:
    """A token that is not checked yet: its header, its claims, what was signed, and the signature."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    signed: bytes
    signature: bytes


def read(text: str) -> Token:
    """Decode a token. Raises RefusedError for what is not a JWT (RFC 7519, section 7.2)."""
    try:
        header, claims, signature = (_decoded(part) for part in text.split("."))
        token = Token(json.loads(header), json.loads(claims), text.rpartition(".")[0].encode(), signature)
    except (ValueError, RecursionError) as error:
        raise RefusedError("the token is not a JWT") from error
    if not isinstance(token.header, dict) or not isinstance(token.claims, dict):
        raise RefusedError("the token is not a JWT")
    return token


def check(
    token: Token, keys: Sequence[Mapping[str, Any]], *, issuer: str, audiences: Sequence[str], now: float
) -> None:
    """Raise RefusedError unless one of the issuer's keys signed the token, and its claims hold now."""
    _check_signature(token, keys)
    claims = token.claims
    if claims.get("iss") != issuer:
        raise RefusedError("the token does not have a valid issuer")
    # "API Gateway validates client_id only if aud is not present."
    named = claims["aud"] if "aud" in claims else claims.get("client_id")
    if not set(audiences) & {
        each for each in (named if isinstance(named, list) else [named]) if isinstance(each, str)
    }:
        raise RefusedError("the token does not have a valid audience")
    if any(name in claims and not _is_time(claims[name]) for name in TIMES):
        raise RefusedError("the token has a time that is not a number")
    if "exp" not in claims or claims["exp"] <= now:
        raise RefusedError("the token has expired")
    if claims.get("nbf", 0) > now or claims.get("iat", 0) > now:
        raise RefusedError("the token is not valid yet")


def scopes(claims: Mapping[str, Any]) -> list[str]:
    """Return the scopes of a token, from `scope` or `scp`."""
    found = claims.get("scope", claims.get("scp"))
    return sorted(set(found.split() if isinstance(found, str) else map(str, found or [])))


def _check_signature(token: Token, keys: Sequence[Mapping[str, Any]]) -> None:
    algorithm = token.header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise RefusedError(f"signing method {algorithm} is invalid")
    # "The token must have a header claim that matches the key in the jwks_uri that signed the token."
    kid = token.header.get("kid")
    key = next((key for key in keys if kid and key.get("kid") == kid and key.get("kty") == "RSA"), None)
    if key is None:
        raise RefusedError("the issuer has no such key")
    if not _is_signed(token, key, algorithm):
        raise RefusedError("the signature is invalid")


def _is_signed(token: Token, key: Mapping[str, Any], algorithm: str) -> bool:
    """Say whether the key signed the token: RSASSA-PKCS1-v1_5 (RFC 8017, section 8.2.2)."""
    name, prefix = ALGORITHMS[algorithm]
    modulus, exponent = (int.from_bytes(_decoded(key[member]), "big") for member in ("n", "e"))
    length = (modulus.bit_length() + 7) // 8
    found = int.from_bytes(token.signature, "big")
    if len(token.signature) != length or found >= modulus:
        return False
    hashed = prefix + hashlib.new(name, token.signed).digest()
    expected = b"\0\1" + b"\xff" * (length - len(hashed) - 3) + b"\0" + hashed
    return hmac.compare_digest(pow(found, exponent, modulus).to_bytes(length, "big"), expected)


def _decoded(part: str) -> bytes:
    """Decode base64url without padding. Raises ValueError for anything else (RFC 7515, section 2)."""
    if "=" in part or "+" in part or "/" in part:
        raise binascii.Error("is not base64url")
    return base64.b64decode(part.translate({45: 43, 95: 47}) + "=" * (-len(part) % 4), validate=True)


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
