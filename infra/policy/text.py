"""Values of the policy as messages show them: in quotes and cut, however long they are."""

from __future__ import annotations

from reprlib import Repr

MOST = 80


def cut(text: str) -> str:
    """Return the beginning of a text."""
    return text if len(text) <= MOST else f"{text[: MOST - 1]}…"


def shown(value: object) -> str:
    """Return a value as Python writes it, cut; a long or deep one is not written out first."""
    return cut(_SHORT.repr(value[: MOST + 1] if isinstance(value, str) else value))


_SHORT = Repr()
_SHORT.maxlevel, _SHORT.maxdict, _SHORT.maxlist = 2, 3, 3
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = MOST + 40
