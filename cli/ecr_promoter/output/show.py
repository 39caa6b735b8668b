"""Prints an answer in the format that the user asked for. Loads rich for tables only."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ecr_promoter.exits import Failed, UsageMistake
from ecr_promoter.sanitizing import log_lines, printable
from ecr_promoter.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

View = Callable[[Any], "Iterable[RenderableType]"]
"""Makes what a table shows from a document."""

WIDE = 400
"""Characters of a line where nobody looks at a terminal: nothing is cut or wrapped in a file."""
BEYOND_ASCII = re.compile(r"[^\n -~]")


def show(settings: Settings, document: Any, view: View) -> None:
    """Print a document: as `view` arranges it, or as data."""
    wanted = settings.output or ("json" if settings.query is not None else "table")
    if settings.query is not None:
        document = selected(settings.query, document)
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


def selected(query: Any, document: Any) -> Any:
    """Return what a query selects. Raises UsageMistake: only the answer shows that a query does not fit it."""
    from jmespath.exceptions import JMESPathError

    try:
        return query.search(document)
    except (JMESPathError, ValueError) as error:  # ValueError: a slice whose step is 0
        raise UsageMistake(
            f"--query does not fit the answer: {error}. The service has answered, only the output failed. Correct "
            "the query."
        ) from error


def trimmed(drawn: str) -> str:
    """Return what rich has drawn without the spaces at the ends of its lines, and without commands."""
    return log_lines("".join(f"{line.rstrip()}\n" for line in drawn.splitlines()))


def dump(document: Any, wanted: str) -> str:
    """Return a document as JSON, YAML or text, as the AWS CLI prints them."""
    from ecr_promoter.output import text, yaml

    if wanted == "text":
        lines = text.dump(document)
        return printable(lines, but="\n\t") if sys.stdout.isatty() else lines
    if wanted == "yaml":
        return f"{yaml.dump(document)}\n"
    return f"{BEYOND_ASCII.sub(escaped, json.dumps(document, indent=4, ensure_ascii=False))}\n"


def escaped(found: re.Match[str]) -> str:
    """Return a character of JSON as it is, or escaped where it is invisible or stdout cannot have it."""
    character = found[0]
    try:
        character.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(character)[1:-1]
    return character if character.isprintable() else json.dumps(character)[1:-1]


def write(written: str) -> None:
    """Print a text. Raises Failed where that is not possible, such as on a full disk."""
    encoding = sys.stdout.encoding or "utf-8"
    try:
        sys.stdout.write(written.encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()
    except OSError as error:
        raise Failed(
            f"The answer cannot be written: {error.strerror}. The service has answered, only the output failed: "
            "`ecr-promoter list` shows what was done."
        ) from error


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
