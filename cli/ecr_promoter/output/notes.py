"""Notes for people on stderr, beside the answer on stdout."""

from __future__ import annotations

import click

from ecr_promoter.sanitizing import log_lines, one_line


def note(text: str) -> None:
    """Print a line that is not part of the answer."""
    click.echo(log_lines(one_line(text)), err=True)
