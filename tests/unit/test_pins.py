"""Every pin answers for one input, has its hashes, and names no index."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).parents[2]
INPUTS = ("requirements", "requirements-dev", "lambda/requirements", "cli/requirements")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def wanted(name: str) -> dict[str, Requirement]:
    """Return what an .in file asks for by itself, by name."""
    lines = (line.partition("#")[0].strip() for line in (PROJECT / f"{name}.in").read_text().splitlines())
    asked = [Requirement(line) for line in lines if line and not line.startswith(("-r ", "-c "))]
    return {canonicalize_name(requirement.name): requirement for requirement in asked}


def included(name: str) -> list[str]:
    """Return the pins that an .in file takes over whole, as names of inputs."""
    found = re.findall(r"^-r (\S+)\.txt$", (PROJECT / f"{name}.in").read_text(), re.MULTILINE)
    return [(Path(name).parent / other).as_posix() for other in found]


def logical_lines(name: str) -> list[str]:
    """Return a .txt file without its comments, continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", (PROJECT / f"{name}.txt").read_text(), flags=re.MULTILINE)
    return [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def pinned(name: str) -> dict[str, Requirement]:
    """Return what a .txt file pins, by name."""
    pins = [Requirement(HASH.sub("", line)) for line in logical_lines(name)]
    return {canonicalize_name(pin.name): pin for pin in pins}


@pytest.mark.parametrize("name", INPUTS)
def test_each_input_has_its_pin(name: str) -> None:
    """What an .in file asks for is in the .txt file, in a version that it allows; `make pins KEEP=1` adds it."""
    pins = pinned(name)

    for package, requirement in wanted(name).items():
        assert package in pins, f"{name}.txt lacks {package}"
        (version,) = pins[package].specifier
        assert requirement.specifier.contains(version.version), f"{pins[package]} is not {requirement}"


@pytest.mark.parametrize("name", INPUTS)
def test_each_pin_is_one_version_with_hashes(name: str) -> None:
    """A changed file on an index is refused: one exact version a line, with the hashes of its files."""
    for line in logical_lines(name):
        (version,) = Requirement(HASH.sub("", line)).specifier
        assert version.operator == "==", line
        assert HASH.search(line), line


@pytest.mark.parametrize("name", INPUTS)
def test_no_pin_names_an_index(name: str) -> None:
    """Where packages come from is the environment's business: no address, no option about one."""
    text = (PROJECT / f"{name}.txt").read_text()

    assert "://" not in text
    assert not re.search(r"--(index-url|extra-index-url|find-links|trusted-host|index|default-index)\b", text)


@pytest.mark.parametrize("name", INPUTS)
def test_every_pin_is_asked_for(name: str) -> None:
    """A pin says what needs it, so that one that nothing needs any more is seen."""
    text = (PROJECT / f"{name}.txt").read_text()

    for package in pinned(name):
        assert re.search(rf"^{package}==[^#]+# via", text, re.MULTILINE), f"{package} in {name}.txt is via nothing"
    named = {Path(path) for path in re.findall(r"-r (\S+)", text)}
    assert named <= {Path(f"{name}.in"), *(Path(f"{other}.txt") for other in included(name))}


@pytest.mark.parametrize(("one", "other"), list(combinations(INPUTS, 2)))
def test_all_files_pin_one_version(one: str, other: str) -> None:
    """What is tested is what is deployed: a package that two files pin has one version."""
    first, second = pinned(one), pinned(other)

    assert {name: str(first[name].specifier) for name in first.keys() & second.keys()} == {
        name: str(second[name].specifier) for name in first.keys() & second.keys()
    }


@pytest.mark.parametrize("name", INPUTS)
def test_what_is_included_is_pinned_alike(name: str) -> None:
    """The development environment holds all that the app and the function need, with the same hashes."""
    lines = {line.split("==")[0]: set(HASH.findall(line)) for line in logical_lines(name)}

    for other in included(name):
        for line in logical_lines(other):
            assert lines[line.split("==")[0]] == set(HASH.findall(line)), line.split(" ")[0]
