"""The characters that each position of a regular expression reads."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Sequence
from re import IGNORECASE, _constants  # type: ignore[attr-defined,unused-ignore]  # the names of re's own parser
from typing import Any

OTHER = "\U0010ffff"  # represents every character that neither a tag nor the pattern has
LETTERS = frozenset(string.ascii_letters + string.digits + "_.-" + OTHER)


def kinds(reads: Sequence[tuple[Any, Any, int]]) -> frozenset[frozenset[int]]:
    """Return, for each kind of character, the numbers of the positions that read it; they begin with 1.

    A position is given by the operation and argument of re's parser, and by the flags that apply to it.
    """
    letters = LETTERS.union(*(map(chr, _codes(op, argument)) for op, argument, _ in reads))
    readers: dict[str, set[int]] = {letter: set() for letter in letters}
    known: dict[str, list[str]] = {}
    for number, (op, argument, flags) in enumerate(reads, start=1):
        ignoring_case = bool(flags & IGNORECASE)
        key = f"{op} {argument} {ignoring_case}"
        if key not in known:
            known[key] = [letter for letter in letters if _can_read(op, argument, letter, ignoring_case)]
        for letter in known[key]:
            readers[letter].add(number)
    return frozenset(map(frozenset, readers.values()))


def _codes(op: Any, argument: Any) -> Iterator[int]:
    """Yield the code points that a position names."""
    match op.name:
        case "LITERAL" | "NOT_LITERAL":
            yield argument
        case "RANGE":
            yield from argument
        case "IN":
            for item in argument:
                yield from _codes(*item)


def _can_read(op: Any, argument: Any, letter: str, ignoring_case: bool) -> bool:
    """Say whether a position may read a character; if case is ignored, sometimes True although it cannot."""
    if not ignoring_case:
        return _reads(op, argument, letter)
    if any(code > 127 for code in _codes(op, argument)):
        return True  # the other case of some of these is an ASCII letter
    variants = {letter, letter.lower(), letter.upper()}
    return any(_reads(op, argument, variant) for variant in variants if len(variant) == 1)


def _reads(op: Any, argument: Any, letter: str) -> bool:
    match op.name:
        case "LITERAL" | "NOT_LITERAL":
            reads = (ord(letter) == argument) is (op is _constants.LITERAL)
        case "RANGE":
            reads = argument[0] <= ord(letter) <= argument[1]
        case "IN":
            negated = argument[0][0] is _constants.NEGATE
            reads = negated is not any(_reads(op, value, letter) for op, value in argument[negated:])
        case "CATEGORY" if argument in _CATEGORIES:
            reads = re.fullmatch(_CATEGORIES[argument], letter) is not None
        case "FAILURE":
            reads = False
        case _:
            reads = True
    return reads


_CATEGORIES = {
    _constants.CATEGORY_DIGIT: r"\d",
    _constants.CATEGORY_NOT_DIGIT: r"\D",
    _constants.CATEGORY_SPACE: r"\s",
    _constants.CATEGORY_NOT_SPACE: r"\S",
    _constants.CATEGORY_WORD: r"\w",
    _constants.CATEGORY_NOT_WORD: r"\W",
}
