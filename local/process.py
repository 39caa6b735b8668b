"""Starts and stops a local AWS: one process, whose files are all in one directory."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from local.aws import LOOPBACK, LocalAws, past_proxies
from local.waiting import wait_until

__all__ = ["LocalAws", "NotStarted", "start", "stop"]

ROOT = Path(__file__).resolve().parents[1]
READY_WITHIN = 60.0
STOPPED_WITHIN = 10.0

# The children of this process. Another process may stop them; they stay zombies until this one waits for them.
_started: dict[int, subprocess.Popen[bytes]] = {}


class NotStarted(Exception):
    """The local AWS did not start; the text ends with the last lines of its log."""


def start(
    directory: Path,
    *,
    region: str = "us-east-1",
    retry_seconds: float | None = None,
    outlives_caller: bool = False,
) -> LocalAws:
    """Start a local AWS on a free port; return it once it answers. Return the one that the directory already has.

    `retry_seconds`: how long Lambda waits before it retries an asynchronous event, and half of its wait before the
    second retry. AWS waits one minute, the default here is one second.

    `outlives_caller`: whether it goes on when this process ends. Otherwise it stops then, also after kill -9.

    The files `pid`, `log` and `aws.json` are in the directory afterwards. From then on this process and its
    children use no proxy for 127.0.0.1. Raises NotStarted.
    """
    os.environ.update(past_proxies(os.environ))
    directory = directory.resolve()
    if _running(directory):
        return LocalAws.load(directory)
    directory.mkdir(parents=True, exist_ok=True)
    address = f"{LOOPBACK}:{_free_port()}"
    aws = LocalAws(endpoint_url=f"http://{address}", registry=address, region=region)
    waits = {} if retry_seconds is None else {"LAMBDA_ASYNC_RETRY_BASE_SECONDS": str(retry_seconds)}
    process = _launch(directory, aws, os.environ | waits, outlives_caller=outlives_caller)
    wait_until(lambda: process.poll() is not None or _answers(aws, process.pid), seconds=READY_WITHIN)
    if process.poll() is not None or not _answers(aws, process.pid):
        _stop(process.pid)
        tail = "\n".join((directory / "log").read_text(errors="replace").splitlines()[-20:])
        raise NotStarted(f"The local AWS did not start on {address}. The end of {directory / 'log'}:\n{tail}")
    aws.save(directory)
    return aws


def stop(directory: Path) -> bool:
    """Stop the local AWS of a directory and the functions that it runs; return whether one was running."""
    directory = directory.resolve()
    pid = _running(directory)
    if pid:
        _stop(pid)
    (directory / "pid").unlink(missing_ok=True)
    return bool(pid)


def _launch(
    directory: Path, aws: LocalAws, environment: Mapping[str, str], *, outlives_caller: bool
) -> subprocess.Popen[bytes]:
    port = aws.registry.rpartition(":")[2]
    command = [sys.executable, "-m", "local.server", "--directory", str(directory), "--port", port]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--region", aws.region, *([] if outlives_caller else ["--until-stdin-ends"])],
            cwd=ROOT,
            env=environment,
            # The operating system closes the pipe when this process ends, however it ends.
            stdin=subprocess.DEVNULL if outlives_caller else subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    _started[process.pid] = process
    (directory / "pid").write_text(f"{process.pid}\n")
    return process


def _running(directory: Path) -> int | None:
    """Return the id of the directory's process if that process still runs."""
    try:
        pid = int((directory / "pid").read_text())
    except (FileNotFoundError, ValueError):
        return None
    shown = subprocess.run(
        ["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    # The operating system reuses process ids: check that the process is the local AWS of this directory.
    return pid if f"-m local.server --directory {directory} " in shown.stdout else None


def _stop(pid: int) -> None:
    """Ask the process to exit, then kill what is left of its process group."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not _alive(pid), seconds=STOPPED_WITHIN)
        os.killpg(pid, signal.SIGKILL)
    wait_until(lambda: not _alive(pid), seconds=STOPPED_WITHIN)
    ended = _started.pop(pid, None)
    if ended and ended.stdin:
        ended.stdin.close()


def _alive(pid: int) -> bool:
    if pid in _started:
        return _started[pid].poll() is None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _answers(aws: LocalAws, pid: int) -> bool:
    connection = http.client.HTTPConnection(aws.registry, timeout=5)
    try:
        connection.request("GET", "/_local/ready")
        return bool(json.load(connection.getresponse())["pid"] == pid)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
