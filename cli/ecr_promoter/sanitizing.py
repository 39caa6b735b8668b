"""Sanitizes texts of others: a terminal or a CI system shows them, and obeys nothing in them."""

from __future__ import annotations

import re

COMMAND = re.compile(r"^(\s*)(::|##\[)", re.MULTILINE)
"""What begins a command to GitHub Actions at the beginning of a line (workflow commands)."""


def one_line(text: str) -> str:
    """Return a text on one line, with a mark for each character that a terminal would obey, such as ESC."""
    return printable(" ".join(text.split()))


def printable(text: str, *, but: str = "") -> str:
    """Return a text with a mark for each character that a terminal would obey, `but` for some of them."""
    return "".join(each if each.isprintable() or each in but else "\ufffd" for each in text)


def log_lines(text: str) -> str:
    """Return lines of which none is a command to a CI system."""
    return COMMAND.sub(r"\1\\\2", text)
