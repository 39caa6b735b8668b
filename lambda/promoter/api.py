"""The HTTP API: routes, answers and problem documents. Imported only when an HTTP request comes."""

from __future__ import annotations

import base64
import functools
import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from promoter import requests, telemetry
from promoter.errors import InternalError, InvalidRequest, PromoterError
from promoter.model import Promoted, Repository, TagMove
from promoter.service import attempt
from promoter.settings import Settings

GITHUB = "https://token.actions.githubusercontent.com"
PROBLEM = "application/problem+json"  # RFC 9457
MAX_MANIFEST_BYTES = 5_000_000  # of manifests in one answer; Lambda answers with 6 MB at most


@functools.cache
def resolver() -> APIGatewayHttpResolver:
    """Build the routes, once."""
    app = APIGatewayHttpResolver()

    @app.post("/promotions")
    def post_promotion() -> Response[str]:
        return promote(app.current_event.raw_event)

    @app.exception_handler(Exception)  # type: ignore[untyped-decorator]
    def unexpected(error: Exception) -> Response[str]:
        telemetry.logger.error("internal error", exc_info=error)
        return refused(InternalError("try again; the function's log has the cause"), promotion_id=None)

    return app


def promote(event: Mapping[str, Any]) -> Response[str]:
    """Serve `POST /promotions`."""
    settings = Settings.read()
    origin = requests.Origin(str(uuid.uuid4()), caller(event), settings.registry_id, settings.region)
    try:
        wish = requests.promotion(body(event), origin)
    except InvalidRequest as error:
        telemetry.report_invalid(error, promotion_id=origin.promotion_id, caller=origin.caller)
        return refused(error, promotion_id=origin.promotion_id)
    answer = attempt(wish)
    if isinstance(answer, PromoterError):
        done = [image(wish.repository, answer.image_digest, move) for move in answer.moves]
        return refused(answer, promotion_id=wish.promotion_id, images=done)
    return respond(200, "application/json", promoted(answer))


def caller(event: Mapping[str, Any]) -> str | None:
    """Return who API Gateway authenticated, as a rule's `callers` name it; None for nobody.

    With SigV4 the IAM ARN. With a token `github:` and the subject of GitHub's OIDC token without its `repo:`,
    `github:OWNER/REPO:environment:prod`, or `jwt:` and the subject of any other issuer's.
    """
    authorizer = event["requestContext"].get("authorizer") or {}
    if "iam" in authorizer:
        return (authorizer["iam"] or {}).get("userArn")
    claims = (authorizer.get("jwt") or {}).get("claims") or {}
    subject = claims.get("sub")
    if not subject:
        return None
    if claims.get("iss") == GITHUB:
        return f"github:{str(subject).removeprefix('repo:')}"
    return f"jwt:{subject}"


def body(event: Mapping[str, Any]) -> bytes:
    """Return the body's bytes; API Gateway encodes what it takes for binary."""
    text = event.get("body") or ""
    try:
        return base64.b64decode(text) if event.get("isBase64Encoded") else text.encode()
    except ValueError as error:  # half a surrogate pair, or no base64
        raise InvalidRequest(f"the body is not JSON: {error}", field="body") from error


def promoted(answer: Promoted) -> dict[str, Any]:
    """Return the answer's document; each image has PutImage's `image` structure and what became of its tag."""
    manifest, text = answer.manifest, answer.manifest.body.decode()
    fitting = MAX_MANIFEST_BYTES // len(json.dumps(json.dumps(text)))  # a body is JSON inside Lambda's JSON
    images = [
        image(answer.repository, manifest.digest, move)
        | ({"imageManifest": text} if number < fitting else {})
        | {"imageManifestMediaType": manifest.media_type}
        for number, move in enumerate(answer.moves)
    ]
    return {
        "promotionId": answer.promotion_id,
        "outcome": answer.outcome,
        "rule": answer.rule,
        "images": images,
    }


def image(repository: Repository, digest: str | None, move: TagMove) -> dict[str, Any]:
    """Return one tag's entry, without the manifest."""
    return {
        "registryId": repository.registry_id,
        "repositoryName": repository.name,
        "imageId": {"imageDigest": digest, "imageTag": move.image_tag},
        "outcome": move.outcome,
        "previousDigest": move.previous_digest,
    }


def refused(
    error: PromoterError, *, promotion_id: str | None, images: Sequence[Mapping[str, Any]] = ()
) -> Response[str]:
    """Return an error as a problem document (RFC 9457); `images` are the tags put before it happened."""
    document = {
        "type": f"urn:ecr-promoter:{error.code}",
        "title": error.title,
        "status": error.http_status,
        "detail": error.detail,
        "code": error.code,
    }
    reasons = [telemetry.reason(each) for each in error.reasons]
    extension = {"promotionId": promotion_id, "field": error.field, "reasons": reasons, "images": images}
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
    return respond(error.http_status, PROBLEM, document | {k: v for k, v in extension.items() if v}, headers)


def respond(
    status: int, content_type: str, document: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> Response[str]:
    """Return a JSON response that no cache keeps."""
    return Response(
        status_code=status,
        content_type=content_type,
        body=json.dumps(document),
        headers={"Cache-Control": "no-store", **(headers or {})},
    )
