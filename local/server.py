"""The process that serves AWS on this machine: `python -m local.server --port N --directory D`."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from hypercorn.asyncio import serve
from hypercorn.config import Config

from local.aws import ACCESS_KEY_ID, ACCOUNT_ID, SECRET_ACCESS_KEY

# Nothing else of the caller's environment reaches the emulator or the functions it runs.
KEPT = ("LAMBDA_ASYNC_RETRY_BASE_SECONDS", "LANG", "LC_ALL", "PATH")


def environment(port: int, region: str, directory: Path) -> dict[str, str]:
    """Return the settings that ministack reads when it is imported."""
    return {
        "AUTH": "true",
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "BIND_HOST": "127.0.0.1",
        # No Docker: a socket that does not exist.
        "DOCKER_HOST": f"unix://{directory / 'no-docker.sock'}",
        "GATEWAY_PORT": str(port),
        # Not the user's: the functions must not read that one's ~/.aws.
        "HOME": str(directory),
        "IOT_MTLS_ENABLED": "0",
        "LAMBDA_ASYNC_RETRY_MAX_SECONDS": "300",
        "LAMBDA_EXECUTOR": "local",
        "LOG_LEVEL": "WARNING",
        "MINISTACK_ACCOUNT_ID": ACCOUNT_ID,
        "MINISTACK_REGION": region,
        "S3_DATA_DIR": str(directory / "s3"),
        "SFTP_ENABLED": "0",
        "TMPDIR": str(directory / "tmp"),
        "TZ": "UTC",
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve on 127.0.0.1 until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m local.server", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--directory", type=Path, required=True, help="where everything it writes goes")
    parser.add_argument("--region", default="us-east-1", help="the Region of what carries no signature")
    given = parser.parse_args(arguments)
    directory = given.directory.resolve()
    (directory / "tmp").mkdir(parents=True, exist_ok=True)
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    os.environ.clear()
    os.environ.update(kept | environment(given.port, given.region, directory))
    asyncio.run(_serve(given.port))


async def _serve(port: int) -> None:
    from local import hooks
    from local.gateway import Gateway

    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.loglevel = "WARNING"
    config.graceful_timeout = 1.0
    # An SDK's pooled connection must outlive a pause, or its next call is one that "might have been done".
    config.keep_alive_timeout = 600.0
    config.keep_alive_max_requests = 1_000_000
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await serve(Gateway(), config, shutdown_trigger=ended.wait)  # type: ignore[arg-type]
    hooks.end_functions()
    # Threads of the emulator may wait for functions that no longer run.
    os._exit(0)


if __name__ == "__main__":
    main()
