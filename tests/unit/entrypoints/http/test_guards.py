"""Who may use which routes."""

from __future__ import annotations

import pytest

from promoter import wiring
from promoter.domain.errors import NotAllowed
from promoter.entrypoints.http import guards
from promoter.entrypoints.http.guards import Guard
from tests.support.policies import ACCOUNT, policy, rule
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
