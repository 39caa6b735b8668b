"""What API Gateway hands over with a request: who asks, and with what (HTTP APIs, payload format 2.0)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from promoter.domain.errors import InvalidRequest
from promoter.domain.principal import principal

Event = Mapping[str, Any]
GITHUB = "https://token.actions.githubusercontent.com"


def caller(event: Event) -> str | None:
    """Return who API Gateway authenticated, as a rule's `callers` name it; None for nobody.

    With SigV4 the IAM ARN. With a token `github:` and the subject of GitHub's OIDC token without its `repo:`,
    `github:OWNER/REPO:environment:prod`, or `jwt:` and the subject of any other issuer's.
    """
    authorizer = event["requestContext"].get("authorizer") or {}
    if "iam" in authorizer:
        return (authorizer["iam"] or {}).get("userArn")
    subject = str(claims(event).get("sub") or "")
    if not subject or subject != subject.encode(errors="replace").decode():  # half a surrogate pair names nobody
        return None
    if claims(event).get("iss") == GITHUB:
        return f"github:{subject.removeprefix('repo:')}"
    return f"jwt:{subject}"


def claims(event: Event) -> Mapping[str, Any]:
    """Return what a token says, once API Gateway has verified it; nothing for a signed request."""
    authorizer = event["requestContext"].get("authorizer") or {}
    return (authorizer.get("jwt") or {}).get("claims") or {}


def asking(event: Event) -> str:
    """Return the principal that asks: to it the Idempotency-Key belongs."""
    return principal(caller(event), issuer=claims(event).get("iss"))


def key(event: Event) -> str | None:
    """Return the Idempotency-Key; header names come in lower case."""
    return (event.get("headers") or {}).get("idempotency-key")


def parameters(event: Event) -> Mapping[str, str]:
    """Return the query string's parameters; one that is given twice comes with a comma between."""
    return event.get("queryStringParameters") or {}


def body(event: Event) -> bytes:
    """Return the body's bytes; API Gateway encodes what it takes for binary."""
    text = event.get("body") or ""
    try:
        return base64.b64decode(text) if event.get("isBase64Encoded") else text.encode()
    except ValueError as error:  # half a surrogate pair, or no base64
        raise InvalidRequest(f"the body is not JSON: {error}", field="body") from error
