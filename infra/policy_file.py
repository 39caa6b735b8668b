"""Reads promotions.yaml: every mistake at once, each with its line; and compiles it for the function."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from infra.policy_model import PolicyModel, RuleModel

Place = tuple[str | int, ...]


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
        return self.model.model_dump(mode="json", by_alias=True)


def read(path: Path) -> PolicyFile:
    """Read and check a policy. Raises PolicyError with all mistakes."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"{path}: cannot be read: {error}") from error
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        document = loader.construct_document(root) if root else {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else f"{path}"
        raise PolicyError(f"{where}: is no YAML: {getattr(error, 'problem', error)}") from error
    mistakes = list(_repeated_keys(root))
    try:
        model = PolicyModel.model_validate(document)
        mistakes += model.mistakes()
    except ValidationError as error:
        mistakes += [(tuple(item["loc"]), _sentence(item)) for item in error.errors()]
    if mistakes:
        located = sorted((_position(root, place), _name(place), message) for place, message in mistakes)
        raise PolicyError(
            "\n".join(f"{path}:{line}:{column}: {name}: {text}" for (line, column), name, text in located)
        )
    return PolicyFile(model)


def _repeated_keys(node: yaml.Node | None, place: Place = ()) -> Iterator[tuple[Place, str]]:
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
