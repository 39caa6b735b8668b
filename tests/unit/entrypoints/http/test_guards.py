"""Who may use which routes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from promoter import wiring
from promoter.domain.errors import NotAllowed, PromotionNotFound
from promoter.domain.model import ImageId, Trigger
from promoter.domain.records import Record
from promoter.entrypoints.http import guards
from promoter.entrypoints.http.gateway import GITHUB
from promoter.entrypoints.http.guards import Guard
from tests.support.policies import ACCOUNT, policy, rule
from tests.support.registries import REPOSITORY
from tests.unit.entrypoints.http.conftest import event

OPERATOR, PIPELINE, STRANGER = (
    f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/x" for name in ("operator", "deployer", "stranger")
)


@pytest.fixture(autouse=True)
def promoter(environment: pytest.MonkeyPatch) -> None:
    """The stack names an operator, and a rule its callers."""
    environment.setenv("PROMOTER_OPERATORS", '["arn:aws:sts::*:assumed-role/operator/*"]')
    rules = policy(rule(), rule(name="other", callers=["arn:aws:sts::*:assumed-role/deployer/*"]))
    environment.setattr(wiring, "policy", lambda: rules)


def admits(guard: Guard, caller: str | None) -> bool:
    try:
        guard(event({"iam": {"userArn": caller}}))
    except NotAllowed:
        return False
    return True


@pytest.mark.parametrize(
    ("guard", "admitted"),
    [
        (guards.admit_all, {OPERATOR, PIPELINE, STRANGER, None}),
        (guards.admit_requester, {OPERATOR, PIPELINE, STRANGER, None}),
        (guards.admit_known_callers, {OPERATOR, PIPELINE}),
        (guards.admit_operators, {OPERATOR}),
    ],
)
def test_a_route_is_for_those_whom_its_guard_admits(guard: Guard, admitted: set[str | None]) -> None:
    """Somebody whom API Gateway did not name is nobody's operator or caller."""
    assert {caller for caller in (OPERATOR, PIPELINE, STRANGER, None) if admits(guard, caller)} == admitted


@pytest.mark.parametrize("guard", [guards.admit_known_callers, guards.admit_operators])
def test_who_is_not_admitted_learns_what_decides(guard: Guard) -> None:
    """The caller as API Gateway named it, and the setting."""
    with pytest.raises(NotAllowed, match=f"Caller {STRANGER} is not an operator. The setting operators"):
        guard(event({"iam": {"userArn": STRANGER}}))


@pytest.mark.parametrize("guard", [guards.admit_known_callers, guards.admit_operators])
def test_where_no_operators_are_named_api_gateway_decides(guard: Guard, environment: pytest.MonkeyPatch) -> None:
    """That is the default of the setting."""
    environment.setenv("PROMOTER_OPERATORS", "[]")

    assert admits(guard, STRANGER)


class History:
    """One promotion, which a caller has asked for."""

    def __init__(self, caller: str | None) -> None:
        asked_at = datetime(2026, 11, 24, tzinfo=UTC)
        self.record = Record("p-1", Trigger.REQUEST, REPOSITORY, ImageId("staging"), asked_at, caller=caller)

    def promotion(self, promotion_id: str) -> Record:
        if promotion_id != self.record.promotion_id:
            raise PromotionNotFound("unknown")
        return self.record


def may_have(environment: pytest.MonkeyPatch, requester: str | None, caller: str | None, *, others: Guard) -> bool:
    """Say whether a caller gets the promotion that a requester has asked for."""
    history = History(requester)
    environment.setattr(wiring, "history", lambda: history)
    authorizer = {"iam": {"userArn": caller}} if (caller or "").startswith("arn:") else token(caller)
    try:
        return guards.promotion_for(event(authorizer), "p-1", others) == history.record
    except NotAllowed:
        return False


def token(caller: str | None) -> dict[str, Any] | None:
    """Return what API Gateway says of a caller with a token."""
    issuer = GITHUB if (caller or "").startswith("github:") else "https://issuer.example"
    subject = (caller or "").replace("github:", "repo:").removeprefix("jwt:")
    return {"jwt": {"claims": {"iss": issuer, "sub": subject}}} if caller else None


def role(name: str, session: str) -> str:
    return f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{session}"


SSO = "AWSReservedSSO_Developer_0123456789abcdef"


@pytest.mark.parametrize("others", [guards.admit_known_callers, guards.admit_operators])
@pytest.mark.parametrize(
    ("requester", "caller", "is_same"),
    [
        (role("other", "run-7"), role("other", "run-8"), True),
        (role("other", "run-7"), role("stranger", "run-7"), False),
        (role(SSO, "ann"), role(SSO, "ann"), True),
        (role(SSO, "ann"), role(SSO, "eve"), False),
        ("jwt:project:7", "jwt:project:7", True),
        ("jwt:project:7", "jwt:project:8", False),
        ("github:owner/repo:ref:x", "github:owner/repo:ref:x", True),
        ("github:owner/repo:ref:x", "github:owner/repo:ref:y", False),
        (None, STRANGER, False),
        (None, None, False),
        (role("other", "run-7"), None, False),
    ],
)
def test_a_promotion_belongs_to_the_principal_that_asked_for_it(
    environment: pytest.MonkeyPatch, requester: str | None, caller: str | None, others: Guard, *, is_same: bool
) -> None:
    """Whether a rule names it or not. What an event asked for belongs to nobody."""
    assert may_have(environment, requester, caller, others=others) is is_same


@pytest.mark.parametrize(
    ("others", "admitted"),
    [(guards.admit_known_callers, {OPERATOR, PIPELINE}), (guards.admit_operators, {OPERATOR})],
)
def test_the_promotion_of_somebody_else_is_for_those_whom_the_guard_admits(
    environment: pytest.MonkeyPatch, others: Guard, admitted: set[str]
) -> None:
    """Operators cancel for everybody; callers of other rules only read."""
    everybody = (OPERATOR, PIPELINE, STRANGER)

    assert {each for each in everybody if may_have(environment, role("x", "y"), each, others=others)} == admitted


def test_strangers_do_not_learn_which_promotions_exist(environment: pytest.MonkeyPatch) -> None:
    """The answer is the same for one that exists; operators learn that it does not."""
    environment.setattr(wiring, "history", lambda: History(None))

    for promotion_id in ("p-1", "p-2"):
        with pytest.raises(NotAllowed):
            guards.promotion_for(event({"iam": {"userArn": STRANGER}}), promotion_id, guards.admit_operators)
    with pytest.raises(PromotionNotFound):
        guards.promotion_for(event({"iam": {"userArn": OPERATOR}}), "p-2", guards.admit_operators)
