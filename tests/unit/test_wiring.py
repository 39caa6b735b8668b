"""What the function builds for itself."""

from __future__ import annotations

import functools

import pytest

from promoter import wiring
from promoter.domain.policy import Policy

SETTINGS = {
    "PROMOTER_REGISTRY_ID": "123456789012",
    "PROMOTER_TABLE": "table",
    "PROMOTER_LEASE_SECONDS": "30",
    "PROMOTER_HISTORY_DAYS": "1",
    "PROMOTER_OPERATORS": '["arn:x"]',
    "AWS_REGION": "eu-central-1",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
}
CACHED = ("dependencies", "ledger", "history", "freezes", "registry", "image_facts", "_table", "_ecr")


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> None:
    """Build everything anew, on these settings, and forget it afterwards."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    for name in CACHED:
        monkeypatch.setattr(wiring, name, functools.cache(getattr(wiring, name).__wrapped__))
    monkeypatch.setattr(wiring, "policy", lambda: Policy((), (), "123456789012"))


def test_those_who_promote_go_by_the_freezes_of_those_who_freeze(built: None) -> None:
    """One object: a freeze that is set in an execution environment is known there at once."""
    assert wiring.dependencies().freezes is wiring.freezes()


def test_keys_of_the_table_are_of_the_own_region(built: None) -> None:
    """As Lambda tells it."""
    table = wiring.ledger()._table

    assert (table.name, table.region) == ("table", "eu-central-1")
    assert wiring.dependencies().operators == ("arn:x",)
