"""How complex EventBridge finds the wildcards of one field of an event pattern.

The measure is that of its matcher (aws/event-ruler on GitHub, MachineComplexityEvaluator): how many beginnings of
wildcards one text can match at most. `a`, `a*` and `a*b` are beginnings of `a*b*c`; each counts for each wildcard
that has it. Texts are matched with their quotation marks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

REFUSED_FROM = 11
"""Three globs like `*:stack/NAME/*` score 9 and deploy, `*:*:*:*:*:event-bus/*` scores 11 and does not."""
SAFE = 9

STAR = ""  # a token of its own: no character
Group = Sequence[str]
Beginning = tuple[int, int, int]
"""Which group, which of its wildcards, and how many of its tokens."""


def complexity(groups: Iterable[Group], *, most: int = REFUSED_FROM) -> int:
    """Return the complexity of a field, or `most` where it is that or more.

    A group is one wildcard, or those that one `anything-but` lists.
    """
    wildcards = [
        [_tokens(wildcard) for wildcard in dict.fromkeys(group)] for group in dict.fromkeys(map(tuple, groups))
    ]
    letters = {token for group in wildcards for tokens in group for token in tokens if token != STAR} | {None}
    start = frozenset(
        beginning
        for number, group in enumerate(wildcards)
        for at in range(len(group))
        for beginning in _with_star((number, at, 0), group[at])
    )
    highest, pending, met = 0, [start], {start}
    while pending:
        reached = pending.pop()
        highest = max(highest, len(_distinct(reached, wildcards)))
        if highest >= most:
            return most
        for letter in letters:
            following = frozenset(_read(reached, letter, wildcards))
            if following not in met:
                met.add(following)
                pending.append(following)
    return highest


def of_globs(globs: Iterable[str]) -> int:
    """Return the complexity of repository globs in one field; what needs no wildcard costs nothing."""
    return complexity([[glob] for glob in map(simplest, globs) if "*" in glob[:-1]])


def simplest(glob: str) -> str:
    """Return the glob without `*` beside `*`, which EventBridge does not take."""
    return re.sub(r"\*+", "*", glob)


def _tokens(wildcard: str) -> tuple[str, ...]:
    """Return the characters in their quotation marks; a backslash takes the meaning of the one behind it."""
    pieces = re.findall(r"\\.|[\s\S]", wildcard)
    return ('"', *(STAR if piece == "*" else piece[-1] for piece in pieces), '"')


def _with_star(beginning: Beginning, tokens: Sequence[str]) -> Iterator[Beginning]:
    """Yield a beginning and, where a star comes next, the one with the star, which may stand for nothing."""
    yield beginning
    group, at, length = beginning
    if length < len(tokens) and tokens[length] == STAR:
        yield group, at, length + 1


def _read(
    reached: Iterable[Beginning], letter: str | None, wildcards: Sequence[Sequence[Sequence[str]]]
) -> Iterator[Beginning]:
    for group, at, length in reached:
        tokens = wildcards[group][at]
        if length and tokens[length - 1] == STAR:
            yield group, at, length
        if length < len(tokens) and tokens[length] == letter:
            yield from _with_star((group, at, length + 1), tokens)


def _distinct(reached: Iterable[Beginning], wildcards: Sequence[Sequence[Sequence[str]]]) -> set[object]:
    """Return what counts: the matcher shares beginnings up to the first star, and whole wildcards, in a group."""
    found: set[object] = set()
    for group, at, length in reached:
        tokens = wildcards[group][at]
        if not length:
            continue
        if length == len(tokens):
            found.add(group)
        elif STAR in tokens[: length - 1]:
            found.add((group, at, length))
        else:
            found.add((group, tokens[:length]))
    return found
