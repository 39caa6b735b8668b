"""The interleavings: promotions, rollbacks, freezes, crashes and reconcile in any order, step by step.

Short examples that hypothesis makes up, and long walks through more kinds of steps.
"""

from __future__ import annotations

import time

from local.aws import LocalAws
from tests.adapters import interleavings, walks
from tests.torture.figures import Figures

PART = "interleavings"
EXAMPLES = 20  # of one seed: enough to be worth the start, few enough to be found again at once
WALKS, STEPS = 3, 40  # of one seed


def explore(aws: LocalAws, seed: int, seconds: float) -> Figures:
    """Run examples for so long: those of the seed, of the next one, and so on. Ends with the first that fails."""
    figures, until = Figures(PART, seed), time.monotonic() + seconds
    while not figures.violations and (time.monotonic() < until or not figures.counts):
        run(aws, seed + figures.counts["seeds"], figures)
    return figures


def run(aws: LocalAws, seed: int, figures: Figures) -> None:
    """Run the examples and the walks of one seed."""
    figures.counts["seeds"] += 1
    try:
        interleavings.explore(aws, seed, examples=EXAMPLES)
        for number in range(WALKS):
            walks.walk(aws, seed * WALKS + number, steps=STEPS)
    except Exception as error:  # noqa: BLE001 - whatever an example ends with is what was looked for
        figures.broken(f"{type(error).__name__}: {error}"[:2000], seed=seed)
    else:
        figures.counts["examples"] += EXAMPLES
        figures.counts["long walks"] += WALKS
