"""The settings of cdk.json: what is read, and what the synth refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

from infra.policy import file as policy_file
from infra.settings import Settings, SettingsError, check_callers
from tests.infra.conftest import CONTEXT, JWT


def read(**context: object) -> Settings:
    return Settings.read(cdk.App(context=CONTEXT | context).node)


def test_more_operators_than_the_environment_has_room_for_are_refused() -> None:
    """A function has 4 KB of variables (Lambda quotas, "Environment variables"): the deployment would fail."""
    globs = [f"arn:aws:sts::123456789012:assumed-role/team-{number}-operators/*" for number in range(80)]

    with pytest.raises(SettingsError, match="operators"):
        read(operators=globs)

    assert len(read(operators=globs[:40]).operators) == 40


@pytest.mark.parametrize("days", [3_000_000, 10**12])
def test_a_history_of_too_many_days_is_refused(days: int) -> None:
    """It could be deployed, and then no record could be written: the date of its end does not exist."""
    with pytest.raises(SettingsError, match="historyDays"):
        read(historyDays=days)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("stage", "prod"),
        ("memory", 64),
        ("memory", "much"),
        ("memory", 512.5),
        ("concurrency", 0),
        ("concurrency", 10),
        ("timeout", 60),
        ("logRetentionDays", 8),
        ("logLevel", "LOUD"),
        ("authorization", "none"),
        ("authorization", "jwt"),
        ("jwtAudience", [1]),
        ("jwtAudience", "a,,b"),
        ("jwtIssuer", "issuer.example"),
        ("historyDays", 0),
        ("eventConcurrency", 1),
        ("operators", ["ann"]),
        ("reconcileMinutes", 1),
        ("alarmEmail", "nobody"),
        ("apiRate", None),
        ("apiRate", 0),
        ("apiBurst", -3),
    ],
)
def test_a_wrong_setting_is_named(setting: str, value: Any) -> None:
    """The synth fails before anything is deployed."""
    app = cdk.App(context={key: v for key, v in (CONTEXT | {setting: value}).items() if v is not None})

    with pytest.raises(SettingsError, match=setting):
        Settings.read(app.node)


def test_authorization_jwt_needs_operators() -> None:
    """Otherwise every holder of a token could freeze and reconcile."""
    context = {key: value for key, value in (CONTEXT | JWT | {"operators": []}).items() if value is not None}

    with pytest.raises(SettingsError, match="operators"):
        Settings.read(cdk.App(context=context).node)


def test_authorization_jwt_needs_callers(tmp_path: Path) -> None:
    """Every request rule must name its callers."""
    file = tmp_path / "promotions.yaml"
    file.write_text("rules: [{name: open, on: request, repositories: [web], to: [prod]}]")
    settings = Settings.read(cdk.App(context=CONTEXT | JWT).node)

    with pytest.raises(SettingsError, match="give rule open callers"):
        check_callers(settings, policy_file.read(file))


def test_settings_can_be_given_on_the_command_line() -> None:
    """`cdk -c name=value` passes numbers as text, and lists with commas."""
    given = {
        "authorization": "jwt",
        "jwtIssuer": "https://issuer.example",
        "jwtAudience": "a, b",
        "operators": "jwt:ann,jwt:bob",
        "concurrency": "50",
    }

    settings = Settings.read(cdk.App(context=CONTEXT | given).node)

    assert settings.jwtAudience == ["a", "b"]
    assert settings.operators == ["jwt:ann", "jwt:bob"]
    assert settings.concurrency == 50
