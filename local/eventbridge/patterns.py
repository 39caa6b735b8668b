"""Event patterns where ministack differs from AWS: patterns that are too complex, and dots in keys."""

# ruff: noqa: SLF001  ministack has no public interface for this; its version is pinned

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ministack.services import eventbridge

from infra.policy.complexity import REFUSED_FROM, complexity

Parsed = tuple[list[dict[str, Any]] | None, str | None]

TOO_COMPLEX = (
    "Rule is too complex - try using fewer wildcard characters or fewer repeating character sequences "
    "after a wildcard character"
)


def parse(parse_text: Callable[[str], Parsed], text: str) -> Parsed:
    """Return ministack's reading of a pattern, or the text with which AWS refuses it."""
    alternatives, reason = parse_text(text)
    if alternatives is None:
        return alternatives, reason
    fields: dict[str, list[list[str]]] = {}
    for alternative in alternatives:
        for path, values in _fields(alternative):
            fields.setdefault(path, []).extend(_wildcards(values))
    if any(complexity(groups) >= REFUSED_FROM for groups in fields.values()):
        return None, TOO_COMPLEX
    return alternatives, None


def matches(view: Any, alternative: Mapping[str, Any]) -> bool:
    """Return whether an event matches one alternative of a pattern. A dot in a key separates nested keys."""
    return bool(eventbridge._matches_detail(nested(view.event_with_detail()), alternative))


def test_payload(payload: Callable[[dict[str, Any]], dict[str, Any]], event: dict[str, Any]) -> dict[str, Any]:
    """Return ministack's form of an event for TestEventPattern, where a `detail` that is a string stays one."""
    detail = event.get("detail")
    return payload({**event, "detail": json.dumps(detail)} if isinstance(detail, str) else event)


def nested(value: Any) -> Any:
    """Return the JSON with `{"a.b": 1}` as `{"a": {"b": 1}}`. Two values of one path become a list."""
    if isinstance(value, list):
        return [nested(each) for each in value]
    if not isinstance(value, dict):
        return value
    found: dict[str, Any] = {}
    for key, member in value.items():
        head, dot, rest = key.partition(".")
        part = nested({rest: member} if dot else member)
        found[head] = _both(found[head], part) if head in found else part
    return found


def _both(one: Any, other: Any) -> Any:
    if isinstance(one, dict) and isinstance(other, dict):
        keys = {**one, **other}
        return {key: _both(one[key], other[key]) if key in one and key in other else keys[key] for key in keys}
    return [*(one if isinstance(one, list) else [one]), *(other if isinstance(other, list) else [other])]


def _fields(pattern: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, list[Any]]]:
    for key, value in pattern.items():
        if isinstance(value, dict):
            yield from _fields(value, f"{path}{key}.")
        elif isinstance(value, list):
            yield f"{path}{key}", value


def _wildcards(values: list[Any]) -> Iterator[list[str]]:
    for value in values:
        if isinstance(value, dict):
            operand = value.get("anything-but", value)
            wildcard = operand.get("wildcard") if isinstance(operand, dict) else None
            if wildcard is not None:
                yield wildcard if isinstance(wildcard, list) else [wildcard]
