"""Standard output and error of this process: printing never decides how the program ends."""

from __future__ import annotations

import io
import os
import sys
from typing import Any, TextIO


class Pipe(io.FileIO):
    """A stream that forgets what nobody reads any more, so that `ecr-promoter … | head -1` ends as without head.

    click would end the program with exit code 1, whatever became of the promotion. Other errors, such as a full
    disk, are raised once: Python would raise them again when it ends, with a traceback and exit code 120.
    """

    _is_broken = False

    def write(self, data: Any, /) -> int:
        """Write the bytes, or forget them after an error."""
        if self._is_broken:
            return len(data)
        try:
            return super().write(data)
        except OSError as error:
            self._is_broken = True
            if isinstance(error, BrokenPipeError):
                return len(data)
            raise


def prepare() -> None:
    """Make stdout and stderr take every character, also where nobody reads them or they are closed."""
    sys.stdout, sys.stderr = prepared(sys.stdout), prepared(sys.stderr)


def prepared(stream: TextIO | None) -> TextIO:
    """Return the stream to print to in place of one of Python's; None is one that is closed."""
    if stream is None:
        return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123 - it is open until the program ends
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(Pipe(stream.fileno(), "w", closefd=False)),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=True,
    )
