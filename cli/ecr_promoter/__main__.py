"""Runs `ecr-promoter`: every error ends in one line on stderr and its exit code; `--debug` tells the rest."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from ecr_promoter import debugging, exits, streams
from ecr_promoter.exits import CommandError, UsageMistake
from ecr_promoter.program import NAME, program
from ecr_promoter.sanitizing import one_line


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    if arguments is None:
        streams.prepare()
    line = list(sys.argv[1:] if arguments is None else arguments)
    debugging.switch(on="--debug" in line)
    try:
        require_text(line)
        ended = program.main(line, prog_name=NAME, standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return exits.USAGE
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the outermost edge: no user sees a traceback
        exit_code, message = ending(error)
        click.echo(f"{NAME}: {one_line(message)}", err=True)
        debugging.tell_error(error)
        return exit_code
    return ended if isinstance(ended, int) else exits.DONE


def require_text(line: Sequence[str]) -> None:
    """Raise UsageMistake for bytes that are not text in the user's encoding: no request could have them."""
    for number, each in enumerate(line, start=1):
        if not each.isascii() and each != each.encode(errors="replace").decode():
            raise UsageMistake(f"Argument {number} is not text in UTF-8: {each}. Correct it.")


def ending(error: BaseException) -> tuple[int, str]:
    """Return the exit code and the message for what ended the program."""
    match error:
        case CommandError():
            return error.exit_code, str(error)
        case click.UsageError():
            see = f" See `{error.ctx.command_path} --help`." if error.ctx else ""
            return exits.USAGE, f"{error.format_message().rstrip('. ')}.{see}"
        case click.ClickException():
            return exits.USAGE, error.format_message()
        case KeyboardInterrupt() | click.Abort():
            return (
                exits.FAILED,
                "Interrupted. What was sent may still be carried out: `ecr-promoter list` shows it.",
            )
        case _:
            what = f"{type(error).__name__}: {error}"
            return exits.FAILED, f"This is a bug of the program: {what}. Run it again with --debug, and report it."


if __name__ == "__main__":
    sys.exit(main())
