"""Documents as the AWS CLI's `--output text` has them: tab-separated values, the keys in alphabetical order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def dump(document: Any) -> str:
    """Return the lines, each with its newline."""
    return "".join(f"{line}\n" for line in _lines(document, None))


def _lines(value: Any, name: str | None, columns: Sequence[str] | None = None) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from _of_mapping(value, name, columns)
    elif isinstance(value, list):
        yield from _of_list(value, name)
    else:
        yield str(value)


def _of_mapping(value: Mapping[str, Any], name: str | None, columns: Sequence[str] | None) -> Iterator[str]:
    """Yield the plain members on one line, then the others. Mappings of one list have the same columns."""
    if columns is None:
        columns = sorted(key for key, member in value.items() if not _is_nested(member))
        row = [str(value[key]) for key in columns]
    else:
        row = [str(value.get(key, "")) for key in columns]
    if row:
        yield "\t".join(row if name is None else [name.upper(), *row])
    for key in sorted(set(value) - set(columns)):
        yield from _lines(value[key], key)


def _of_list(value: list[Any], name: str | None) -> Iterator[str]:
    if any(isinstance(each, Mapping) for each in value):
        rows = [each for each in value if isinstance(each, Mapping)]
        plain = {key for each in rows for key, member in each.items() if not _is_nested(member)}
        for each in value:
            yield from _lines(each, name, sorted(plain))
        return
    scalars = [str(each) for each in value if not isinstance(each, list)]
    if scalars and name is not None:
        yield from (f"{name.upper()}\t{each}" for each in scalars)
    elif scalars:
        yield "\t".join(scalars)
    for each in value:
        if isinstance(each, list):
            yield from _lines(each, name)


def _is_nested(value: Any) -> bool:
    return isinstance(value, Mapping | list)
