"""Answers of the API held to docs/openapi.json's shapes: a member or a code that it does not name is a mistake."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from infra.openapi.answers import Problem
from infra.openapi.operations import OPERATIONS, Operation
from infra.openapi.problems import Kinds
from promoter.domain.errors import PromotionNotFound, RouteNotFound

UNROUTED: Kinds = frozenset({RouteNotFound, PromotionNotFound})
"""Of what reaches the function on a path without a route."""


def operation_of(method: str, path: str) -> Operation | None:
    """Return the description of the route that serves a path; None: there is no such route."""
    for key, described in OPERATIONS.items():
        template = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(key))
        if re.fullmatch(template, f"{method} {path}"):
            return described
    return None


def require_described(method: str, path: str, status: int, document: Any) -> None:
    """Fail unless the document describes this answer of the function to a request."""
    described = operation_of(method, path.partition("?")[0])
    if described and status in described.answers:
        msgspec.convert(document, described.answers[status][0])
        return
    problem = msgspec.convert(document, Problem)
    kinds = described.errors if described else UNROUTED
    assert problem.code in {kind.code for kind in kinds if kind.http_status == status}, (method, path, document)
    assert problem.status == status
