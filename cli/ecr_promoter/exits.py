"""How a command ends: the exit codes, and the errors that carry them.

CommandError
├── UsageMistake    2  the command line is wrong, or what it needs is not there: nothing was done
├── Refused         3  the service refused the promotion
├── Failed          4  it could not be carried out; a retry may succeed
└── StillWaiting    5  the promotion goes on without this command

Each message is one line: what happened, and what to do.
"""

from __future__ import annotations

from typing import Any, ClassVar

DONE, USAGE, REFUSED, FAILED, WAITING = 0, 2, 3, 4, 5

OF_OUTCOME = {
    "PROMOTED": DONE,
    "UNCHANGED": DONE,
    "PLANNED": DONE,
    "REFUSED": REFUSED,
    "FAILED": FAILED,
    "WAITING": WAITING,
    None: WAITING,
}
"""The exit codes of outcomes. A promotion without an outcome is still running."""


def code_of(outcome: str | None) -> int:
    """Return the exit code for the outcome of a promotion. One that is not known here is not a success."""
    return OF_OUTCOME.get(outcome, FAILED)


class CommandError(Exception):
    """The command did not do what was asked. `document` is what the service said, for `--output json`."""

    exit_code: ClassVar[int] = FAILED

    def __init__(self, message: str, *, document: Any = None) -> None:
        super().__init__(message)
        self.document = document


class UsageMistake(CommandError):
    """The command line is wrong, or something that it needs is missing. Nothing was done."""

    exit_code = USAGE


class Refused(CommandError):
    """The service refused what was asked."""

    exit_code = REFUSED


class Failed(CommandError):
    """What was asked could not be carried out, or nobody knows whether it was."""

    exit_code = FAILED


class StillWaiting(CommandError):
    """The promotion waits, or runs, on the server; this command has stopped looking."""

    exit_code = WAITING
