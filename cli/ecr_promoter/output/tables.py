"""The tables of all commands. Digests are short here; `--output json` has them whole.

rich is loaded when the first table is made: other formats, and `--help`, do without.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

DIGEST_CHARACTERS = 19  # sha256: and twelve more
STYLES = {
    "PROMOTED": "green",
    "UNCHANGED": "cyan",
    "PLANNED": "blue",
    "WAITING": "yellow",
    "REFUSED": "red",
    "FAILED": "bold red",
    "CRITICAL": "bold red",
    "HIGH": "red",
    "drift": "bold red",
}
NOTHING = "-"


def of_rows(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None) -> Table:
    """Return a table; words such as outcomes and severities have their color."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(cell(value) for value in row))
    return table


def of_members(members: Mapping[str, Any], *, title: str | None = None) -> Table:
    """Return a table of names and values; members without a value are left out."""
    from rich.table import Table

    table = Table(box=None, show_header=False, title=title, title_justify="left", pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in members.items():
        if value not in (None, "", [], {}):
            table.add_row(name, cell(value))
    return table


def of_anything(document: Any) -> Iterator[RenderableType]:
    """Arrange what a query selected: rows of members, members, or lines."""
    if isinstance(document, Mapping):
        yield of_members({name: written(value) for name, value in document.items()})
    elif isinstance(document, list) and document and all(isinstance(each, Mapping) for each in document):
        columns = list(dict.fromkeys(name for each in document for name in each))
        yield of_rows(columns, ([written(each.get(name)) for name in columns] for each in document))
    elif isinstance(document, list):
        yield from map(cell, document)
    else:
        yield cell(document)


def cell(value: Any) -> Text:
    """Return a value as a cell."""
    from rich.text import Text

    text = written(value)
    return Text(text, style=STYLES.get(text, ""))


def written(value: Any) -> str:
    """Return a value in one line."""
    if value in (None, "", [], {}):
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(written, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={written(member)}" for name, member in value.items())
    return " ".join(str(value).split())


def short(digest: str | None) -> str | None:
    """Return the beginning of a digest, which tells digests apart."""
    return digest[:DIGEST_CHARACTERS] if digest and digest.startswith("sha256:") else digest


def moment(text: str | None) -> str | None:
    """Return a moment in UTC, to the second."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except ValueError:
        return text
