"""schemathesis finds no answer of the deployed API that docs/openapi.json does not describe."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Stack
from tests.openapi import runs
from tests.torture import fuzz
from tests.torture.deployment import Deployment


@pytest.mark.parametrize(
    "phases", [["coverage"], ["examples,fuzzing", "--max-examples", "15"]], ids=lambda each: each[0]
)
def test_every_answer_is_as_the_document_says(stack: Stack, phases: list[str]) -> None:
    """Statuses, headers, shapes and codes; what does not fit a schema is refused, and so is who did not sign.

    Every run makes the same requests. `make torture` makes others, as many as it has time for.
    """
    deployment = Deployment(stack.aws, stack.variables)

    run = runs.run(deployment, fuzz.prepared(deployment), "--seed", "1", "--phases", *phases)
    fuzz.lift_freezes(deployment, "")

    assert run.failures == [], run.printed
    assert run.requests > 100
    assert run.accepted > 5
