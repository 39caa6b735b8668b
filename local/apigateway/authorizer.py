"""The authorizers of HTTP APIs: ministack lets in tokens without `exp`, and tokens in place of signatures."""

# ruff: noqa: SLF001  ministack has no public interface for this; its version is pinned

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from typing import Any

from ministack.services import apigateway

from local.apigateway import tokens
from local.emulator import Answer

Authorized = tuple[Mapping[str, Any] | None, list[str] | None, Answer | None]
"""The token's claims and scopes, or the answer that refuses it."""


async def authorize(
    route: Mapping[str, Any], authorizer: Mapping[str, Any], headers: dict[str, str], query: dict[str, Any]
) -> Authorized:
    """Return the claims of the request's token, or API Gateway's answer to a token that it does not accept."""
    text = apigateway._extract_token_from_identity_source(authorizer.get("identitySource", []), headers, query)
    if not text:
        return None, None, _unauthorized()
    configured = authorizer["jwtConfiguration"]
    try:
        token = tokens.read(text)
        keys = await _keys(configured["issuer"])
        audiences = configured["audience"]
        tokens.check(token, keys, issuer=configured["issuer"], audiences=audiences, now=time.time())
    except tokens.RefusedError as refused:
        return None, None, _unauthorized(f"{refused}")
    found, wanted = tokens.scopes(token.claims), route.get("authorizationScopes") or []
    if wanted and not set(wanted) & set(found):
        return None, None, apigateway._jwt_forbidden()
    return token.claims, found, None


def refuse_unsigned(headers: Mapping[str, str]) -> Answer | None:
    """Return the answer to a request for a route with IAM authorization that has another kind of authorization.

    "Clients must use Signature Version 4 to sign requests" (developer guide, "Control access to HTTP APIs with IAM
    authorization in API Gateway").
    """
    given = headers.get("authorization", "")
    return apigateway._jwt_forbidden() if given and not given.startswith("AWS4-HMAC-SHA256 ") else None


async def _keys(issuer: str) -> list[Mapping[str, Any]]:
    """Return the keys that the issuer publishes, at most two hours old, as API Gateway may cache them."""
    try:
        uri = await apigateway._fetch_oidc_jwks_uri(issuer)
        found = await apigateway._fetch_jwks(uri) if uri else {}
        keys = found.get("keys") if isinstance(found, dict) else None
    except (OSError, ValueError, http.client.HTTPException):
        keys = None
    if not isinstance(keys, list):
        raise tokens.RefusedError("the keys of the issuer cannot be read")
    return [key for key in keys if isinstance(key, dict)]


def _unauthorized(reason: str | None = None) -> Answer:
    """Return a 401 (developer guide, "Troubleshooting issues with HTTP API JWT authorizers")."""
    header = (
        "Bearer"
        if reason is None
        else f'Bearer scope="" error="invalid_token" error_description={json.dumps(reason)}'
    )
    return (
        401,
        {"Content-Type": "application/json", "www-authenticate": header},
        json.dumps({"message": "Unauthorized"}).encode(),
    )
