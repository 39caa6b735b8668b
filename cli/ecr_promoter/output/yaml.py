"""JSON documents as YAML. Every text that YAML could read as something else stands in JSON's quotes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./@:+=-]*[A-Za-z0-9_/@+=]|[A-Za-z_/]")
NOT_TEXT = re.compile(r"(?i)null|true|false|yes|no|on|off|y|n|\.?nan|[-+]?\.inf|.*:(?=\s|$).*")


def dump(document: Any) -> str:
    """Return a document in block style, without a newline at its end."""
    return "\n".join(_lines(document))


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        for name, member in value.items():
            yield from _entry(f"{_scalar(str(name))}:", member, "  ")
    elif isinstance(value, list) and value:
        for each in value:
            lines = list(_lines(each))
            yield f"- {lines[0]}"
            yield from (f"  {line}" for line in lines[1:])
    else:
        yield _scalar(value)


def _entry(head: str, value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, Mapping | list) and value:
        yield head
        yield from (f"{'' if isinstance(value, list) else indent}{line}" for line in _lines(value))
    else:
        yield f"{head} {_scalar(value)}"


def _scalar(value: Any) -> str:
    if isinstance(value, str) and PLAIN.fullmatch(value) and not NOT_TEXT.fullmatch(value):
        return value
    return json.dumps(value)
