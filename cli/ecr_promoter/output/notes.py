"""Notes for people on stderr, beside the answer on stdout."""

from __future__ import annotations

import click


def note(text: str) -> None:
    """Print a line that is not part of the answer."""
    click.echo(text, err=True)
