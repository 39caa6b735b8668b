"""`completion`: prints what a shell needs to complete commands and options."""

from __future__ import annotations

import click

from ecr_promoter import exits
from ecr_promoter.options import ExampleCommand
from ecr_promoter.output.show import write

EXAMPLES = """
# bash, in ~/.bashrc
eval "$(ecr-promoter completion bash)"

# zsh, in ~/.zshrc
eval "$(ecr-promoter completion zsh)"

# fish
ecr-promoter completion fish > ~/.config/fish/completions/ecr-promoter.fish
"""
VARIABLE = "_ECR_PROMOTER_COMPLETE"


@click.command("completion", cls=ExampleCommand, examples=EXAMPLES, short_help="Print the completion of a shell.")
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> int:
    """Print a script that lets SHELL complete the commands and options of ecr-promoter."""
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    if made is None:  # the choice has only what click knows
        raise click.UsageError(f"There is no completion for {shell}.")
    write(made(ctx.find_root().command, {}, "ecr-promoter", VARIABLE).source() + "\n")
    return exits.DONE
