"""`python -m local start|up|stop|demo`: AWS on this machine. `make local`, `make stop` and `make demo` call it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from local import aws, deploy, process
from local.demo import run


def start(given: argparse.Namespace) -> int:
    """Start a local AWS without the stack, unless one runs in the directory already."""
    found = process.start(given.directory, outlives_caller=True)
    path = aws.write_env(given.directory, {})
    print(f"The local AWS runs at {found.endpoint_url}. Set up your shell with: . {path}")
    return 0


def up(given: argparse.Namespace) -> int:
    """Start a local AWS and deploy the stack to it. Run again, it deploys what has changed."""
    print("1. Start the local AWS", flush=True)
    found = process.start(given.directory, outlives_caller=True)
    print(f"   {found.endpoint_url}")
    print(f"2. Deploy the stack with the policy {given.policy} (about 20 s)", flush=True)
    variables = deploy.deploy(found, given.directory, given.policy, settings=given.context)
    path = aws.write_env(given.directory, variables)
    print(f"The API runs at {variables['PROMOTER_API_URL']}.")
    if "PROMOTER_TOKEN_API_URL" in variables:
        print(f"The API for tokens runs at {variables['PROMOTER_TOKEN_API_URL']}.")
    print(f"Set up your shell with: . {path}")
    print("Stop the local AWS with: make stop")
    return 0


def stop(given: argparse.Namespace) -> int:
    """Stop the local AWS of the directory."""
    stopped = process.stop(given.directory)
    print("The local AWS is stopped." if stopped else f"No local AWS runs in {given.directory}.")
    return 0


def demo(_: argparse.Namespace) -> int:
    """Promote images step by step on a local AWS of its own, which is stopped at the end."""
    return run.main()


COMMANDS = {"start": start, "up": up, "stop": stop, "demo": demo}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, command in COMMANDS.items():
        sub = commands.add_parser(name, help=command.__doc__)
        sub.add_argument("--directory", type=Path, default=Path(".local"), help="its folder (%(default)s)")
        sub.add_argument(
            "--policy",
            type=Path,
            default=Path("promotions.yaml"),
            help="the policy to deploy (%(default)s)",
        )
        sub.add_argument(
            *("-c", "--context"),
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="a setting to deploy with, in place of that of cdk.json",
        )
        sub.set_defaults(command=command)
    given = parser.parse_args(arguments)
    try:
        status: int = given.command(given)
    except (process.NotStarted, deploy.DeployError) as error:
        print(error, file=sys.stderr)
        return 1
    return status


if __name__ == "__main__":
    raise SystemExit(main())
