"""`make torture SECONDS=600`: tries new examples for so long, on a local AWS of its own."""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from local import process
from local.deploy import PROJECT, deploy
from tests.torture import fuzz, interleavings, kill, openapi, regressions, waiting
from tests.torture.deployment import Deployment
from tests.torture.results import Part, Results

PRINTED = 500  # characters of what reproduces a violation; found.json has all of it
POLICY = PROJECT / "tests" / "e2e" / "policy.yaml"


def parts(deployment: Deployment) -> Mapping[str, Part]:
    """Return the parts in the order in which they run."""
    return {
        interleavings.PART: partial(interleavings.explore, deployment.aws),
        fuzz.PART: partial(fuzz.explore, deployment),
        openapi.PART: partial(openapi.explore, deployment),
        waiting.PART: partial(waiting.explore, deployment),
        # Last, because it makes many tags, with which reconcile is slow; the fuzz test calls reconcile too.
        kill.PART: partial(kill.explore, deployment),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all parts, or one; return the exit status: 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--seconds", type=float, default=180, help="for all parts together (%(default)s)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="default: a new one")
    names = [interleavings.PART, fuzz.PART, openapi.PART, waiting.PART, kill.PART]
    parser.add_argument("--only", choices=names, help="one part instead of all")
    given = parser.parse_args(arguments)
    print(f"Seed {given.seed}, {given.seconds:.0f} s after the stack is deployed to a local AWS", flush=True)
    with tempfile.TemporaryDirectory(prefix="ecr-promoter-torture-") as folder:
        directory = Path(folder)
        try:
            aws = process.start(directory, retry_seconds=0.1)
            deployment = Deployment(aws, deploy(aws, directory, policy(directory)))
            chosen = {name: part for name, part in parts(deployment).items() if given.only in (None, name)}
            done = [run(name, part, given.seed, given.seconds / len(chosen)) for name, part in chosen.items()]
        finally:
            process.stop(directory)
    return report(done, given.seed)


def policy(directory: Path) -> Path:
    """Return the policy of the end-to-end tests, with an exemption that ends tomorrow."""
    file = directory / "promotions.yaml"
    file.write_text(POLICY.read_text().replace("TOMORROW", str((datetime.now(UTC) + timedelta(days=1)).date())))
    return file


def run(name: str, part: Part, seed: int, seconds: float) -> Results:
    """Run a part; print its name before, and what it did afterwards."""
    print(f"{name}: about {seconds:.0f} s, from seed {seed}", flush=True)
    began = time.monotonic()
    results = part(seed, seconds)
    did = ", ".join(f"{what}: {number:,}" for what, number in sorted(results.counts.items()))
    print(f"   took {time.monotonic() - began:.0f} s; {did}", flush=True)
    return results


def report(done: Sequence[Results], seed: int) -> int:
    """Print the result and add new violations to found.json; return the exit status."""
    violations = [violation for results in done for violation in results.violations]
    for violation in violations:
        print(f"BROKEN in {violation.part}: {violation.what}")
        print(f"   to reproduce: {str(violation.reproduces)[:PRINTED]}")
    if not violations:
        print(f"Nothing lost, no wrong digest, no 5xx. Seed {seed}.")
        return 0
    new = regressions.keep(violations)
    print(f"Seed {seed} broke {len(violations)} promises; {new} of them are new. Commit {regressions.FILE}.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
