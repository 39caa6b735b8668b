"""How many steps Python's regular expressions can take for one tag: an upper bound, whatever the tag.

Python tries one way through a pattern after the other, so the steps for a text are the ways to read each of its
beginnings. They are counted for all tags at once: a context is the set of positions at which a matcher can be
after some text, and each position has the highest count of ways that a text of this length and context has.
docs/decisions/0012-patterns-cost-a-bounded-number-of-steps.md says why that is enough.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from re import _parser  # type: ignore[attr-defined]  # what re.compile reads patterns with
from typing import Any

from infra.policy.positions import Positions, TooLargeError, positions
from promoter.domain.limits import LONGEST_TAG

MOST_STEPS = 100_000
"""A few milliseconds: a step looks at one character, which takes 10 to 50 ns."""
MOST_CONTEXTS, MOST_EDGES = 1_000, 20_000

Context = frozenset[int]
START: Context = frozenset({0})


@dataclass(frozen=True)
class Move:
    """One kind of character is read in a context: where that leads; `edges` are position, next one and ways."""

    to: Context
    edges: tuple[tuple[int, int, int], ...]


@cache
def most_steps(pattern: str, longest: int = LONGEST_TAG) -> int:
    """Return a number of steps that no text of at most `longest` characters exceeds.

    Beyond MOST_STEPS it says no more than that. Raises TooLargeError for a pattern whose steps cannot be counted.
    """
    parsed = _parser.parse(pattern)
    try:
        return _bound(parsed, parsed.state.flags, longest, endless=False)
    except TooLargeError:
        return _bound(parsed, parsed.state.flags, longest, endless=True)


@cache
def has_small_automaton(pattern: str) -> bool:
    """Say whether an automaton for exactly this pattern has few states. Names of groups may stand twice."""
    try:
        parsed = _parser.parse(re.sub(r"\(\?P<\w+>", "(?:", pattern))
        contexts(positions(parsed, parsed.state.flags, endless=False, inside=lambda *_: 0))
    except (TooLargeError, re.error):
        return False
    return True


def contexts(places: Positions) -> Mapping[Context, list[Move]]:
    """Return what can be read in each context that a text leads to. Raises TooLargeError beyond the limits."""
    moves: dict[Context, list[Move]] = {}
    pending, edges = [START], 0
    while pending:
        context = pending.pop()
        if context not in moves:
            moves[context] = list(_moves(context, places))
            pending += [move.to for move in moves[context]]
            edges += sum(len(move.edges) for move in moves[context])
        if len(moves) > MOST_CONTEXTS or edges > MOST_EDGES:
            raise TooLargeError
    return moves


def _bound(parsed: Any, flags: int, longest: int, *, endless: bool) -> int:
    def inside(look_around: Any, flags: int) -> int:
        return _bound(look_around, flags, longest, endless=endless)

    places = positions(parsed, flags, endless=endless, inside=inside)
    return _walk(places, contexts(places), longest)


def _moves(context: Context, places: Positions) -> Iterator[Move]:
    leading: dict[int, list[tuple[int, int]]] = {}
    for at in context:
        for to, ways in places.after[at].first.items():
            leading.setdefault(to, []).append((at, ways))
    for reading in {kind.intersection(leading) for kind in places.kinds}:
        if reading:
            yield Move(reading, tuple((at, to, ways) for to in reading for at, ways in leading[to]))


def _walk(places: Positions, moves: Mapping[Context, list[Move]], longest: int) -> int:
    """Sum up what the matcher can do after each number of characters."""
    ways: dict[Context, dict[int, int]] = {}
    changed: Mapping[Context, Mapping[int, int]] = {START: {0: 1}}
    costs: dict[Context, int] = {}
    total = places.after[0].cost
    for length in range(1, longest + 1):
        changed = _read(changed, moves, ways)
        for context, counts in changed.items():
            costs[context] = sum(count * places.after[at].cost for at, count in counts.items())
        most = max(costs.values(), default=0)
        if not changed:
            return total + most * (longest + 1 - length)
        total += most
        if total > MOST_STEPS:
            break
    return total


def _read(
    changed: Mapping[Context, Mapping[int, int]],
    moves: Mapping[Context, list[Move]],
    ways: dict[Context, dict[int, int]],
) -> Mapping[Context, Mapping[int, int]]:
    """Read one more character wherever the ways have become more; return where that makes them more."""
    more: dict[Context, dict[int, int]] = {}
    for context, counts in changed.items():
        for move in moves[context]:
            sums: dict[int, int] = {}
            for at, to, times in move.edges:
                sums[to] = sums.get(to, 0) + counts.get(at, 0) * times
            best = more.setdefault(move.to, dict(ways.get(move.to, {})))
            for to, count in sums.items():
                best[to] = max(count, best.get(to, 0))
    more = {context: counts for context, counts in more.items() if counts != ways.get(context)}
    ways.update(more)
    return more
