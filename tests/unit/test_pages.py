"""What follows a page of the docs notices where the page is wrong."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pages import Masks, Shell, Step, steps

ONE, OTHER = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    with Shell(tmp_path, os.environ) as opened:
        yield opened


def step(commands: str, output: str = "", *, repeated: bool = False) -> Step:
    return Step(f"{commands}\n", output, repeated)


def test_a_block_of_text_is_the_output_of_the_commands_before_it() -> None:
    """Commands without one print nothing."""
    page = (
        "```sh\ncd /\n```\n\nThen:\n\n<!-- repeated until it prints this -->\n```sh\npwd\n```\n\n```text\n/\n```\n"
    )

    assert list(steps(page)) == [step("cd /"), step("pwd", "/", repeated=True)]


def test_digests_ids_times_and_ports_may_differ(shell: Shell) -> None:
    """As long as they are of the same kind."""
    printed = f"{OTHER} 2026-01-02T03:04:05+00:00 http://127.0.0.1:4567 {'0a1b2c3d-' + '1111-' * 3 + '0' * 12}"
    shown = f"{ONE} 2025-12-31T23:59:59.123+00:00 http://127.0.0.1:80 {'ffffffff-' + '2222-' * 3 + '9' * 12}"

    shell.follow(step(f"echo {printed}", shown), Masks())


def test_a_digest_that_is_shown_twice_is_wanted_twice(shell: Shell) -> None:
    """Also where the two are in different steps."""
    masks = shell.follow(step(f"echo {OTHER}", ONE), Masks())

    shell.follow(step(f"echo {OTHER}", ONE), masks)
    with pytest.raises(AssertionError, match="<digest 1>"):
        shell.follow(step(f"echo sha256:{'3' * 64}", ONE), masks)


@pytest.mark.parametrize(
    "wrong",
    [
        step("echo promoted", "refused"),
        step("echo more than the page shows"),
        step("true", "what is not printed"),
        step("echo a failure; false", "a failure"),
        step("no-such-command"),
    ],
    ids=lambda wrong: wrong.commands.strip(),
)
def test_a_page_that_is_wrong_is_noticed(shell: Shell, wrong: Step) -> None:
    """In its output, or in a command that fails."""
    with pytest.raises(AssertionError, match=r"shows|prints"):
        shell.follow(wrong, Masks())


def test_a_step_is_repeated_where_the_page_says_so(shell: Shell) -> None:
    """Until it prints what is shown; what one step sets is there in the next."""
    shell.follow(step("count=0"), Masks())

    shell.follow(step("count=$((count + 1)); echo $count", "3", repeated=True), Masks())
