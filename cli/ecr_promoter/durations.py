"""Spans of time and moments, as people write them on the command line."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class Duration(click.ParamType[int]):
    """A span of time such as 90s, 30m, 24h or 14d; read as seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the seconds."""
        if isinstance(value, int):
            return value
        read = re.fullmatch(r"(\d{1,9})([smhd]?)", str(value).strip())
        if not read:
            self.fail(f"{value!r} is not a duration. Write it as 90s, 30m, 24h or 14d.", param, ctx)
        return int(read[1]) * SECONDS[read[2] or "s"]


class Moment(click.ParamType[str]):
    """A moment in ISO 8601 with an offset, or a span before or after now; read as the API takes it."""

    name = "time"

    def __init__(self, direction: int) -> None:
        self._direction = direction

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the moment in ISO 8601."""
        text = str(value).strip()
        if read := re.fullmatch(r"(\d{1,9})([smhd])", text):
            try:
                span = timedelta(seconds=int(read[1]) * SECONDS[read[2]])
                return (datetime.now(UTC) + self._direction * span).isoformat(timespec="seconds")
            except OverflowError:
                self.fail(f"{value!r} is too long: there is no such year.", param, ctx)
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            example = "2h" if self._direction > 0 else "7d"
            self.fail(f"{value!r} is not a time. Write 2026-12-31T18:00:00Z, or {example}.", param, ctx)
        return moment.isoformat()


AGO, AHEAD = Moment(-1), Moment(1)
