"""Texts from outside, cut to what records, announcements and logs have room for."""

from __future__ import annotations


def shortened(text: str, most: int) -> str:
    """Return at most so many characters of a text; one that is cut ends with an ellipsis."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
