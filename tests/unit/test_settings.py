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
    with pytest.raises(RuntimeError, match="PROMOTER_REGISTRY_ID"):
        Settings.read({"AWS_REGION": "eu-central-1"})


def test_importing_the_function_does_nothing() -> None:
    """No environment is needed, no client is made: neither boto3 nor the HTTP side is even loaded."""
    code = (
        "import sys, promoter.handler;"
        "unwanted = {'yaml', 'pydantic', 'msgspec', 'aws_lambda_powertools.event_handler'} & sys.modules.keys();"
        "sys.exit(f'loaded: {unwanted}' if unwanted else 0)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=LAMBDA, env={}, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
