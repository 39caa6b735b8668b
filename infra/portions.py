"""Divides what AWS takes only so much of at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable


def portions(entries: Iterable[str], *, room: int, size: Callable[[str], int]) -> list[list[str]]:
    """Return the entries in their order, in as few lists as hold no more than `room` each."""
    parts: list[list[str]] = [[]]
    left = room
    for entry in entries:
        needed = size(entry)
        if parts[-1] and needed > left:
            parts.append([])
            left = room
        parts[-1].append(entry)
        left -= needed
    return parts
