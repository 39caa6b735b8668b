"""Reads the members of ECR API requests, with the limits of the service model."""

from __future__ import annotations

import re
from typing import Any, TypeVar

from local.ecr.errors import EcrError, InvalidParameter

NAME = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*"
TAG = "[a-zA-Z0-9-_.]+"
DIGEST = "[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+"
MANIFEST_BYTES = 4 * 1024 * 1024

T = TypeVar("T")


def required(request: dict[str, Any], name: str) -> Any:
    """Return a required member. Raises InvalidParameter."""
    if request.get(name) in (None, ""):
        raise InvalidParameter(name, "Member must not be null")
    return request[name]


def matching(value: str, pattern: str, parameter: str) -> str:
    """Return the value if the whole value matches the pattern. Raises InvalidParameter."""
    if not re.fullmatch(pattern, value):
        raise InvalidParameter(parameter, f"must satisfy regular expression '{pattern}'")
    return value


def repository_name(value: str) -> str:
    """Return a valid repository name. Raises InvalidParameter."""
    if not 2 <= len(value) <= 256:
        raise InvalidParameter("repositoryName", "must have length between 2 and 256")
    return matching(value, NAME, "repositoryName")


def tag(value: str) -> str:
    """Return a valid image tag. Raises InvalidParameter."""
    if not 1 <= len(value) <= 300:
        raise InvalidParameter("imageTag", "must have length between 1 and 300")
    return matching(value, TAG, "imageTag")


def listed(request: dict[str, Any], name: str, most: int) -> list[Any]:
    """Return a list of 1 to `most` members. Raises InvalidParameter."""
    values = required(request, name)
    if not isinstance(values, list) or not 1 <= len(values) <= most:
        raise InvalidParameter(name, f"Member must have length between 1 and {most}")
    return values


def page(items: list[T], request: dict[str, Any], *, default: int, most: int) -> tuple[list[T], dict[str, str]]:
    """Return the page for the request's `maxResults` and `nextToken`, and the `nextToken` of the next page."""
    size = request.get("maxResults") or default
    if not 1 <= size <= most:
        raise InvalidParameter("maxResults", f"must be between 1 and {most}")
    token = request.get("nextToken") or "0"
    if not token.isdecimal():
        raise EcrError(
            "InvalidParameterException", "Invalid parameter: the nextToken is not one that was returned"
        )
    start = int(token)
    end = start + size
    return items[start:end], ({"nextToken": str(end)} if end < len(items) else {})
