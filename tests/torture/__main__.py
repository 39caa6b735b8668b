"""`make torture SECONDS=600`: explores new examples for so long, on a local AWS of its own."""

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
from tests.torture import found, fuzz, interleaved, kill
from tests.torture.figures import Figures, Part
from tests.torture.stage import Stage

POLICY = PROJECT / "tests" / "e2e" / "policy.yaml"


def parts(stage: Stage) -> Mapping[str, Part]:
    """Return the parts that share the time."""
    return {
        interleaved.PART: partial(interleaved.explore, stage.aws),
        kill.PART: partial(kill.explore, stage),
        fuzz.PART: partial(fuzz.explore, stage),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all parts, or one; return the exit status: 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--seconds", type=float, default=180, help="for all parts together (%(default)s)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="left out: a new one")
    parser.add_argument("--only", choices=[interleaved.PART, kill.PART, fuzz.PART], help="one part instead of all")
    given = parser.parse_args(arguments)
    print(f"seed {given.seed}, {given.seconds:.0f} s; once the stack is deployed to a local AWS", flush=True)
    with tempfile.TemporaryDirectory(prefix="ecr-promoter-torture-") as folder:
        directory = Path(folder)
        try:
            aws = process.start(directory, retry_seconds=0.1)
            stage = Stage(aws, deploy(aws, directory, policy(directory)))
            chosen = {name: part for name, part in parts(stage).items() if given.only in (None, name)}
            done = [run(name, part, given.seed, given.seconds / len(chosen)) for name, part in chosen.items()]
        finally:
            process.stop(directory)
    return told(done, given.seed)


def policy(directory: Path) -> Path:
    """Return the policy of the end-to-end tests, with an exemption that ends tomorrow."""
    file = directory / "promotions.yaml"
    file.write_text(POLICY.read_text().replace("TOMORROW", str((datetime.now(UTC) + timedelta(days=1)).date())))
    return file


def run(name: str, part: Part, seed: int, seconds: float) -> Figures:
    """Run a part, telling when it began and what it did."""
    print(f"{name}: about {seconds:.0f} s from seed {seed}", flush=True)
    began = time.monotonic()
    figures = part(seed, seconds)
    did = ", ".join(f"{number:,} {what}" for what, number in sorted(figures.counts.items()))
    print(f"   in {time.monotonic() - began:.0f} s: {did}", flush=True)
    return figures


def told(done: Sequence[Figures], seed: int) -> int:
    """Say how it ended, keep what was found; return the exit status."""
    violations = [violation for figures in done for violation in figures.violations]
    for violation in violations:
        print(f"BROKEN, {violation.part}: {violation.what}\n   reproduced by {violation.reproduces}")
    if not violations:
        print(f"Nothing lost, no wrong digest, no 5xx. Seed {seed}.")
        return 0
    new = found.keep(violations)
    print(f"{len(violations)} promises broken from seed {seed}; {new} of them are new in {found.FILE}: commit it.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
