"""The tutorial is true: its commands, run as a reader types them, print what the page shows."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from local import __main__ as commands
from local import deploy, process
from tests.e2e.conftest import Stack
from tests.support.pages import Masks, Shell, steps

PROJECT = Path(__file__).parents[2]
TUTORIAL = PROJECT / "docs" / "tutorial.md"
MADE = {".local", "cdk.out", "site", "tutorial.yaml", "answer.json"}
"""What the commands of the page make. It must not be there before."""


def tutorial_policy() -> str:
    """Return the policy that the reader writes."""
    (policy,) = re.findall(r"<<'YAML'\n(.*?)^YAML$", TUTORIAL.read_text(), re.DOTALL | re.MULTILINE)
    return str(policy)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The project as a reader has it, set up, in a folder of its own."""
    folder = tmp_path / "ecr-promoter"
    folder.mkdir()
    for entry in PROJECT.iterdir():
        if entry.name not in MADE | {".venv"}:
            (folder / entry.name).symlink_to(entry)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


@pytest.fixture
def deployed(
    stack: Stack, clone: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> dict[str, str]:
    """The real outputs of `make local` and `make stop`, for the stack that these tests have deployed."""

    def started(directory: Path, **_: object) -> process.LocalAws:
        directory.mkdir()
        stack.aws.save(directory)
        return stack.aws

    def deploy_nothing(_arguments: object, _environment: object, directory: Path, **_: object) -> None:
        (directory / "outputs.json").write_text(json.dumps({deploy.STACK: outputs(stack)}))

    monkeypatch.chdir(clone)
    monkeypatch.setattr(process, "start", started)
    monkeypatch.setattr(process, "stop", lambda _: True)
    monkeypatch.setattr(deploy, "run", deploy_nothing)
    printed = {}
    for target, arguments in (("local", ["up", "--policy", "tutorial.yaml"]), ("stop", ["stop"])):
        commands.main(arguments)
        printed[target] = capsys.readouterr().out
    return printed


def outputs(stack: Stack) -> dict[str, str]:
    """Return the stack's outputs as the CDK writes them into a file."""
    described = stack.client("cloudformation").describe_stacks(StackName=deploy.STACK)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}


@pytest.fixture
def shell(clone: Path, deployed: dict[str, str]) -> Iterator[Shell]:
    """A shell in the clone, without a trace of the user's own AWS.

    `make` is the real one, except that it sets nothing up and that what it would start is there already.
    """
    for target, text in deployed.items():
        (clone / ".local" / f"{target}.txt").write_text(text)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PROMOTER_"))}
    with Shell(clone, environment) as opened:
        opened.run(
            "make() { case $1 in setup) ;; local|stop) cat .local/$1.txt ;; "
            '*) command make --old-file=.venv/.set-up --no-print-directory "$@" ;; esac; }'
        )
        yield opened


def test_the_tutorial_prints_what_it_shows(shell: Shell) -> None:
    """Digests, ids, times and ports are the reader's own; equal ones on the page are equal here."""
    masks = Masks()
    for step in steps(TUTORIAL.read_text()):
        masks = shell.follow(step, masks)


def test_the_stack_of_these_tests_has_the_tutorials_policy() -> None:
    """The page is tested with the rules that it shows."""
    deployed = yaml.safe_load(Path(__file__).with_name("policy.yaml").read_text())["rules"]
    for rule in yaml.safe_load(tutorial_policy())["rules"]:
        assert rule in deployed


def test_no_block_of_the_tutorial_is_left_out() -> None:
    """Every block of commands is found, and every block of text is the output of one."""
    page = TUTORIAL.read_text()
    found = list(steps(page))

    assert len(found) == page.count("```sh\n")
    assert len([step for step in found if step.output]) == page.count("```text\n")
