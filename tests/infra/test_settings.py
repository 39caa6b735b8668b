"""The settings of cdk.json: what is read, and what the synth refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

from infra.settings import Settings, SettingsError
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


@pytest.mark.parametrize("folder", ["project", "elsewhere"])
@pytest.mark.parametrize(
    ("operators", "text"),
    [
        ([], "operators: is empty"),
        (["jwt:ann", "github:*"], "setting operators[1]: 'github:*' does not fix the owner of a token"),
        (["*:ann"], "setting operators[0]: '*:ann' does not fix the owner of a token"),
    ],
)
def test_authorization_jwt_needs_operators_whose_owner_is_fixed(
    operators: list[str], text: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise strangers with a token of the issuer could freeze. Without tokens, IAM keeps strangers out."""
    if folder == "elsewhere":  # where no cdk.json is
        monkeypatch.chdir(tmp_path)

    with pytest.raises(SettingsError) as raised:
        read(**JWT | {"operators": operators})

    assert text in f"{raised.value}"
    assert read(operators=operators).operators == operators


def test_a_mistake_among_the_operators_has_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The setting of cdk.json is named with line, column and remedy, all mistakes at once."""
    operators = ["arn:aws:iam::*:user/ops", "jwt:*", "github:*/web:environment:ops"]
    (tmp_path / "cdk.json").write_text(json.dumps({"context": CONTEXT | {"operators": operators}}, indent=2))
    monkeypatch.chdir(tmp_path)

    with pytest.raises(SettingsError) as raised:
        read(**JWT | {"operators": operators})

    one, two = f"{raised.value}".splitlines()
    assert one.startswith("cdk.json:19:7: context.operators[1]: 'jwt:*' does not fix the owner of a token: write ")
    assert two.startswith("cdk.json:20:7: context.operators[2]: 'github:*/web:environment:ops' does not fix")


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
