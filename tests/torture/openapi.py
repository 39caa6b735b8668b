"""schemathesis makes requests from docs/openapi.json. Every answer is one that the document describes."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from tests.openapi import runs
from tests.torture import fuzz
from tests.torture.deployment import Deployment
from tests.torture.results import Results

PART = "openapi"
PROCESSES = 6
ROUND = 120.0  # seconds of one run of each process
MOST_REQUESTS = 100_000


def explore(deployment: Deployment, seed: int, seconds: float) -> Results:
    """Run schemathesis in several processes for about so long, or until MOST_REQUESTS were made."""
    results, until = Results(PART, seed), time.monotonic() + seconds
    number = seed * 1_000
    while number == seed * 1_000 or (until - time.monotonic() > 20 and results.counts["requests"] < MOST_REQUESTS):
        lasts = max(10, int(min(ROUND, until - time.monotonic())))
        attack(deployment, results, range(number, number + PROCESSES), lasts)
        number += PROCESSES
    return results


def attack(deployment: Deployment, results: Results, seeds: range, seconds: int) -> None:
    """Run once with each seed, all at the same time, and judge the runs."""
    known = fuzz.prepared(deployment)

    def one(seed: int) -> runs.Run:
        limits = ["--max-time", str(seconds), "--seed", str(seed)]
        return runs.run(deployment, known, "--phases", "fuzzing,stateful", *limits)

    with ThreadPoolExecutor(len(seeds)) as threads:
        for seed, run in zip(seeds, threads.map(one, seeds), strict=True):
            judge(results, seed, run)
    fuzz.lift_freezes(deployment, "")


def judge(results: Results, seed: int, run: runs.Run) -> None:
    """Count what a run did, and add its failures."""
    results.counts["requests"] += run.requests
    results.counts["valid requests accepted"] += run.accepted
    for failure in run.failures:
        results.add_violation(f"{failure}\n{run.printed}", kind=failure, seed=seed)


def replay(deployment: Deployment, seed: int) -> Results:
    """Run once with the seed that found a failure."""
    results = Results(PART, seed)
    attack(deployment, results, range(seed, seed + 1), 20)
    return results
