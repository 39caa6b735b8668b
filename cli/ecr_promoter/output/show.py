"""Prints an answer in the format that the user asked for. Loads rich for tables only."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ecr_promoter.harmless import log_lines
from ecr_promoter.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

View = Callable[[Any], "Iterable[RenderableType]"]
"""Makes what a table shows from a document."""

WIDE = 400
"""Characters of a line where nobody looks at a terminal: nothing is cut or wrapped in a file."""


def show(settings: Settings, document: Any, view: View) -> None:
    """Print a document: as `view` arranges it, or as data."""
    wanted = settings.output or ("json" if settings.query is not None else "table")
    if settings.query is not None:
        document = settings.query.search(document)
    if wanted != "table":
        write(dump(document, wanted))
        return
    from rich.measure import Measurement

    from ecr_promoter.output import tables

    parts = view(document) if settings.query is None else tables.of_anything(document)
    screen = console(settings)
    visible = screen.width
    with screen.capture() as drawn:
        for number, part in enumerate(parts):
            if number:
                screen.print()
            # The terminal wraps what does not fit: cut in the middle, an id could not be copied.
            needed = Measurement.get(screen, screen.options.update(width=WIDE), part).minimum
            screen.width = max(visible, needed)
            screen.print(part)
    write(trimmed(drawn.get()))


def trimmed(drawn: str) -> str:
    """Return what rich has drawn without the spaces at the ends of its lines, and without commands."""
    return log_lines("".join(f"{line.rstrip()}\n" for line in drawn.splitlines()))


def dump(document: Any, wanted: str) -> str:
    """Return a document as JSON, YAML or text, as the AWS CLI prints them."""
    from ecr_promoter.output import text, yaml

    if wanted == "text":
        return text.dump(document)
    if wanted == "yaml":
        return f"{yaml.dump(document)}\n"
    return f"{json.dumps(document, indent=4, ensure_ascii=False)}\n"


def write(written: str) -> None:
    """Print a text as it is, in UTF-8 or what the terminal has, with escapes for what it cannot show."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(written.encode(encoding, "backslashreplace").decode(encoding))
    sys.stdout.flush()


def console(settings: Settings, *, stderr: bool = False) -> Console:
    """Return a console for stdout or stderr, with color on a terminal or as the user said."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(
        stderr=stderr,
        no_color=True if settings.color == "off" else None,
        force_terminal=True if settings.color == "on" else None,
        width=None if stream.isatty() else WIDE,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=not stream.isatty(),
    )
