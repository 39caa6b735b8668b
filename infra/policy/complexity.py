"""The complexity of the wildcards in one field of an event pattern, as EventBridge measures it.

EventBridge's matcher (aws/event-ruler on GitHub, MachineComplexityEvaluator) measures how many prefixes of
wildcards a single text can match at most. `a`, `a*` and `a*b` are prefixes of `a*b*c`. A prefix counts once for
each wildcard that begins with it. Texts are matched with their quotation marks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

REFUSED_FROM = 11
"""AWS accepted three globs like `*:stack/NAME/*`, which score 9, and refused `*:*:*:*:*:event-bus/*` with 11."""
SAFE = 9

STAR = ""  # the token of a star; other tokens are one character
Group = Sequence[str]
Prefix = tuple[int, int, int]
"""A prefix: the group, the wildcard in the group, and the number of its tokens."""


def complexity(groups: Iterable[Group], *, most: int = REFUSED_FROM) -> int:
    """Return the complexity of a field, at most `most`.

    A group is a single wildcard, or the wildcards of one `anything-but`.
    """
    wildcards = [
        [_tokens(wildcard) for wildcard in dict.fromkeys(group)] for group in dict.fromkeys(map(tuple, groups))
    ]
    letters = {token for group in wildcards for tokens in group for token in tokens if token != STAR} | {None}
    start = frozenset(
        prefix
        for number, group in enumerate(wildcards)
        for at in range(len(group))
        for prefix in _with_star((number, at, 0), group[at])
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
    """Return the complexity of repository globs in one field; names and prefixes need no wildcard and add none."""
    return complexity([[glob] for glob in map(simplest, globs) if "*" in glob[:-1]])


def simplest(glob: str) -> str:
    """Return the glob without adjacent stars, which EventBridge does not accept."""
    return re.sub(r"\*+", "*", glob)


def _tokens(wildcard: str) -> tuple[str, ...]:
    """Return the tokens in quotation marks; a backslash makes the next character literal."""
    pieces = re.findall(r"\\.|[\s\S]", wildcard)
    return ('"', *(STAR if piece == "*" else piece[-1] for piece in pieces), '"')


def _with_star(prefix: Prefix, tokens: Sequence[str]) -> Iterator[Prefix]:
    """Yield a prefix and, if a star comes next, also the prefix with the star, which may match nothing."""
    yield prefix
    group, at, length = prefix
    if length < len(tokens) and tokens[length] == STAR:
        yield group, at, length + 1


def _read(
    reached: Iterable[Prefix], letter: str | None, wildcards: Sequence[Sequence[Sequence[str]]]
) -> Iterator[Prefix]:
    for group, at, length in reached:
        tokens = wildcards[group][at]
        if length and tokens[length - 1] == STAR:
            yield group, at, length
        if length < len(tokens) and tokens[length] == letter:
            yield from _with_star((group, at, length + 1), tokens)


def _distinct(reached: Iterable[Prefix], wildcards: Sequence[Sequence[Sequence[str]]]) -> set[object]:
    """Return the prefixes to count: a group shares prefixes without a star, and whole wildcards."""
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
