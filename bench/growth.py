"""How the time of a promotion grows with what it could depend on, beside the two bare calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bench import mover
from bench.filling import fill_history, fill_repository
from bench.lab import BARE, LEDGER, Lab, Samples, interleaved
from bench.mover import Mover

ROUNDS = 30
EVENTS, CALLERS = (1, 10, 100, 1_000), (1, 4, 16, 64)
TAGS, RECORDS, RULES = (10, 1_000, 10_000, 100_000), (10, 1_000, 10_000, 100_000), (1, 10, 100, 1_000)
FLAT = 1.5
"""A curve is flat if a promotion at the largest size takes at most so many times as long as at the smallest."""


@dataclass(frozen=True)
class Curve:
    """How long a promotion takes at each size, in milliseconds, and the two bare calls at the same time."""

    name: str
    unit: str
    promotion: Mapping[int, Samples]
    bare: Mapping[int, Samples]

    def ratio(self, size: int) -> float:
        """Return how many times as long a promotion takes as the bare calls."""
        return self.promotion[size].median / self.bare[size].median

    @property
    def growth(self) -> float:
        """How many times as long a promotion takes at the largest size as at the smallest."""
        sizes = list(self.promotion)
        return self.promotion[sizes[-1]].median / self.promotion[sizes[0]].median

    @property
    def is_flat(self) -> bool:
        """Whether the size does not matter, or slows the bare calls down as much as the promotion."""
        sizes = list(self.promotion)
        return self.growth <= FLAT or self.ratio(sizes[-1]) <= FLAT * self.ratio(sizes[0])


def measure(lab: Lab, *, tell: Callable[[str], None]) -> list[Curve]:
    """Measure every curve, each on its own repositories."""
    curves = []
    for measured in (of_events, of_callers, of_tags, of_records, of_rules):
        tell(f"   {(measured.__doc__ or '').split('.')[0]}")
        curves.append(measured(lab, tell))
    return curves


def of_events(lab: Lab, tell: Callable[[str], None]) -> Curve:
    """Vary the number of events in a row."""
    builds = {"on": "scan", "from": "build-(?P<n>.*)", "to": ["staging-{n}"], "to_matching": []}
    dependencies = lab.dependencies(lab.policy(builds))
    promotion, bare = {}, {}
    for size in EVENTS:
        subject = mover.create(lab)
        ways = {LEDGER: repeated(subject.scanned(dependencies), size), BARE: repeated(subject.bare(), size)}
        taken = interleaved(ways, rounds=max(2, ROUNDS // size), warm_up=0 if size > 100 else 1, tell=tell)
        promotion[size], bare[size] = (taken[way].divided_by(size) for way in (LEDGER, BARE))
    return Curve("Events", "events in a row", promotion, bare)


def of_callers(lab: Lab, tell: Callable[[str], None]) -> Curve:
    """Vary the number of callers at the same time."""
    promotion, bare = {}, {}
    for size in CALLERS:
        subjects = [mover.create(lab) for _ in range(size)]
        ask = [each.promoted(lab.dependencies(lab.policy())) for each in subjects]
        calls = [each.bare() for each in subjects]
        with ThreadPoolExecutor(size) as pool:
            ways = {LEDGER: together(pool, ask), BARE: together(pool, calls)}
            taken = interleaved(ways, rounds=max(4, ROUNDS // size), tell=tell)
        promotion[size], bare[size] = (taken[way].divided_by(size) for way in (LEDGER, BARE))
    return Curve("Callers", "callers at once, each with a tag of its own", promotion, bare)


def of_tags(lab: Lab, tell: Callable[[str], None]) -> Curve:
    """Vary the number of tags in the repository."""
    return compared(lab, "Repositories", "tags in the repository", TAGS, fill_repository, tell)


def of_records(lab: Lab, tell: Callable[[str], None]) -> Curve:
    """Vary the number of promotions in the tag's history."""
    return compared(lab, "Histories", "records of the repository and tag", RECORDS, fill_history, tell)


def of_rules(lab: Lab, tell: Callable[[str], None]) -> Curve:
    """Vary the number of rules in the policy."""
    promotion, bare = {}, {}
    for size in RULES:
        subject = mover.create(lab)
        others = [{"name": f"rule-{n}", "repositories": [f"other-{n}/*"]} for n in range(size - 1)]
        dependencies = lab.dependencies(lab.policy(*others, {"name": "last"}))
        ways = {LEDGER: subject.promoted(dependencies), BARE: subject.bare()}
        taken = interleaved(ways, rounds=ROUNDS, tell=tell)
        promotion[size], bare[size] = taken[LEDGER], taken[BARE]
    return Curve("Policies", "rules, of which the last serves", promotion, bare)


def compared(
    lab: Lab,
    name: str,
    unit: str,
    sizes: Sequence[int],
    fill: Callable[[Mover, int], None],
    tell: Callable[[str], None],
) -> Curve:
    """Fill a repository to each size, and measure all of them in turns."""
    ways: dict[str, Callable[[int], object]] = {}
    for size in sizes:
        tell(f"   {size:,} {unit}")
        subject = mover.create(lab)
        fill(subject, size)
        ways[f"{LEDGER} {size}"] = subject.promoted(lab.dependencies(lab.policy()))
        ways[f"{BARE} {size}"] = subject.bare()
    taken = interleaved(ways, rounds=ROUNDS, tell=tell)
    return Curve(
        name,
        unit,
        {size: taken[f"{LEDGER} {size}"] for size in sizes},
        {size: taken[f"{BARE} {size}"] for size in sizes},
    )


def repeated(way: Callable[[int], object], times: int) -> Callable[[int], object]:
    """Return a way that repeats another one in a row."""

    def run(number: int) -> None:
        for repeat in range(times):
            way(number * times + repeat)

    return run


def together(pool: ThreadPoolExecutor, ways: Sequence[Callable[[int], object]]) -> Callable[[int], object]:
    """Return a way that runs all of these at the same time."""

    def run(number: int) -> None:
        list(pool.map(lambda way: way(number), ways))

    return run
