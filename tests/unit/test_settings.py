"""What the function is told by its environment."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from promoter.settings import AnnouncerSettings, EventSettings, RunSettings, Settings

LAMBDA = Path(__file__).parents[2] / "lambda"


Kind = type[Settings | EventSettings | RunSettings | AnnouncerSettings]
ENVIRONMENTS: dict[Kind, dict[str, str]] = {
    Settings: {
        "AWS_REGION": "eu-central-1",
        "PROMOTER_REGISTRY_ID": "123456789012",
        "PROMOTER_TABLE": "t",
        "PROMOTER_LEASE_SECONDS": "33",
        "PROMOTER_HISTORY_DAYS": "400",
        "PROMOTER_OPERATORS": '["*"]',
    },
    EventSettings: {
        "PROMOTER_EVENTS_QUEUE": "https://sqs/events",
        "PROMOTER_FAILED_EVENTS_QUEUE": "https://sqs/failed",
        "PROMOTER_EVENT_TRIES": "5",
        "PROMOTER_EVENT_RETRY_SECONDS": "60",
    },
    RunSettings: {"PROMOTER_RECONCILE_SECONDS": "840"},
    AnnouncerSettings: {"PROMOTER_UNANNOUNCED_QUEUE": "https://sqs/unannounced"},
}
"""What each part of the code needs: a function is given only what it has."""


@pytest.mark.parametrize("kind", ENVIRONMENTS, ids=lambda kind: kind.__name__)
def test_a_missing_variable_is_named(kind: Kind) -> None:
    """A function deployed without the stack says what it lacks."""
    environment = ENVIRONMENTS[kind]

    kind.read(environment)
    for name in environment:
        with pytest.raises(RuntimeError, match=name):
            kind.read({key: value for key, value in environment.items() if key != name})


@pytest.mark.parametrize(
    ("kind", "name", "text"),
    [
        (Settings, "PROMOTER_LEASE_SECONDS", "half a minute"),
        (Settings, "PROMOTER_HISTORY_DAYS", ""),
        (Settings, "PROMOTER_PATIENCE_SECONDS", "1.5"),
        (Settings, "PROMOTER_OPERATORS", "arn:aws:iam::123456789012:user/ann"),
        (Settings, "PROMOTER_OPERATORS", '"arn:aws:iam::123456789012:user/ann"'),
        (Settings, "PROMOTER_OPERATORS", "[null]"),
        (EventSettings, "PROMOTER_EVENT_TRIES", "five"),
        (EventSettings, "PROMOTER_EVENT_RETRY_SECONDS", "PT1M"),
        (RunSettings, "PROMOTER_RECONCILE_SECONDS", "840s"),
    ],
)
def test_a_variable_that_cannot_be_read_is_named_with_its_text(kind: Kind, name: str, text: str) -> None:
    """Also one text where a list of operators belongs: each of its letters would be a glob on callers."""
    with pytest.raises(RuntimeError, match=name) as raised:
        kind.read(ENVIRONMENTS[kind] | {name: text})

    assert str(raised.value).endswith(text)


@pytest.mark.parametrize(("environment", "seconds"), [({}, 10), ({"PROMOTER_PATIENCE_SECONDS": "3"}, 3)])
def test_the_reconciler_is_less_patient(environment: dict[str, str], seconds: int) -> None:
    """Its next run tries again what has to wait; nobody does that for a request."""
    assert Settings.read(ENVIRONMENTS[Settings] | environment).patience == timedelta(seconds=seconds)


def test_importing_the_function_does_nothing() -> None:
    """No environment is needed, no client is made, and what only HTTP or synth needs is not even loaded.

    boto3 itself is loaded: every invocation needs it.
    """
    code = (
        "import sys, promoter.handler, boto3;"
        "sys.exit('a client was made') if boto3.DEFAULT_SESSION else None;"
        "unwanted = {'yaml', 'pydantic', 'msgspec', 'aws_lambda_powertools.event_handler',"
        " 'promoter.entrypoints.http'} & sys.modules.keys();"
        "sys.exit(f'loaded: {unwanted}' if unwanted else 0)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=LAMBDA, env={}, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
