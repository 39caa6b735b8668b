"""Makes BatchGetImage answer a failure for one tag: `POST /_local/failures`."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, convert

from local.ecr.store import repository


class FailureRequest(Struct, rename="camel", forbid_unknown_fields=True):
    """The failure that BatchGetImage answers for a tag from now on; null removes it."""

    repository_name: str
    image_tag: str
    failure_code: (
        Literal[
            "KmsError",
            "UpstreamAccessDenied",
            "UpstreamTooManyRequests",
            "UpstreamUnavailable",
            "ImageInaccessible",
        ]
        | None
    )


def fail(body: Any) -> dict[str, Any]:
    """Set or remove the failure of one tag. BatchGetImage lists it in `failures[]` of an HTTP 200."""
    request = convert(body, FailureRequest)
    failures = repository({"repositoryName": request.repository_name}).failures
    failures.pop(request.image_tag, None)
    if request.failure_code:
        failures[request.image_tag] = request.failure_code
    return {"failures": dict(failures)}
