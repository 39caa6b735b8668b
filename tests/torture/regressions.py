"""The broken promises that the torture tests found. `make test` replays every entry of found.json.

An entry has the `part` and what reproduces it: the `seed`, or the `request` itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.torture import fuzz, interleavings, kill, openapi, waiting
from tests.torture.deployment import Deployment
from tests.torture.results import Results, Violation

FILE = Path(__file__).with_name("found.json")
REPLAY_SECONDS = 3.0  # of the load of a kill test

Entry = dict[str, Any]


def load(file: Path = FILE) -> list[Entry]:
    """Return all entries."""
    entries: list[Entry] = json.loads(file.read_text())
    return entries


def keep(violations: Iterable[Violation], file: Path = FILE) -> int:
    """Add the violations that the file does not have; return how many were new."""
    entries = load(file)
    new = [violation.reproduces for violation in violations if violation.reproduces not in entries]
    file.write_text(json.dumps([*entries, *new], indent=1) + "\n")
    return len(new)


def replay(deployment: Deployment, entry: Entry) -> Results:
    """Run the part with the seed or request that broke a promise."""
    if entry["part"] == fuzz.PART:
        if "request" in entry:
            return fuzz.replay(deployment, entry["request"])
        return fuzz.explore(deployment, entry["seed"], 60, requests=300)
    if entry["part"] == openapi.PART:
        return openapi.replay(deployment, entry["seed"])
    results = Results(entry["part"], entry["seed"])
    if entry["part"] == interleavings.PART:
        interleavings.run(deployment.aws, entry["seed"], results)
    elif entry["part"] == waiting.PART:
        waiting.attack(deployment, entry["seed"], waiting.FEWEST, results, until_quiet=False)
    else:
        kill.attack(deployment, entry["seed"], REPLAY_SECONDS, results, until_quiet=False)
    return results
