"""promotions.yaml as YAML: its values, their positions, and mistakes that YAML itself accepts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from infra.policy.shape import Mistake, Place
from infra.policy.text import cut

MOST_VALUES = 200_000  # of a whole policy, with each alias (*name) counted as all that it refers to


class PolicyError(Exception):
    """The policy cannot be deployed. Each line of the text is a mistake: `file:line:column: place: remedy`."""


class _Loader(yaml.SafeLoader):
    """Reads the booleans of YAML 1.2 only, so that the key `on` is text, like `yes`, `no` and `off`.

    Text that only looks like a date or a number, such as 2026-13-01, stays text: the model reports the mistake.
    """

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, TypeError, LookupError, AttributeError):
            if not isinstance(node, yaml.ScalarNode):
                raise
            self.recursive_objects.pop(node, None)
            self.constructed_objects[node] = node.value
            return node.value

    def construct_unknown(self, node: yaml.Node) -> Any:
        """Return the value without its tag, so that the other mistakes are reported too."""
        if isinstance(node, yaml.MappingNode):
            return self.construct_mapping(node, deep=True)
        if isinstance(node, yaml.SequenceNode):
            return self.construct_sequence(node, deep=True)
        return node.value


_Loader.add_constructor(None, _Loader.construct_unknown)
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool" or first in "tTfF"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True)
class Document:
    """The content of the file. `mistakes` are those that YAML itself accepts."""

    path: Path
    root: yaml.Node | None
    values: Any
    mistakes: tuple[Mistake, ...]

    def lines(self, mistakes: Iterable[Mistake]) -> list[str]:
        """Return a line for each mistake, in the order of the file."""
        found = sorted({(_position(self.root, place), _name(place), text) for place, text in mistakes})
        return [f"{self.path}:{line}:{column}: {name}: {text}" for (line, column), name, text in found]


def parse(path: Path) -> Document:
    """Read the file. Raises PolicyError with the line if it is not YAML."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"{path}: cannot be read: {error}") from error
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        _check_size(path, root)
        mistakes = tuple(_mistakes(root))
        return Document(path, root, loader.construct_document(root) if root else {}, mistakes)
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        line, column = before.count("\n") + 1, error.position - before.rfind("\n")
        raise PolicyError(f"{path}:{line}:{column}: is not YAML: {error.reason}") from error
    except yaml.YAMLError as error:
        line, column = _line_and_column(getattr(error, "problem_mark", None))
        problem = cut(str(getattr(error, "problem", error)))
        raise PolicyError(f"{path}:{line}:{column}: is not YAML: {problem}") from error
    except RecursionError as error:
        raise PolicyError(
            f"{path}: is nested too deeply: a policy has at most six levels of lists and mappings"
        ) from error


def _check_size(path: Path, root: yaml.Node | None) -> None:
    """Refuse aliases that refer to so many values that reading them would use up the memory."""
    sizes: dict[int, int] = {}

    def size(node: yaml.Node) -> int:
        if id(node) not in sizes:
            sizes[id(node)] = MOST_VALUES + 1  # until it is known: an alias within its own anchor has no end
            sizes[id(node)] = 1 + sum(size(part) for part in _parts(node))
            if sizes[id(node)] > MOST_VALUES:
                line, column = _line_and_column(node.start_mark)
                message = (
                    f"has more than {MOST_VALUES:,} values, as each alias (*name) counts as all that it names"
                )
                raise PolicyError(f"{path}:{line}:{column}: policy: {message}: do not use aliases within aliases")
        return sizes[id(node)]

    if root is not None:
        size(root)


def _parts(node: yaml.Node) -> Iterable[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return (part for pair in node.value for part in pair)
    return node.value if isinstance(node, yaml.SequenceNode) else ()


def _mistakes(root: yaml.Node | None) -> Iterator[Mistake]:
    """Yield repeated keys, of which PyYAML would silently use the last one, and unknown tags."""
    todo: list[tuple[Place, yaml.Node]] = [((), root)] if root is not None else []
    met: set[int] = set()
    while todo:
        place, node = todo.pop()
        if id(node) in met:
            continue
        met.add(id(node))
        if node.tag not in _Loader.yaml_constructors:
            yield place, f"has the YAML tag {cut(node.tag)}, which a policy cannot use: remove it"
        if isinstance(node, yaml.SequenceNode):
            todo += [((*place, number), part) for number, part in enumerate(node.value)]
        elif isinstance(node, yaml.MappingNode):
            pairs = [(key.value, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)]
            keys = [key for key, _ in pairs]
            for key in {key for key in keys if keys.count(key) > 1}:
                yield (*place, key), "is written twice: keep one"
            todo += [((*place, key), value) for key, value in pairs]


def _position(node: yaml.Node | None, place: Place) -> tuple[int, int]:
    """Return line and column, counted from 1, of the nearest node that the file has."""
    mark = node.start_mark if node else None
    for step in place:
        if isinstance(node, yaml.MappingNode):
            pairs = [(key, value) for key, value in node.value if key.value == str(step)]
            if not pairs:
                break
            key, node = pairs[-1]
            mark = key.start_mark
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            mark = node.start_mark
        else:
            break
    return _line_and_column(mark)


def _line_and_column(mark: yaml.Mark | None) -> tuple[int, int]:
    """Return a position, counted from 1; without one, the beginning of the file."""
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _name(place: Place) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{cut(step)}" for step in place)
    return text.lstrip(".") or "policy"
