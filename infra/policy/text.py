"""Values of the policy as messages show them: in quotes, and cut to 80 characters."""

from __future__ import annotations

from reprlib import Repr

from promoter.domain.texts import shortened

MOST = 80


def cut(text: str) -> str:
    """Return at most MOST characters of a text; a text that is cut ends with an ellipsis."""
    return shortened(text, MOST)


def shown(value: object) -> str:
    """Return a value as Python writes it, cut. A large value is never written out as a whole."""
    return cut(_SHORT.repr(value[: MOST + 1] if isinstance(value, str) else value))


_SHORT = Repr()
_SHORT.maxlevel, _SHORT.maxdict, _SHORT.maxlist = 2, 3, 3
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = MOST + 40
