"""Whom the routes of the HTTP API are for, beside what API Gateway and the rules say."""

from __future__ import annotations

from collections.abc import Callable

from promoter import wiring
from promoter.domain.errors import NotAllowed
from promoter.domain.policy import matches
from promoter.entrypoints.http.gateway import Event, caller
from promoter.settings import Settings

Guard = Callable[[Event], None]
"""Raises NotAllowed for a caller that a route is not for."""


def left_to_the_rules(event: Event) -> None:
    """Let in whom API Gateway lets in: the policy judges."""


def for_the_known(event: Event) -> None:
    """Let in operators, and the callers that rules name."""
    globs = {glob for rule in wiring.policy().rules for glob in rule.callers or ()}
    if not any(matches(caller(event) or "", glob) for glob in globs):
        for_operators(event)


def for_operators(event: Event) -> None:
    """Let in those whom the setting `operators` names; where it names nobody, all whom API Gateway lets in."""
    if Settings.read().operators:
        for_named_operators(event)


def for_named_operators(event: Event) -> None:
    """Let in those whom the setting `operators` names, and nobody where it is left out."""
    if not any(matches(caller(event) or "", glob) for glob in Settings.read().operators):
        raise NotAllowed(f"caller {caller(event)} is no operator: the setting operators names who is")
