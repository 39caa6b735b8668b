"""What torture has found: found.json beside this file is committed, and `make test` replays it.

An entry has `part` and what reproduces it: `seed`, or the very `request`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.torture import fuzz, interleaved, kill
from tests.torture.figures import Figures, Violation
from tests.torture.stage import Stage

FILE = Path(__file__).with_name("found.json")
SHORT = 3.0  # seconds of a kill test that is replayed

Entry = dict[str, Any]


def load(file: Path = FILE) -> list[Entry]:
    """Return all entries."""
    entries: list[Entry] = json.loads(file.read_text())
    return entries


def keep(violations: Iterable[Violation], file: Path = FILE) -> int:
    """Add what is new; return how many that were."""
    entries = load(file)
    new = [violation.reproduces for violation in violations if violation.reproduces not in entries]
    file.write_text(json.dumps([*entries, *new], indent=1) + "\n")
    return len(new)


def replay(stage: Stage, entry: Entry) -> Figures:
    """Do again what has found something."""
    if entry["part"] == fuzz.PART:
        return (
            fuzz.replay(stage, entry["request"])
            if "request" in entry
            else fuzz.explore(stage, entry["seed"], SHORT)
        )
    figures = Figures(entry["part"], entry["seed"])
    if entry["part"] == interleaved.PART:
        interleaved.run(stage.aws, entry["seed"], figures)
    else:
        kill.attack(stage, entry["seed"], SHORT, figures, settle=False)
    return figures
