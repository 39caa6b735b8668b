"""The process of a local AWS: `python -m local.server --port N --directory D`."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from hypercorn.asyncio import serve
from hypercorn.config import Config

from local.server.settings import KEPT, emulator_settings


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve on 127.0.0.1 until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m local.server", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--directory", type=Path, required=True, help="the folder of all files that it writes")
    parser.add_argument("--region", default="us-east-1", help="the Region of requests without a signature")
    parser.add_argument("--until-stdin-ends", action="store_true", help="stop when the standard input ends, too")
    given = parser.parse_args(arguments)
    directory = given.directory.resolve()
    (directory / "tmp").mkdir(parents=True, exist_ok=True)
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    os.environ.clear()
    os.environ.update(kept | emulator_settings(given.port, given.region, directory))
    asyncio.run(_serve(given.port, until_stdin_ends=given.until_stdin_ends))


async def _serve(port: int, *, until_stdin_ends: bool) -> None:
    # Not before main() has set the environment: ministack reads it when it is imported.
    from local.server import hooks
    from local.server.gateway import Gateway

    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.loglevel = "WARNING"
    config.graceful_timeout = 1.0
    # Keep an SDK's pooled connections through a pause: on a closed one it cannot tell whether a call was made.
    config.keep_alive_timeout = 600.0
    config.keep_alive_max_requests = 1_000_000
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    if until_stdin_ends:
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), stopped.set)  # nobody writes to it
    await serve(Gateway(), config, shutdown_trigger=stopped.wait)  # type: ignore[arg-type]
    hooks.stop_functions()
    # Threads of the emulator may still wait for functions that no longer run: do not wait for them.
    os._exit(0)


if __name__ == "__main__":
    main()
