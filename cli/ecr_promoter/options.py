"""The options that every command has, and the shape of every command's help: with an example."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import update_wrapper
from typing import Any

import click

from ecr_promoter.durations import Duration
from ecr_promoter.exits import CommandError
from ecr_promoter.output import promotions
from ecr_promoter.output.show import show
from ecr_promoter.settings import DEFAULT_STACK, Settings

FORMATS = ("table", "json", "yaml", "text")
SECONDS = click.IntRange(0, 86_400)
"""As the AWS CLI has time limits: whole seconds; 0 means that there is no limit."""


def read_query(_: click.Context, __: click.Parameter, text: str | None) -> Any:
    """Compile `--query`, so that a mistake in it is reported before anything is done."""
    if text is None:
        return None
    import jmespath
    from jmespath.exceptions import JMESPathError

    try:
        return jmespath.compile(text)
    except RecursionError as error:
        raise click.BadParameter("It is nested too deeply.") from error
    except JMESPathError as error:
        first = str(error).splitlines()[0]
        raise click.BadParameter(f"{first} See https://jmespath.org for how to write a query.") from error


SHARED: dict[str, click.Option] = {
    option.name or "": option
    for option in (
        click.Option(
            ["--api-url"], envvar="ECR_PROMOTER_API_URL", show_envvar=True, metavar="URL", help="Where the API is."
        ),
        click.Option(
            ["--stack"],
            metavar="NAME",
            help=f"The stack that knows where the API is, if no URL is given.  [default: {DEFAULT_STACK}]",
        ),
        click.Option(["--profile"], metavar="NAME", help="The AWS profile to use."),
        click.Option(["--region"], metavar="REGION", help="The AWS Region to use."),
        click.Option(
            ["--token"],
            is_flag=True,
            help="Send a bearer token instead of a signature: ECR_PROMOTER_TOKEN, or the token of the GitHub "
            "Actions job.",
        ),
        click.Option(
            ["--audience"],
            envvar="ECR_PROMOTER_AUDIENCE",
            show_envvar=True,
            default="ecr-promoter",
            show_default=True,
            metavar="NAME",
            help="For whom GitHub makes the token.",
        ),
        click.Option(["--ca-bundle"], metavar="FILE", help="Certificates to trust instead of the usual ones."),
        click.Option(
            ["--connect-timeout", "--cli-connect-timeout"],
            type=SECONDS,
            default=10,
            hidden=True,
            metavar="SECONDS",
        ),
        click.Option(
            ["--read-timeout", "--cli-read-timeout"], type=SECONDS, default=60, hidden=True, metavar="SECONDS"
        ),
        click.Option(
            ["--retry-for"],
            type=Duration(),
            default=60,
            metavar="DURATION",
            help="How long to try again what passes with time, such as throttling.  [default: 60s]",
        ),
        click.Option(
            ["--output"],
            type=click.Choice(FORMATS),
            help="How to show the answer.  [default: table, with --query json]",
        ),
        click.Option(
            ["--query"], callback=read_query, metavar="JMESPATH", help="Show only this part of the answer."
        ),
        click.Option(
            ["--color"],
            type=click.Choice(("auto", "on", "off")),
            default="auto",
            help="Colors; auto: on a terminal.",
        ),
        click.Option(["--debug"], is_flag=True, help="Tell on stderr what is sent and received."),
    )
}
"""By the names of the members of Settings."""


class ExampleCommand(click.Command):
    """A command whose help ends with examples, and lists the shared options apart."""

    def __init__(self, *args: Any, examples: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command's own options, the shared ones, and the examples."""
        own: list[tuple[str, str]] = []
        shared: list[tuple[str, str]] = []
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record is not None:
                (shared if param.name in SHARED else own).append(record)
        for title, records in (("Options", own), ("Options of every command", shared)):
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples.strip().splitlines():
                    formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


def with_settings(serve: Callable[..., int]) -> Callable[..., int]:
    """Gather the shared options into Settings, which the command gets as its first argument.

    What the service said of a refusal is the answer too, and is shown, unless a query asks for something else.
    """

    def served(**parameters: Any) -> int:
        settings = Settings(**{name: parameters.pop(name) for name in list(parameters) if name in SHARED})
        try:
            return serve(settings, **parameters)
        except CommandError as error:
            if error.document is not None and settings.query is None:
                with suppress(CommandError):  # what cannot be written does not change how the promotion ended
                    show(settings, error.document, promotions.answered)
            raise

    return update_wrapper(served, serve)


def command(name: str, examples: str, **kwargs: Any) -> Callable[[Callable[..., int]], click.Command]:
    """Return a decorator that makes a command with the shared options and examples."""

    def decorate(serve: Callable[..., int]) -> click.Command:
        made = click.command(name, cls=ExampleCommand, examples=examples, **kwargs)(with_settings(serve))
        made.params.extend(SHARED.values())
        return made

    return decorate
