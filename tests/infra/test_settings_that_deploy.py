"""Settings that the synth must not let through."""

from __future__ import annotations

import aws_cdk as cdk
import pytest

from infra.settings import Settings, SettingsError
from tests.infra.conftest import CONTEXT


def read(**context: object) -> Settings:
    return Settings.read(cdk.App(context=CONTEXT | context).node)


def test_more_operators_than_a_function_can_hold_are_refused() -> None:
    """Lambda takes 4 KB of variables (quotas, "Environment variables"): the deployment would fail half-way."""
    globs = [f"arn:aws:sts::123456789012:assumed-role/team-{number}-operators/*" for number in range(80)]

    with pytest.raises(SettingsError, match="operators"):
        read(operators=globs)

    assert len(read(operators=globs[:40]).operators) == 40


@pytest.mark.parametrize("days", [3_000_000, 10**12])
def test_a_history_without_end_is_refused(days: int) -> None:
    """It deploys, and then no promotion can be recorded: its end is a date that does not exist."""
    with pytest.raises(SettingsError, match="historyDays"):
        read(historyDays=days)
