"""Splits a list into chunks that fit an AWS size limit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence


def chunks(
    entries: Iterable[str],
    *,
    room: int,
    size: Callable[[str], int],
    fit: Callable[[Sequence[str]], bool] = lambda _: True,
) -> list[list[str]]:
    """Return the entries in their order, in as few lists as possible.

    The sizes of a list's entries add up to `room` at most, and its entries `fit` together. An entry that exceeds
    `room` alone gets a list of its own.
    """
    parts: list[list[str]] = [[]]
    left = room
    for entry in entries:
        needed = size(entry)
        if parts[-1] and (needed > left or not fit([*parts[-1], entry])):
            parts.append([])
            left = room
        parts[-1].append(entry)
        left -= needed
    return parts
