"""JSON documents as YAML. Every text that YAML could read as something else stands in quotes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./@:+=-]*[A-Za-z0-9_/@+=]|[A-Za-z_/]")
NOT_TEXT = re.compile(r"(?i)null|true|false|yes|no|on|off|y|n|\.?nan|[-+]?\.inf|.*:(?=\s|$).*")

SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}


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
    if isinstance(value, str):
        return value if PLAIN.fullmatch(value) and not NOT_TEXT.fullmatch(value) else _quoted(value)
    text = json.dumps(value)
    return text.replace("e", ".0e") if isinstance(value, float) and "e" in text and "." not in text else text


def _quoted(text: str) -> str:
    """Return a text in double quotes. Beyond 16 bits YAML has an escape of its own, where JSON has two."""
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(character: str) -> str:
    if character in SHORT:
        return SHORT[character]
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
