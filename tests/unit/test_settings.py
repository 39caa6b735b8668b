"""What the function is told by its environment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from promoter.settings import Settings

LAMBDA = Path(__file__).parents[2] / "lambda"


def test_a_missing_variable_is_named() -> None:
    """A function deployed without the stack says what it lacks."""
    told = {
        "AWS_REGION": "eu-central-1",
        "PROMOTER_REGISTRY_ID": "123456789012",
        "PROMOTER_TABLE": "t",
        "PROMOTER_LEASE_SECONDS": "33",
        "PROMOTER_HISTORY_DAYS": "400",
        "PROMOTER_EVENTS_QUEUE": "https://sqs/events",
        "PROMOTER_FAILED_EVENTS_QUEUE": "https://sqs/failed",
        "PROMOTER_UNANNOUNCED_QUEUE": "https://sqs/unannounced",
        "PROMOTER_EVENT_TRIES": "5",
        "PROMOTER_EVENT_RETRY_SECONDS": "60",
        "PROMOTER_OPERATORS": '["*"]',
    }

    assert Settings.read(told).table == "t"
    for name in told:
        with pytest.raises(RuntimeError, match=name):
            Settings.read({key: value for key, value in told.items() if key != name})


def test_importing_the_function_does_nothing() -> None:
    """No environment is needed, no client is made, and what only HTTP or synth needs is not even loaded.

    boto3 itself is loaded: every invocation needs it.
    """
    code = (
        "import sys, promoter.handler, boto3;"
        "sys.exit('a client was made') if boto3.DEFAULT_SESSION else None;"
        "unwanted = {'yaml', 'pydantic', 'msgspec', 'aws_lambda_powertools.event_handler'} & sys.modules.keys();"
        "sys.exit(f'loaded: {unwanted}' if unwanted else 0)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=LAMBDA, env={}, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
