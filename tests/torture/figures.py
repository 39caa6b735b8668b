"""What a part of the torture did and what it found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Violation:
    """A promise that was broken. `reproduces` is what `make test` replays: see tests.torture.found."""

    part: str
    what: str
    reproduces: dict[str, Any]


@dataclass
class Figures:
    """How much a part did, by what, and the promises that it found broken."""

    part: str
    seed: int
    counts: Counter[str] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)

    def broken(self, what: str, *, kind: str | None = None, **reproduces: Any) -> None:
        """Note a broken promise, the first of its kind. Without members the part's seed is what reproduces it."""
        self.counts["broken promises"] += 1
        if (kind or what) not in self.kinds:
            self.kinds.add(kind or what)
            found = {"part": self.part, **(reproduces or {"seed": self.seed})}
            self.violations.append(Violation(self.part, what, found))


Part = Callable[[int, float], Figures]
"""Explores for so many seconds, from a seed."""
