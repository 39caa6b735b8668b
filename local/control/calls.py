"""Records the calls to the local AWS: `GET /_local/calls`, `DELETE /_local/calls`."""

from __future__ import annotations

import json
from collections import deque
from typing import Any

from msgspec import Struct, to_builtins

RECORDED = 10_000


class Call(Struct, rename="camel", omit_defaults=True):
    """An AWS API call, or a request to the registry (`service` "registry", `operation` such as "GET blob").

    `repository` is the repository that a call of ECR's JSON API names.
    """

    service: str
    operation: str
    status: int
    request_bytes: int
    response_bytes: int
    principal: str | None = None
    repository: str | None = None


def repository_of(service: str, body: bytes) -> str | None:
    """Return the repository that a call of ECR's JSON API names; None for other calls."""
    try:
        document = json.loads(body) if service == "ecr" and body else None
    except ValueError:
        return None
    name = document.get("repositoryName") if isinstance(document, dict) else None
    return name if isinstance(name, str) else None


class Calls:
    """The newest calls, in the order in which they were answered."""

    def __init__(self) -> None:
        self._calls: deque[Call] = deque(maxlen=RECORDED)

    def add(self, call: Call) -> None:
        """Record a call; the oldest is dropped when there are too many."""
        self._calls.append(call)

    def listed(self) -> dict[str, Any]:
        """Return the calls since the last `clear`."""
        return {"calls": to_builtins(list(self._calls))}

    def clear(self) -> dict[str, Any]:
        """Drop all calls."""
        self._calls.clear()
        return self.listed()
