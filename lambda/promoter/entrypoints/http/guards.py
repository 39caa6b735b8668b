"""Who may use the routes of the HTTP API, in addition to what API Gateway and the rules say."""

from __future__ import annotations

from collections.abc import Callable

from promoter import wiring
from promoter.domain.decision import require_operator
from promoter.domain.errors import PromotionNotFound
from promoter.domain.principal import principal
from promoter.domain.records import Record
from promoter.domain.rule import matches
from promoter.entrypoints.http.gateway import Event, caller
from promoter.settings import Settings

Guard = Callable[[Event], None]
"""Raises NotAllowed for a caller who may not use a route."""


def admit_all(event: Event) -> None:
    """Admit everyone whom API Gateway admits. The policy decides about each promotion."""


def admit_requester(event: Event) -> None:
    """Admit everyone whom API Gateway admits: `promotion_for` decides, as soon as the requester is known."""


def admit_known_callers(event: Event) -> None:
    """Admit operators, and the callers that rules name. The policy decides about each rollback."""
    who = caller(event) or ""
    if not any(matches(who, glob) for rule in wiring.policy().rules for glob in rule.callers or ()):
        admit_operators(event)


def admit_operators(event: Event) -> None:
    """Admit those whom the setting `operators` names. If it names nobody, admit all whom API Gateway admits."""
    if operators := Settings.read().operators:
        require_operator(caller(event), operators)


def promotion_for(event: Event, promotion_id: str, others: Guard) -> Record:
    """Return a promotion to its requester, and to the others whom a guard admits. Raises PromotionNotFound.

    Somebody who is neither learns nothing, not even whether there is such a promotion. Callers are compared by
    their principals, so that a pipeline reads what an earlier run of it has asked for. No issuer is named: a
    deployment has one at most.
    """
    try:
        record = wiring.history().promotion(promotion_id)
    except PromotionNotFound:
        others(event)
        raise
    who = principal(caller(event))
    if not who or who != principal(record.caller):
        others(event)
    return record
