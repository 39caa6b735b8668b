"""Help, completion and start-up."""

from __future__ import annotations

import os
import re
import resource
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from ecr_promoter.options import ExampleCommand
from ecr_promoter.program import program
from tests.cli.conftest import Run

CLI = Path(__file__).parents[2] / "cli"
BUDGET = 0.3  # seconds of processor time to the help
HEAVY = ("boto3", "botocore", "rich", "urllib3", "jmespath")


def commands(group: click.Group = program, *path: str) -> Iterator[tuple[str, ...]]:
    """Yield the path of every command that does something."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)
        else:
            yield (*path, name)


def find(path: tuple[str, ...]) -> ExampleCommand:
    found: click.Command = program
    for name in path:
        assert isinstance(found, click.Group)
        found = found.commands[name]
    assert isinstance(found, ExampleCommand)
    return found


PATHS = list(commands())


def test_all_commands_are_there(run: Run) -> None:
    """Those of the reference, in the help."""
    names = (
        "promote put-image status cancel rollback list heads history diff freeze lift reconcile policy completion"
    )
    shown = run("--help").stdout

    for name in names.split():
        assert re.search(rf"^  {name} ", shown, re.MULTILINE), name


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_every_command_has_help_with_an_example(run: Run, path: tuple[str, ...]) -> None:
    """An example that the command line would take."""
    ended = run(*path, "--help")

    assert ended.exit_code == 0
    examples = ended.stdout.partition("Examples:\n")[2]
    assert f"ecr-promoter {' '.join(path)}" in examples


@pytest.mark.parametrize("command", ["promote", "put-image", "rollback"])
def test_the_help_says_how_to_wait(run: Run, command: str) -> None:
    """For each command that promotes."""
    shown = run(command, "--help").stdout

    for option in ("--wait", "--expires DURATION", "--timeout DURATION"):
        assert option in shown


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_every_example_can_be_typed(path: tuple[str, ...]) -> None:
    """The options and arguments of the examples exist."""
    command = find(path)
    lines = [line for line in command.examples.splitlines() if line.startswith(f"ecr-promoter {' '.join(path)}")]

    assert lines
    for line in lines:
        words = shlex.split(line.partition(" > ")[0])[1 + len(path) :]
        for placeholder in ("sha256:…",):
            words = [word.replace(placeholder, f"sha256:{'a' * 64}") for word in words]
        command.make_context(path[-1], words)


def test_a_wrong_command_says_where_the_help_is(run: Run) -> None:
    """Exit code 2."""
    ended = run("promot")

    assert ended.exit_code == 2
    assert "See `ecr-promoter --help`" in ended.stderr


def test_without_a_command_the_help_is_shown(run: Run) -> None:
    """On stderr, with exit code 2: a script that forgot the command does not go on."""
    ended = run()

    assert (ended.exit_code, ended.stdout) == (2, "")
    assert "promote" in ended.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_commands_and_options(run: Run, shell: str) -> None:
    """The script asks the program itself, by a variable."""
    assert "_ECR_PROMOTER_COMPLETE" in run("completion", shell).stdout


@pytest.mark.parametrize(
    ("words", "last", "found"),
    [("ecr-promoter pro", "1", "promote"), ("ecr-promoter promote --ex", "2", "--expect")],
)
def test_a_completion_is_found(words: str, last: str, found: str) -> None:
    """As bash would ask."""
    environment = os.environ | {
        "PYTHONPATH": str(CLI),
        "_ECR_PROMOTER_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": last,
    }
    line = [sys.executable, "-m", "ecr_promoter"]

    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)

    assert f"plain,{found}" in done.stdout


def test_the_help_loads_nothing_that_it_does_not_need() -> None:
    """No AWS, no tables, no queries."""
    line = (
        "import sys; from ecr_promoter.__main__ import main; main(['promote', '--help']); "
        f"print(*(name for name in {HEAVY!r} if name in sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", line],
        env=os.environ | {"PYTHONPATH": str(CLI)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stderr.split() == []


def test_the_help_comes_at_once() -> None:
    """The best of five starts, in processor time: other work on this machine does not count."""

    def start() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-m", "ecr_promoter", "--help"],
            env=os.environ | {"PYTHONPATH": str(CLI)},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(start() for _ in range(5)) < BUDGET
