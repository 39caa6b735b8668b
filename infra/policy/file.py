"""Reads promotions.yaml: every mistake at once, each with its line; and compiles it for the function."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from infra.policy.conflicts import conflicts
from infra.policy.model import FreezeModel, Mistake, Place, PolicyModel, RuleModel


class PolicyError(Exception):
    """The policy cannot be deployed. Its text is one line a mistake: `file:line:column: place: what to write`."""


class _Loader(yaml.SafeLoader):
    """YAML 1.2's booleans only, so that the key `on` stays a word, as `yes`, `no` and `off` do."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool" or first in "tTfF"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True)
class PolicyFile:
    """A policy without mistakes."""

    model: PolicyModel

    @property
    def rules(self) -> list[RuleModel]:
        """The rules in the order of the file."""
        return self.model.rules

    def compiled(self) -> dict[str, Any]:
        """Return the plain JSON that promoter.policy.load reads."""
        return self.model.compiled()


def read(path: Path, *, account: str | None = None, today: date | None = None) -> PolicyFile:
    """Read and check a policy. Raises PolicyError with all mistakes.

    `account` is the account to deploy to, where that is known; `today` (UTC) decides what has expired.
    """
    root, document = _parse(path)
    mistakes = list(_repeated_keys(root))
    model = None
    try:
        model = PolicyModel.model_validate(document, context={"today": today or datetime.now(UTC).date()})
    except ValidationError as error:
        mistakes += [(_place(item["loc"]), _sentence(item)) for item in error.errors()]
    mistakes += _beyond_shape(document, [place for place, _ in mistakes], account)
    if model is None or mistakes:
        located = sorted({(_position(root, place), _name(place), message) for place, message in mistakes})
        raise PolicyError(
            "\n".join(f"{path}:{line}:{column}: {name}: {text}" for (line, column), name, text in located)
        )
    return PolicyFile(model)


def _parse(path: Path) -> tuple[yaml.Node | None, Any]:
    """Return the document and the nodes that know where its parts stand."""
    try:
        loader = _Loader(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise PolicyError(f"{path}: is no YAML: {error}") from error
    try:
        root = loader.get_single_node()
        return root, loader.construct_document(root) if root else {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else f"{path}"
        raise PolicyError(f"{where}: is no YAML: {getattr(error, 'problem', error)}") from error
    except (ValueError, TypeError) as error:  # a date that the calendar does not have, a key that is a list
        raise PolicyError(f"{path}: is no YAML: {error}") from error


def _beyond_shape(document: Any, damaged: list[Place], account: str | None) -> Iterator[Mistake]:
    """Yield what the shapes alone do not show, of all entries that can be read at least in part."""
    if not isinstance(document, dict):
        return
    rules = _readable(document, "rules", RuleModel, damaged)
    freezes = _readable(document, "freeze", FreezeModel, damaged)
    names = {str(each.get("name")) for each in _entries(document, "rules").values()}
    found = [
        *((("rules", number, *place), text) for number, rule in rules.items() for place, text in rule.mistakes()),
        *conflicts(rules, account=account),
        *(
            (("freeze", number, *place), text)
            for number, freeze in freezes.items()
            for place, text in freeze.mistakes(names)
        ),
    ]
    # Where a key is wrong already, what follows from its absence is no news.
    yield from ((place, text) for place, text in found if not any(place[:3] == bad[:3] for bad in damaged))


def _readable(
    document: dict[Any, Any], member: str, model: Callable[..., Any], damaged: list[Place]
) -> dict[int, Any]:
    """Return, by number, the entries that a model takes, if need be without the keys that are wrong."""
    readable = {}
    for number, entry in _entries(document, member).items():
        bad = {place[2] for place in damaged if place[:2] == (member, number) and len(place) > 2}
        if "from" in bad:
            continue  # an entry without it would be another one
        try:
            readable[number] = model(**{key: value for key, value in entry.items() if key not in bad})
        except (ValidationError, TypeError):
            continue  # what it needs is among the keys that are wrong
    return readable


def _entries(document: dict[Any, Any], member: str) -> dict[int, dict[str, Any]]:
    entries = document.get(member)
    return {
        at: each for at, each in enumerate(entries if isinstance(entries, list) else ()) if isinstance(each, dict)
    }


def _repeated_keys(node: yaml.Node | None, place: Place = ()) -> Iterator[Mistake]:
    """YAML says that keys are unique; PyYAML would quietly take the last one."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                yield (*place, key.value), "stands here twice: keep one"
            seen.add(key.value)
            yield from _repeated_keys(value, (*place, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield from _repeated_keys(value, (*place, number))


def _position(node: yaml.Node | None, place: Place) -> tuple[int, int]:
    """Return line and column, from 1, of the nearest node that stands in the file."""
    mark = node.start_mark if node else None
    for step in place:
        if isinstance(node, yaml.MappingNode):
            pairs = [(key, value) for key, value in node.value if key.value == step]
            if not pairs:
                break
            key, node = pairs[-1]
            mark = key.start_mark
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            mark = node.start_mark
        else:
            break
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _place(loc: tuple[str | int, ...]) -> Place:
    """Pydantic adds a step of its own for a mapping's key."""
    return tuple(step for step in loc if step != "[key]")


def _name(place: Place) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    return text.lstrip(".") or "policy"


def _sentence(item: Any) -> str:
    """Say what to do about one of Pydantic's errors."""
    match item["type"]:
        case "extra_forbidden":
            return "is not a key that a policy knows: check its spelling"
        case "missing":
            return "is missing: add it"
        case "value_error":
            return str(item["ctx"]["error"])
    return f"{item['msg'][0].lower()}{item['msg'][1:]}, got {item['input']!r}"
