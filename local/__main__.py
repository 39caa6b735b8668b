"""`python -m local up|stop|demo|start`: AWS on this machine; `make local`, `make stop` and `make demo` call it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from local import aws, demo, deploy, process


def start(given: argparse.Namespace) -> int:
    """Start an empty local AWS, or find the one that runs, and say how to reach it."""
    found = process.start(given.directory)
    path = aws.write_env(given.directory, {})
    print(f"The local AWS answers at {found.endpoint_url}. Set your shell up with: . {path}")
    return 0


def up(given: argparse.Namespace) -> int:
    """Start a local AWS and deploy the stack to it; once more deploys what has changed."""
    print("1. The local AWS starts")
    found = process.start(given.directory)
    print(f"   {found.endpoint_url}")
    print(f"2. The stack is deployed with {given.policy} (about 20 s)")
    variables = deploy.deploy(found, given.directory, given.policy)
    path = aws.write_env(given.directory, variables)
    print(f"The API answers at {variables['PROMOTER_API_URL']}.")
    print(f"Set your shell up with: . {path}  End it with: make stop")
    return 0


def stop(given: argparse.Namespace) -> int:
    """End the one of the directory."""
    print("The local AWS has ended." if process.stop(given.directory) else "No local AWS runs here.")
    return 0


def tell(_: argparse.Namespace) -> int:
    """Tell the whole story on a local AWS of its own."""
    return demo.main()


COMMANDS = {"start": start, "up": up, "stop": stop, "demo": tell}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, command in COMMANDS.items():
        sub = commands.add_parser(name, help=command.__doc__)
        sub.add_argument("--directory", type=Path, default=Path(".local"), help="where it lives (%(default)s)")
        sub.add_argument(
            "--policy", type=Path, default=Path("promotions.yaml"), help="what `up` deploys (%(default)s)"
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
