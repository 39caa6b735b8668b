"""What API Gateway hands over with a request: who asks, and with what (HTTP APIs, payload format 2.0).

Powertools reads the event. What is decided here is what our API promises beyond that.
"""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2

from promoter.domain.errors import InvalidRequest
from promoter.domain.principal import principal
from promoter.entrypoints.http.origin import Origin
from promoter.settings import Settings

Event = APIGatewayProxyEventV2
GITHUB = "https://token.actions.githubusercontent.com"


def caller(event: Event) -> str | None:
    """Return who API Gateway authenticated, as a rule's `callers` name it; None for nobody.

    With SigV4 this is the IAM ARN. With a token of GitHub's OIDC issuer it is `github:` and the subject without
    its `repo:`, as in `github:OWNER/REPO:environment:prod`. With a token of another issuer it is `jwt:` and the
    subject.

    The authorizer of a route writes either the IAM identity or the claims, and nothing in the request can add to
    that. An event with both was not made by API Gateway, so it names nobody.
    """
    arn, claims = event.request_context.authorizer.iam.user_arn, _claims(event)
    if arn:
        return None if claims else arn
    subject = str(claims.get("sub") or "")
    # JSON can hold half of a surrogate pair. Powertools hands it on, but DynamoDB and the logs take only UTF-8.
    if not subject or subject != subject.encode(errors="replace").decode():
        return None
    if claims.get("iss") == GITHUB:
        return f"github:{subject.removeprefix('repo:')}"
    return f"jwt:{subject}"


def origin(event: Event) -> Origin:
    """Return what the body of a request does not say: who sent it, and where the function runs."""
    settings, who = Settings.read(), caller(event)
    return Origin(
        caller=who,
        principal=principal(who, issuer=_claims(event).get("iss")),
        idempotency_key=event.headers.get("idempotency-key"),
        registry_id=settings.registry_id,
        region=settings.region,
    )


def body(event: Event) -> bytes:
    """Return the body's bytes; API Gateway encodes in base64 what it takes for binary."""
    try:
        return (event.decoded_body or "").encode()
    except ValueError as error:  # Powertools raises for what is not base64 or not UTF-8; JSON is always UTF-8
        raise InvalidRequest(f"The body is not JSON: {error}", field="body") from error


def _claims(event: Event) -> dict[str, Any]:
    """Return what a token says, once API Gateway has verified it; nothing for a signed request."""
    return event.request_context.authorizer.jwt_claim
