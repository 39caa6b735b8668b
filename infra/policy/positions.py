"""The positions at which a regular expression reads a character, their order, and the ways between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from re import _constants  # type: ignore[attr-defined,unused-ignore]  # the names of re's own parser
from typing import Any, Literal

from infra.policy.characters import kinds

MOST_POSITIONS = 500


class TooLargeError(Exception):
    """The pattern has too many positions, or its automaton too many states."""


@dataclass(frozen=True)
class Entry:
    """The choices of a matcher before it reads the next character.

    `first`: the positions that may read the character, each with the number of ways to get there; `empty`: the
    number of ways past all positions without reading; `cost`: the steps to try all ways.
    """

    first: Mapping[int, int]
    empty: int
    cost: int

    def then(self, after: Entry) -> Entry:
        """Return the choices if `after` follows this part."""
        if not self.empty:
            return self
        first = _sum(self.first, after.first, self.empty)
        return Entry(first, self.empty * after.empty, self.cost + self.empty * after.cost)

    def otherwise(self, other: Entry) -> Entry:
        """Return the choices if the matcher tries this part first, and then `other`."""
        return Entry(_sum(self.first, other.first, 1), self.empty + other.empty, self.cost + other.cost)


NOTHING = Entry({}, 1, 1)


@dataclass(frozen=True)
class Node:
    """A part of a pattern, with its own parts."""

    kind: Literal["position", "row", "choice", "loop"]
    entry: Entry
    parts: Sequence[Node] = ()


@dataclass(frozen=True)
class Positions:
    """All positions of a pattern. Number 0 is its beginning.

    `after`: the choices after the character of each position. `kinds`: characters that the same positions read
    are of one kind; these are the positions that read each kind.
    """

    after: Sequence[Entry]
    kinds: frozenset[frozenset[int]]


def positions(parsed: Any, flags: int, *, endless: bool, inside: Callable[[Any, int], int]) -> Positions:
    """Return the positions of a parsed pattern. Raises TooLargeError beyond MOST_POSITIONS.

    The result may have more characters and ways than the pattern, never fewer. `endless` treats a limited
    repetition as an unlimited one, which needs fewer positions. `inside` returns a bound of the steps of the
    pattern in a look-around.
    """
    reader = _Reader(endless, inside)
    root = reader.row(parsed, flags)
    after = [root.entry.then(NOTHING), *[NOTHING] * len(reader.reads)]
    todo = [(root, NOTHING)]
    while todo:
        node, behind = todo.pop()
        match node.kind:
            case "position":
                after[next(iter(node.entry.first))] = behind
            case "choice":
                todo += [(part, behind) for part in node.parts]
            case "loop":
                todo += [(part, node.entry.then(behind)) for part in node.parts]
            case "row":
                for part in reversed(node.parts):
                    todo.append((part, behind))
                    behind = part.entry.then(behind)
    return Positions(after, kinds(reader.reads))


class _Reader:
    """Turns the output of Python's parser into nodes, and numbers the positions."""

    def __init__(self, endless: bool, inside: Callable[[Any, int], int]) -> None:
        self.reads: list[tuple[Any, Any, int]] = []
        self._endless, self._inside = endless, inside

    def row(self, items: Iterable[tuple[Any, Any]], flags: int) -> Node:
        """Return the node of a whole pattern or group."""
        return _row([self._node(op, argument, flags) for op, argument in items])

    def _node(self, op: Any, argument: Any, flags: int) -> Node:
        match op.name:
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                least, most, items = argument
                node = self._repeat(least, most, items, flags)
            case "BRANCH":
                node = self._choice([self.row(items, flags) for items in argument[1]])
            case "GROUPREF_EXISTS":
                node = self._choice([self.row(items or (), flags) for items in argument[1:]])
            case "SUBPATTERN":
                node = self.row(argument[3], (flags | argument[1]) & ~argument[2])
            case "ATOMIC_GROUP":
                node = self.row(argument, flags)
            case "AT":
                node = Node("row", NOTHING)
            case "ASSERT" | "ASSERT_NOT":
                node = Node("row", Entry({}, 1, 1 + self._inside(argument[1], flags)))
            case "GROUPREF":
                node = self._loop(self._position(_constants.ANY, None, flags))
            case _:
                node = self._position(op, argument, flags)
        return node

    def _position(self, op: Any, argument: Any, flags: int) -> Node:
        if len(self.reads) == MOST_POSITIONS:
            raise TooLargeError
        self.reads.append((op, argument, flags))
        return Node("position", Entry({len(self.reads): 1}, 0, 1))

    def _choice(self, parts: Sequence[Node]) -> Node:
        return Node("choice", reduce(Entry.otherwise, [part.entry for part in parts], Entry({}, 0, 1)), parts)

    def _loop(self, body: Node) -> Node:
        """Return a body that repeats any number of times; Python leaves the loop if its body reads nothing."""
        return Node("loop", Entry(body.entry.first, 1 + body.entry.empty, 1 + body.entry.cost), [body])

    def _repeat(self, least: int, most: int, items: Any, flags: int) -> Node:
        body = self.row(items, flags)
        unlimited = most is _constants.MAXREPEAT
        if self._endless and most > 1 and not body.entry.empty:
            least, unlimited = min(least, 1), True
        if max(least, 0 if unlimited else most) > MOST_POSITIONS:
            raise TooLargeError
        copies = [body, *(self.row(items, flags) for _ in range((max(least, 1) if unlimited else most) - 1))]
        if unlimited:
            loop = self._loop(copies.pop())
            if not least:
                return loop
            rest = Node("row", loop.parts[0].entry.then(loop.entry), [loop])  # once, then any number of times
        else:
            rest = Node("row", NOTHING)
            for copy in copies[least:]:
                rest = self._choice([_row([copy, rest]), Node("row", NOTHING)])
        return _row([*copies[:least], rest])


def _row(parts: Sequence[Node]) -> Node:
    return Node("row", reduce(Entry.then, [part.entry for part in parts], NOTHING), parts)


def _sum(one: Mapping[int, int], other: Mapping[int, int], times: int) -> Mapping[int, int]:
    total = dict(one)
    for position, ways in other.items():
        total[position] = total.get(position, 0) + ways * times
    return total
