"""The tables of all commands. Digests are short here; `--output json` has them whole.

rich is loaded when the first table is made: other formats, and `--help`, do without.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ecr_promoter.sanitizing import one_line

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
PROSE = ("detail", "reason", "failed", "because")
"""The columns with sentences."""


def of_rows(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None) -> Table:
    """Return a table; words such as outcomes and severities have their color.

    Only sentences are folded: what a user may want to copy stays on one line.
    """
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False, show_edge=False)
    cells = [[cell(value) for value in row] for row in rows]
    for number, column in enumerate(columns):
        longest = max((row[number].cell_len for row in cells), default=0)
        table.add_column(column, overflow="fold", min_width=None if column in PROSE else longest)
    for row in cells:
        table.add_row(*row)
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
    return one_line(str(value))


def short(digest: str | None) -> str | None:
    """Return the beginning of a digest, which tells digests apart."""
    return digest[:DIGEST_CHARACTERS] if digest and digest.startswith("sha256:") else digest


def principal(arn: str | None) -> str | None:
    """Return who an ARN is, without its account: `deployer/run-7`, `user/anna`. Subjects of tokens stay whole."""
    if not arn or not arn.startswith("arn:"):
        return arn
    return arn.split(":", 5)[-1].removeprefix("assumed-role/")


def moment(text: str | None) -> str | None:
    """Return a moment in UTC, to the second."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (ValueError, OverflowError):
        return text
