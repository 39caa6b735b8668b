"""promotions.yaml as YAML: its values, where each of them stands, and what YAML takes but a policy does not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from infra.policy.model import Mistake, Place
from infra.policy.text import cut

MOST_VALUES = 200_000  # of a whole policy, each alias (*name) counted with all that it stands for


class PolicyError(Exception):
    """The policy cannot be deployed. Its text is one line a mistake: `file:line:column: place: what to write`."""


class _Loader(yaml.SafeLoader):
    """YAML 1.2's booleans only, so that the key `on` stays a word, as `yes`, `no` and `off` do.

    What looks like a date or a number and is not one, as 2026-13-01, stays text: the model says what is wrong.
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
        """Return the value without its tag, so that the other mistakes are told too."""
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
    """What the file holds. `mistakes` are those that YAML itself does not mind."""

    path: Path
    root: yaml.Node | None
    values: Any
    mistakes: tuple[Mistake, ...]

    def lines(self, mistakes: Iterable[Mistake]) -> list[str]:
        """Return a line for each mistake, in the order of the file."""
        found = sorted({(_position(self.root, place), _name(place), text) for place, text in mistakes})
        return [f"{self.path}:{line}:{column}: {name}: {text}" for (line, column), name, text in found]


def parse(path: Path) -> Document:
    """Read the file. Raises PolicyError, with the line, for what is no YAML."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"{path}: cannot be read: {error}") from error
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        _check_size(path, root)
        mistakes = tuple(_beside_yaml(root))
        return Document(path, root, loader.construct_document(root) if root else {}, mistakes)
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        line, column = before.count("\n") + 1, error.position - before.rfind("\n")
        raise PolicyError(f"{path}:{line}:{column}: is no YAML: {error.reason}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else f"{path}"
        raise PolicyError(f"{where}: is no YAML: {cut(str(getattr(error, 'problem', error)))}") from error
    except RecursionError as error:
        raise PolicyError(
            f"{path}: is nested too deeply: a policy has lists and mappings six deep at most"
        ) from error


def _check_size(path: Path, root: yaml.Node | None) -> None:
    """Refuse aliases that stand for so much that reading it would take all memory."""
    sizes: dict[int, int] = {}

    def size(node: yaml.Node) -> int:
        if id(node) not in sizes:
            sizes[id(node)] = MOST_VALUES + 1  # until it is known: what refers to itself has no end
            sizes[id(node)] = 1 + sum(size(part) for part in _parts(node))
            if sizes[id(node)] > MOST_VALUES:
                line, column = node.start_mark.line + 1, node.start_mark.column + 1
                message = (
                    f"holds more than {MOST_VALUES:,} values, each alias (*name) counted with all it stands for"
                )
                raise PolicyError(
                    f"{path}:{line}:{column}: policy: {message}: write it without aliases in aliases"
                )
        return sizes[id(node)]

    if root is not None:
        size(root)


def _parts(node: yaml.Node) -> Iterable[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return (part for pair in node.value for part in pair)
    return node.value if isinstance(node, yaml.SequenceNode) else ()


def _beside_yaml(root: yaml.Node | None) -> Iterator[Mistake]:
    """Yield keys that stand twice, of which PyYAML would quietly take the last one, and tags that nobody knows."""
    todo: list[tuple[Place, yaml.Node]] = [((), root)] if root is not None else []
    met: set[int] = set()
    while todo:
        place, node = todo.pop()
        if id(node) in met:
            continue
        met.add(id(node))
        if node.tag not in _Loader.yaml_constructors:
            yield place, f"has the tag {cut(node.tag)}, which a policy does not know: take it out"
        if isinstance(node, yaml.SequenceNode):
            todo += [((*place, number), part) for number, part in enumerate(node.value)]
        elif isinstance(node, yaml.MappingNode):
            pairs = [(key.value, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)]
            keys = [key for key, _ in pairs]
            for key in {key for key in keys if keys.count(key) > 1}:
                yield (*place, key), "stands here twice: keep one"
            todo += [((*place, key), value) for key, value in pairs]


def _position(node: yaml.Node | None, place: Place) -> tuple[int, int]:
    """Return line and column, from 1, of the nearest node that stands in the file."""
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
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _name(place: Place) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{cut(step)}" for step in place)
    return text.lstrip(".") or "policy"
