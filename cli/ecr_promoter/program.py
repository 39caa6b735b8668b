"""The program `ecr-promoter`: its commands. Importing it loads click and little else."""

from __future__ import annotations

import click

from ecr_promoter.commands.completion import completion
from ecr_promoter.commands.diff import diff
from ecr_promoter.commands.freezes import freeze, lift, reconcile
from ecr_promoter.commands.listings import heads, history, list_promotions
from ecr_promoter.commands.policy import policy
from ecr_promoter.commands.promote import promote
from ecr_promoter.commands.put_image import put_image
from ecr_promoter.commands.rollback import rollback
from ecr_promoter.commands.status import cancel, status

NAME = "ecr-promoter"
SECTIONS: dict[str, tuple[click.Command, ...]] = {
    "Promote": (promote, put_image, status, cancel, rollback),
    "Look": (list_promotions, heads, history, diff),
    "Operate": (freeze, lift, reconcile),
    "Policy and shell": (policy, completion),
}


class Program(click.Group):
    """Lists the commands by what they are for."""

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section for each purpose."""
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                listed = [(each.name or "", each.get_short_help_str(80)) for each in commands if not each.hidden]
                formatter.write_dl(listed)


def print_version(ctx: click.Context, _: click.Parameter, is_given: bool) -> None:
    """Print the version, which is looked up only now."""
    if is_given:
        from importlib import metadata

        try:
            click.echo(metadata.version(NAME))
        except metadata.PackageNotFoundError:
            click.echo("unreleased: run from a clone")
        ctx.exit()


@click.group(
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 2 wrong use, 3 refused, 4 failed, 5 still waiting. Example: "
    "ecr-promoter promote team/web build-42 --to staging",
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=print_version, help="Print the version."
)
def program() -> None:
    """Promote container images in Amazon ECR, by a policy that lives in git.

    `ecr-promoter COMMAND --help` shows the options of a command, with examples.
    """


for _section in SECTIONS.values():
    for _command in _section:
        program.add_command(_command)
