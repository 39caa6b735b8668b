"""What a part of the torture tests did and found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Violation:
    """A broken promise. `make test` replays `reproduces`: see tests.torture.regressions."""

    part: str
    what: str
    reproduces: dict[str, Any]


@dataclass
class Results:
    """Counts of what a part did, and the promises that it found broken."""

    part: str
    seed: int
    counts: Counter[str] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)

    def add_violation(self, what: str, *, kind: str | None = None, **reproduces: Any) -> None:
        """Add a broken promise, the first of each kind. By default the part's seed reproduces it."""
        self.counts["broken promises"] += 1
        if (kind or what) not in self.kinds:
            self.kinds.add(kind or what)
            found = {"part": self.part, **(reproduces or {"seed": self.seed})}
            self.violations.append(Violation(self.part, what, found))


Part = Callable[[int, float], Results]
"""A function that explores from a seed for so many seconds."""
