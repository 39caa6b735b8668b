"""Reads a body or a query string as a shape. A mistake names the member that is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TypeVar

from msgspec import DecodeError, Struct, ValidationError, convert, json

from promoter.domain.errors import InvalidRequest

T = TypeVar("T", bound=Struct)

MOST_CHARACTERS = 300
"""Characters of a mistake that an answer repeats: the name of a member may have megabytes."""

YEARS = range(1970, 9999)
"""Of moments that callers name: no offset leads out of the years that Python and DynamoDB can hold."""


def read_body(body: bytes, shape: type[T]) -> T:
    """Read a body as a shape. Raises InvalidRequest, naming the field that is wrong."""
    return _read(lambda: json.decode(body, type=shape), "body")


def read_query(parameters: Mapping[str, str], shape: type[T]) -> T:
    """Read the parameters of a query string as a shape, numbers from text. Raises InvalidRequest likewise."""
    return _read(lambda: convert(dict(parameters), shape, strict=False), "query")


def read_moment(field: str, text: str | None) -> datetime | None:
    """Read a moment of a query string. Its + arrives as a space unless it is written %2B."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError as error:
        raise InvalidRequest(
            f"{field} is not a time. Write it as in 2026-12-31T18:00:00Z or 2026-12-31T19:00:00%2B01:00.",
            field=field,
        ) from error
    return require_offset(field, moment)


def require_offset(field: str, moment: datetime) -> datetime:
    """Return a moment that has an offset and a year that can be stored. Raises InvalidRequest for others."""
    if not moment.tzinfo:
        raise InvalidRequest(f"{field} needs an offset, as in 2026-12-31T18:00:00Z.", field=field)
    if moment.year not in YEARS:
        raise InvalidRequest(f"{field} must be in the years {YEARS[0]} to {YEARS[-1]}.", field=field)
    return moment


def _read(read: Callable[[], T], whole: str) -> T:
    try:
        return read()
    except ValidationError as error:
        message, _, place = str(error).partition(" - at `")
        field = _field(message, place)[:MOST_CHARACTERS] or whole
        raise InvalidRequest(f"{field}: {_readable(message)[:MOST_CHARACTERS]}", field=field) from error
    except (DecodeError, UnicodeError, RecursionError) as error:  # half of a surrogate pair is a UnicodeError
        raise InvalidRequest(f"The {whole} cannot be read: {error}", field=whole) from error


def _field(message: str, place: str) -> str:
    """Return the path of the member that is wrong, from msgspec's message and the place that it names."""
    path = place.replace("key` in `", "").rstrip("`").removeprefix("$").removeprefix(".")
    named = re.search(r"field `(.+?)`", message)
    if named:  # unknown or missing: the message names the member, the place only what it is in
        return f"{path}.{named[1]}".lstrip(".")
    return path


def _readable(message: str) -> str:
    """Return msgspec's message without its word for a JSON object, and without the anchors of patterns."""
    return re.sub(r"Object |\\{1,2}[AZ]", "", message)
