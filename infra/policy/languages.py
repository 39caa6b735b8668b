"""Whether two patterns match a common text: exact if possible, and otherwise too often True."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from interegular import FSM, InvalidSyntax, Unsupported, parse_pattern

from infra.policy.backtracking import has_small_automaton
from promoter.domain import limits, templates

# Constructs that the automata do not support, or read wrongly: look-around, back-references, flags, atomic groups,
# classes that begin with a bracket, anchors inside a pattern.
UNKNOWN = re.compile(r"\(\?(?!:|P<)|\(\?P=|\\[0-9AZbBuUN]|\[\^?\]|[*+?}]\+")
BUILT_IN = {"digest": "[0-9a-f]{12}", "date": "[0-9]{8}"}


@dataclass(frozen=True, slots=True)
class Language:
    """The set of texts that the regular expression `pattern` matches as a whole.

    `text` is set if the set has only this text. `exact` is False if the pattern cannot be compared: it counts as
    the set of all texts.
    """

    pattern: str
    text: str | None = None
    exact: bool = True


def of(pattern: str) -> Language:
    """Return the texts that a pattern of the policy matches as a whole."""
    bare = re.sub(r"^(?:\^|\\A)", "", pattern)
    bare = re.sub(r"(?<!\\)((?:\\\\)*)(?:\$|\\Z)$", r"\1", bare)
    if UNKNOWN.search(bare) or not has_small_automaton(bare):
        return EVERYTHING
    try:
        _automaton(bare)
    except (Unsupported, InvalidSyntax):
        return EVERYTHING
    return Language(bare)


def of_text(text: str) -> Language:
    """Return the language of one text."""
    return Language(re.escape(text), text=text)


def of_glob(glob: str) -> Language:
    """Return the texts that a glob matches; only `*` has a special meaning, as in IAM."""
    if "*" not in glob:
        return of_text(glob)
    return Language(".*".join(re.escape(part) for part in glob.split("*")))


def of_template(template: str, source: str | None, repositories: Iterable[str]) -> Language:
    """Return the tags that a template can make, given its rule's `from` and repositories."""
    if not any(templates.names_in(template)):
        return of_text(template)
    values = _values(source, repositories)
    parts = re.split(templates.PLACEHOLDER, template)
    return of("".join(values.get(part, ".*") if odd % 2 else re.escape(part) for odd, part in enumerate(parts)))


@cache
def meet(one: Language, other: Language) -> bool:
    """Say whether a text is in both languages. True may be wrong, False never is."""
    if one.text is not None and other.text is not None:
        return one.text == other.text
    for text, language in ((one.text, other), (other.text, one)):
        if text is not None:
            return bool(_automaton(language.pattern).accepts(text))
    return not (_automaton(one.pattern) & _automaton(other.pattern)).empty()  # isdisjoint is wrong in 0.3.3


@cache
def _automaton(pattern: str) -> FSM:
    return parse_pattern(pattern).to_fsm()


def _values(source: str | None, repositories: Iterable[str]) -> Mapping[str, str]:
    """Return, for each name that a template may use, a pattern of its values.

    The pattern of a group counts only if the rest of `from` is exact: a flag such as (?i) changes what it matches.
    """
    tags = of(source) if source is not None else EVERYTHING
    groups = {name: pattern if tags.exact else ".*" for name, pattern in _groups(source or "").items()}
    names = "|".join(of_glob(glob).pattern for glob in repositories)
    return {name: f"(?:{pattern})?" for name, pattern in groups.items()} | {
        "tag": f"(?:{tags.pattern})",
        "repository": f"(?:{names})",
        **BUILT_IN,
    }


def _groups(pattern: str) -> dict[str, str]:
    """Return the patterns of the named groups; a group ends at the first bracket that completes its pattern."""
    groups = {}
    for match in re.finditer(r"\(\?P<(\w+)>", pattern):
        ends = (end for end in range(match.end(), len(pattern)) if pattern[end] == ")")
        texts = (pattern[match.end() : end] for end in ends)
        groups[match[1]] = next((text for text in texts if _is_whole(text)), ".*")
    return groups


def _is_whole(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


EVERYTHING = Language(".*", exact=False)
TAG = Language(templates.TAG.pattern)
REPOSITORY = Language(limits.REPOSITORY_NAME)
