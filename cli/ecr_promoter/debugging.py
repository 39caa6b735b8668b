"""What `--debug` tells on stderr: what is sent and received, without secrets."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping

from ecr_promoter.sanitizing import one_line

SECRET = ("authorization", "x-amz-security-token", "cookie", "set-cookie")
MOST = 4_000  # characters of a body
_on = False


def switch(*, on: bool) -> None:
    """Tell from now on, or do not."""
    global _on  # noqa: PLW0603 - one process runs one command
    _on = on


def tell(text: str) -> None:
    """Print a line on stderr, if the user asked for it. What servers say commands nothing."""
    if _on:
        print(f"debug: {one_line(text)}", file=sys.stderr)  # noqa: T201 - for people, beside the answer


def tell_request(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> None:
    """Tell what is sent."""
    tell(f"> {method} {url}")
    _tell_rest(">", headers, body)


def tell_reply(status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Tell what came back."""
    tell(f"< {status}")
    _tell_rest("<", headers, body)


def tell_error(error: BaseException) -> None:
    """Tell an error's causes, and where each was raised."""
    cause: BaseException | None = error
    while cause is not None:
        tell(f"{type(cause).__name__}: {cause}")
        for frame in traceback.extract_tb(cause.__traceback__):
            tell(f"  in {frame.name} ({frame.filename}:{frame.lineno})")
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def _tell_rest(mark: str, headers: Mapping[str, str], body: bytes | None) -> None:
    for name, value in headers.items():
        tell(f"{mark} {name}: {'(secret)' if name.lower() in SECRET else _text(value)}")
    if body:
        tell(f"{mark} {body[:MOST].decode('utf-8', 'replace')}")


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
