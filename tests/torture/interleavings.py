"""The interleavings: promotions, rollbacks, freezes, crashes and reconcile runs in any order, step by step.

Hypothesis generates short examples; long walks go through more kinds of steps, or through those of promotions that
wait.
"""

from __future__ import annotations

import time

from local.aws import LocalAws
from tests.adapters import interleavings as examples
from tests.adapters import waiting_walks, walks
from tests.torture.results import Results

PART = "interleavings"
EXAMPLES = 20  # of one seed: enough to repay the setup, few enough to reproduce a failure quickly
WALKS, STEPS = 3, 40  # of one seed


def explore(aws: LocalAws, seed: int, seconds: float) -> Results:
    """Run examples for so long, from the seed and the seeds after it. Stops at the first failure."""
    results, until = Results(PART, seed), time.monotonic() + seconds
    while not results.violations and (time.monotonic() < until or not results.counts):
        run(aws, seed + results.counts["seeds"], results)
    return results


def run(aws: LocalAws, seed: int, results: Results) -> None:
    """Run the examples and the walks of one seed."""
    results.counts["seeds"] += 1
    try:
        examples.explore(aws, seed, examples=EXAMPLES)
        for number in range(WALKS):
            walks.walk(aws, seed * WALKS + number, steps=STEPS)
            waiting_walks.walk(aws, seed * WALKS + number, steps=STEPS)
    except Exception as error:  # noqa: BLE001 - every exception of an example is a result
        results.add_violation(f"{type(error).__name__}: {error}"[:2000], seed=seed)
    else:
        results.counts["examples"] += EXAMPLES
        results.counts["long walks"] += 2 * WALKS
