"""`policy check` and `policy explain`: the code of the make targets, run in the clone that has it.

The wheel has no part of the policy's compiler. The policy, the code that judges it, and the packages which that
code needs stand in one commit of the clone, and only this commit says what would be deployed. So these commands
run the clone's own code with the clone's own Python: docs/decisions/0017-the-command-line.md.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from ecr_promoter import exits
from ecr_promoter.exits import UsageMistake
from ecr_promoter.options import ExampleCommand

CHECK = """
ecr-promoter policy check
ecr-promoter policy check another.yaml
"""
EXPLAIN = """
ecr-promoter policy explain --repository team/web --tag build-42 --put prod
aws ecr describe-image-scan-findings --repository-name team/web --image-id imageTag=build-42 > findings.json
ecr-promoter policy explain --on scan --repository team/web --tag build-42 --findings findings.json --age 30
"""
MARK = Path("infra", "policy", "explain.py")
PYTHON = Path(".venv", "Scripts" if sys.platform == "win32" else "bin", "python")

clone_option = click.option(
    "--clone",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    envvar="ECR_PROMOTER_CLONE",
    show_envvar=True,
    help="The clone of ecr-promoter.  [default: where you are, or above]",
)


@click.group("policy", short_help="Check a policy, or explain what it decides.")
def policy() -> None:
    """Check a policy, and ask what it would decide, without AWS. Both need a clone of ecr-promoter."""


@policy.command("check", cls=ExampleCommand, examples=CHECK, short_help="Check a policy.")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "-c", "--context", multiple=True, metavar="NAME=VALUE", help="A setting of the deployment, as for `cdk -c`."
)
@clone_option
def check(file: Path | None, context: tuple[str, ...], clone: Path | None) -> int:
    """Check the policy FILE, or the clone's promotions.yaml. The exit code is 3 if it has mistakes."""
    found = find(clone)
    if file is not None and not file.is_file():
        raise UsageMistake(f"{file} is not a file. Name the policy to check.")
    line = [*arguments({"context": context}), "--", str(file or found / "promotions.yaml")]
    return run(found, "infra.policy.check", line)


@policy.command("explain", cls=ExampleCommand, examples=EXPLAIN, short_help="Say what a policy would decide.")
@click.option("--policy", metavar="FILE", help="The policy.  [default: promotions.yaml of the clone]")
@click.option("--on", metavar="TRIGGER", help="scan or request.  [default: request]")
@click.option("--repository", required=True, metavar="[ACCOUNT:]NAME")
@click.option("--tag", metavar="TAG", help="The source tag.")
@click.option("--digest", metavar="DIGEST", help="The source's digest, if tags are made from it.")
@click.option("--put", multiple=True, metavar="TAG", help="A tag that the request names.")
@click.option("--caller", metavar="ARN", help="The request's IAM ARN, github:… or jwt:….")
@click.option(
    "--findings",
    multiple=True,
    metavar="[PLATFORM=]FILE",
    help="Output of aws ecr describe-image-scan-findings, one for each platform.",
)
@click.option("--signed", is_flag=True, help="The image has a signature.")
@click.option("--signed-by", multiple=True, metavar="ARN", help="A profile of ECR managed signing that signed it.")
@click.option("--age", metavar="HOURS", help="Time since the push, for soak.")
@click.option("--at", metavar="TIME", help="ISO 8601.  [default: now]")
@clone_option
def explain(clone: Path | None, **options: Any) -> int:
    """Say what the policy would decide on a request or a finished scan. The exit code is 3 if it would refuse."""
    found = find(clone)
    options["policy"] = options["policy"] or str(found / "promotions.yaml")
    return run(found, "infra.policy.explain", arguments(options))


def arguments(options: dict[str, Any]) -> list[str]:
    """Return options as a command line again."""
    line: list[str] = []
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        if value is True:
            line.append(option)
        elif isinstance(value, tuple):
            line += [f"{option}={each}" for each in value]
        elif value not in (None, False):
            line.append(f"{option}={value}")
    return line


def find(named: Path | None) -> Path:
    """Return the clone: the one that is named, or the one around the working directory. Raises UsageMistake."""
    here = (named or Path.cwd()).resolve()
    for folder in [here] if named else [here, *here.parents]:
        if (folder / MARK).is_file():
            return folder
    raise UsageMistake(
        f"{here} is not a clone of ecr-promoter, whose code judges the policy. Run this in the clone, or name it "
        "with --clone or ECR_PROMOTER_CLONE."
    )


def run(clone: Path, module: str, line: Sequence[str], *, start: Callable[..., Any] = subprocess.run) -> int:
    """Run a module of the clone; return this program's exit code for its own."""
    python = clone / PYTHON
    if not python.exists():
        raise UsageMistake(f"{clone} is not set up. Run `make setup` there, then this command again.")
    path = os.pathsep.join([str(clone), str(clone / "lambda")])
    sys.stdout.flush()
    try:
        done = start([str(python), "-m", module, *line], env=os.environ | {"PYTHONPATH": path}, check=False)
    except OSError as error:
        raise UsageMistake(
            f"{python} cannot be run: {error.strerror}. Run `make setup` there, then this command again."
        ) from error
    return {0: exits.DONE, 1: exits.REFUSED, 2: exits.USAGE}.get(done.returncode, exits.FAILED)
