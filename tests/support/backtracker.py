"""A matcher that tries every way through a pattern, one after the other, and counts its looks at characters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from re import _constants, _parser  # type: ignore[attr-defined,unused-ignore]
from typing import Any


class TooManyError(Exception):
    """More looks than a test has time for."""


class Backtracker:
    """Goes every way, also after it found one: no real matcher takes more steps for the text."""

    def __init__(self, pattern: str, text: str, *, most: int) -> None:
        self.looks, self._text, self._most = 0, text, most
        self._items = list(_parser.parse(pattern))

    def run(self) -> int:
        """Return the number of looks at a character. Raises TooManyError beyond `most`."""
        for _ in self._row(self._items, 0):
            pass
        return self.looks

    def _row(self, items: Any, at: int) -> Iterator[int]:
        if not items:
            yield at
            return
        for end in self._item(items[0], at):
            yield from self._row(items[1:], end)

    def _item(self, item: tuple[Any, Any], at: int) -> Iterator[int]:
        op, argument = item
        match op.name:
            case "BRANCH":
                for branch in argument[1]:
                    yield from self._row(list(branch), at)
            case "SUBPATTERN":
                yield from self._row(list(argument[3]), at)
            case "MAX_REPEAT" | "MIN_REPEAT":
                least, most, body = argument
                yield from self._repeat(least, most, body, at, 0)
            case "ASSERT" | "ASSERT_NOT":
                for _ in self._row(list(argument[1]), at):
                    pass
                yield at
            case _:
                yield from self._look(item, at)

    def _repeat(self, least: int, most: Any, body: Any, at: int, count: int) -> Iterator[int]:
        if most is _constants.MAXREPEAT or count < most:
            for end in self._row(list(body), at):
                if end == at and count >= least:
                    yield end
                else:
                    yield from self._repeat(least, most, body, end, count + 1)
        if count >= least:
            yield at

    def _look(self, item: tuple[Any, Any], at: int) -> Iterator[int]:
        self.looks += 1
        if self.looks > self._most:
            raise TooManyError
        if at < len(self._text) and _reads(item, self._text[at]):
            yield at + 1


def _reads(item: tuple[Any, Any], letter: str) -> bool:
    op, argument = item
    if op is _constants.LITERAL:
        return bool(argument == ord(letter))
    if op is _constants.IN:
        ranges = {_constants.CATEGORY_DIGIT: r"\d", _constants.CATEGORY_WORD: r"\w"}
        return any(
            chr(value) == letter if kind is _constants.LITERAL else re.fullmatch(ranges[value], letter) is not None
            for kind, value in argument
        )
    return bool(op is _constants.ANY)
