"""Makes BatchGetImage fail on a tag, beside answers for the others: `POST /_local/failures`."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, convert

from local.ecr.store import repository


class FailureRequest(Struct, rename="camel", forbid_unknown_fields=True):
    """With which failure BatchGetImage is to answer a tag from now on; null: as it does by itself."""

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
    """Make BatchGetImage fail on one tag of a repository, in HTTP 200, until it is told otherwise."""
    request = convert(body, FailureRequest)
    failures = repository({"repositoryName": request.repository_name}).failures
    failures.pop(request.image_tag, None)
    if request.failure_code:
        failures[request.image_tag] = request.failure_code
    return {"failures": dict(failures)}
