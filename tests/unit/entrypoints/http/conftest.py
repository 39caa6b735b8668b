"""A request as API Gateway hands it over, and what the stack tells the function."""

from __future__ import annotations

from typing import Any

import pytest

from promoter.entrypoints.http.gateway import Event
from promoter.entrypoints.http.origin import Origin
from tests.support.policies import ACCOUNT

REGION = "eu-central-1"
ORIGIN = Origin(
    caller=f"arn:aws:sts::{ACCOUNT}:assumed-role/deployer/run-7",
    principal=f"arn:aws:sts::{ACCOUNT}:assumed-role/deployer",
    idempotency_key="deploy-7",
    registry_id=ACCOUNT,
    region=REGION,
)


def event(authorizer: Any = None, **members: Any) -> Event:
    """Return a request of payload format 2.0."""
    return Event({"requestContext": {"authorizer": authorizer}} | members)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """What the stack tells the promoter."""
    for name, value in {
        "AWS_REGION": REGION,
        "PROMOTER_REGISTRY_ID": ACCOUNT,
        "PROMOTER_TABLE": "table",
        "PROMOTER_LEASE_SECONDS": "30",
        "PROMOTER_HISTORY_DAYS": "1",
        "PROMOTER_OPERATORS": "[]",
    }.items():
        monkeypatch.setenv(name, value)
    return monkeypatch
