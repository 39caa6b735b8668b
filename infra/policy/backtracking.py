"""An upper bound of the steps that Python's regular expressions take to match a tag, for every possible tag.

Python tries the ways through a pattern one after the other. So the number of steps for a text is at most the
number of ways to read all its prefixes. This module counts the ways for all tags at once: a context is the set of
positions at which a matcher can be after some text. For each position of a context it keeps the highest number of
ways that any text of the same length has.
docs/decisions/0012-patterns-cost-a-bounded-number-of-steps.md says why that is enough.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from re import _parser  # type: ignore[attr-defined,unused-ignore]  # the parser of re.compile
from typing import Any

from infra.policy.positions import Positions, TooLargeError, positions
from promoter.domain.limits import LONGEST_TAG

MOST_STEPS = 100_000
"""A step reads one character, which takes 10 to 50 ns: the limit is a few milliseconds."""
MOST_CONTEXTS, MOST_EDGES = 1_000, 20_000

Context = frozenset[int]
START: Context = frozenset({0})


@dataclass(frozen=True)
class Transition:
    """Reading one kind of character in a context: the next context; `edges` are position, next position, ways."""

    to: Context
    edges: tuple[tuple[int, int, int], ...]


@cache
def most_steps(pattern: str, longest: int = LONGEST_TAG) -> int:
    """Return an upper bound of the steps for a text of at most `longest` characters.

    Counting stops above MOST_STEPS. Raises TooLargeError if the steps cannot be counted.
    """
    parsed = _parser.parse(pattern)
    try:
        return _bound(parsed, parsed.state.flags, longest, endless=False)
    except TooLargeError:
        return _bound(parsed, parsed.state.flags, longest, endless=True)


@cache
def has_small_automaton(pattern: str) -> bool:
    """Say whether an exact automaton of the pattern has few states. Names of groups may repeat."""
    try:
        parsed = _parser.parse(re.sub(r"\(\?P<\w+>", "(?:", pattern))
        contexts(positions(parsed, parsed.state.flags, endless=False, inside=lambda *_: 0))
    except (TooLargeError, re.error):
        return False
    return True


def contexts(places: Positions) -> Mapping[Context, list[Transition]]:
    """Return the transitions from each reachable context. Raises TooLargeError beyond the limits."""
    transitions: dict[Context, list[Transition]] = {}
    pending, edges = [START], 0
    while pending:
        context = pending.pop()
        if context not in transitions:
            transitions[context] = list(_transitions(context, places))
            pending += [transition.to for transition in transitions[context]]
            edges += sum(len(transition.edges) for transition in transitions[context])
        if len(transitions) > MOST_CONTEXTS or edges > MOST_EDGES:
            raise TooLargeError
    return transitions


def _bound(parsed: Any, flags: int, longest: int, *, endless: bool) -> int:
    def inside(look_around: Any, flags: int) -> int:
        return _bound(look_around, flags, longest, endless=endless)

    places = positions(parsed, flags, endless=endless, inside=inside)
    return _walk(places, contexts(places), longest)


def _transitions(context: Context, places: Positions) -> Iterator[Transition]:
    leading: dict[int, list[tuple[int, int]]] = {}
    for at in context:
        for to, ways in places.after[at].first.items():
            leading.setdefault(to, []).append((at, ways))
    for reading in {kind.intersection(leading) for kind in places.kinds}:
        if reading:
            yield Transition(reading, tuple((at, to, ways) for to in reading for at, ways in leading[to]))


def _walk(places: Positions, transitions: Mapping[Context, list[Transition]], longest: int) -> int:
    """Return the sum of the highest costs after each number of characters."""
    ways: dict[Context, dict[int, int]] = {}
    changed: Mapping[Context, Mapping[int, int]] = {START: {0: 1}}
    costs: dict[Context, int] = {}
    total = places.after[0].cost
    for length in range(1, longest + 1):
        changed = _read(changed, transitions, ways)
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
    transitions: Mapping[Context, list[Transition]],
    ways: dict[Context, dict[int, int]],
) -> Mapping[Context, Mapping[int, int]]:
    """Read one more character in the contexts whose ways have increased; return those where they increase now."""
    more: dict[Context, dict[int, int]] = {}
    for context, counts in changed.items():
        for transition in transitions[context]:
            sums: dict[int, int] = {}
            for at, to, times in transition.edges:
                sums[to] = sums.get(to, 0) + counts.get(at, 0) * times
            best = more.setdefault(transition.to, dict(ways.get(transition.to, {})))
            for to, count in sums.items():
                best[to] = max(count, best.get(to, 0))
    more = {context: counts for context, counts in more.items() if counts != ways.get(context)}
    ways.update(more)
    return more
