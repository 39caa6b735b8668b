"""What an answer of the API that is not a success means: an error with its exit code, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ecr_promoter.exits import CommandError, Failed, Refused, UsageMistake

REMEDIES = {
    "invalid_request": "Correct it and run the command again",
    "not_allowed": "Change the request, or the policy: `ecr-promoter policy explain` says what a rule admits",
    "repository_not_found": "Create the repository, or correct its name",
    "promotion_not_found": "Correct the promotionId; `ecr-promoter list` shows the promotions of a repository",
    "route_not_found": "The service is older than this command: upgrade the service",
    "scan_pending": "Run the command again later",
    "superseded": "Promote the newer image instead",
    "tag_busy": "Run the command again later",
    "tag_immutable": "Choose another tag",
    "limit_exceeded": "Delete some tags or images",
    "tag_changed": "Read the tags again with `ecr-promoter heads`, and decide anew",
    "gate_refused": "Fix the image, or add an exception to the rule's gate",
    "frozen": "Run the command again after the freeze; `ecr-promoter freeze` lists the freezes",
    "layers_missing": "Push the layers into this repository first",
    "children_missing": "Push the images of the index into this repository first",
    "throttled": "Run the command again later",
    "internal_error": "Run the command again; the function's log has the cause",
    "registry_error": "Run the command again",
    "digest_mismatch": "Push the image again: its manifest in the registry is damaged",
    "ledger_error": "Run the command again",
    "not_waiting": "There is nothing to cancel; `ecr-promoter status` shows how it ended",
    "expired": "Run the command again, with a longer --expires if that helps",
    "cancelled": "Somebody has cancelled the promotion; run the command again if that was a mistake",
}
"""What to do, by the code of a problem, where the sentence of the service does not say it."""

FAILURES = frozenset(
    {
        "source_not_found",
        "repository_not_found",
        "tag_immutable",
        "limit_exceeded",
        "layers_missing",
        "children_missing",
        "throttled",
        "registry_error",
        "digest_mismatch",
        "tag_busy",
        "interrupted",
        "ledger_error",
        "internal_error",
    }
)
"""The codes of promotions that are FAILED; the others are refusals."""

OF_GATEWAY = {
    401: "The token is missing, expired, or not for this API. Get a new one; --audience must be the API's",
    403: "The call was not let through. Check the credentials (`aws sts get-caller-identity`) and the right "
    "execute-api:Invoke; an API with tokens needs --token",
    404: "There is no such route. Check the address of the API, or upgrade the service",
    413: "The request is larger than API Gateway takes (10 MB)",
    429: "The API limits how many calls it takes. Run the command again later",
}
"""What to do, by the status, where API Gateway itself answered."""

AGAIN = frozenset(
    {
        "scan_pending",
        "tag_busy",
        "reconcile_running",
        "throttled",
        "interrupted",
        "internal_error",
        "registry_error",
        "ledger_error",
    }
)
"""The codes after which the same request may be sent again."""


def understood(status: int, document: Any, url: str) -> dict[str, Any]:
    """Return the document of a success. Raises Failed if a proxy or another server has answered."""
    if isinstance(document, dict) and (status == 204 or document.keys() - {"message"}):
        return document
    raise Failed(
        f"{url} gave an answer that is not the API's. Check --api-url and the proxy; --debug shows the answer."
    )


def error_of(status: int, document: Any) -> CommandError:
    """Return the error for an answer that is not a success."""
    code = document.get("code") if isinstance(document, Mapping) else None
    if not isinstance(code, str):
        return _of_gateway(status, document)
    kind: type[CommandError] = Failed if code in FAILURES or status >= 500 else Refused
    if code == "invalid_request":
        kind = UsageMistake
    return kind(line(document), document=document)


def line(document: Mapping[str, Any]) -> str:
    """Return a problem, or a promotion that was refused, on one line: code, cause, remedy, promotionId."""
    code = document["code"]
    parts = [f"{code}: {document.get('detail') or document.get('title', '')}".rstrip(". ") + "."]
    if remedy := remedy_of(document):
        parts.append(f"{remedy}.")
    if put := [_tag(image) for image in document.get("images", ())]:
        parts.append(f"Put before it: {', '.join(put)}.")
    if document.get("promotionId"):
        parts.append(f"(promotion {document['promotionId']})")
    return " ".join(parts)


def remedy_of(document: Mapping[str, Any]) -> str | None:
    """Return what to do about a problem; None: the service has said it."""
    if document["code"] == "invalid_request" and "unknown field" in str(document.get("detail")):
        return REMEDIES["route_not_found"]
    return REMEDIES.get(document["code"])


def _tag(image: Mapping[str, Any]) -> str:
    return str(image.get("imageTag") or image.get("imageId", {}).get("imageTag"))


def _of_gateway(status: int, document: Any) -> CommandError:
    message = document.get("message") if isinstance(document, Mapping) else None
    said = f"The API answered {status}{f' ({message})' if message else ''}."
    return Failed(f"{said} {OF_GATEWAY.get(status, 'Run the command again; --debug shows the answer')}.")
