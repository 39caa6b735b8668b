"""Starts and ends a local AWS as a process of its own, which lives in one directory."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from local.aws import LocalAws

__all__ = ["LocalAws", "NotStarted", "start", "stop"]

ROOT = Path(__file__).resolve().parents[1]
READY_WITHIN = 60.0
ENDED_WITHIN = 10.0

# Our own children, which stay until they are waited for. Another process may well end what this one has started.
_started: dict[int, subprocess.Popen[bytes]] = {}


class NotStarted(Exception):
    """The local AWS did not come up; the text ends with the tail of its log."""


def start(directory: Path, *, region: str = "us-east-1", retry_seconds: float | None = None) -> LocalAws:
    """Start a local AWS on a free port and return when it answers; the one that already runs there is returned.

    `retry_seconds`: how long Lambda waits before it tries an event again (and twice as long the second time); AWS
    waits a minute, the default here is a second. The directory then holds `pid`, `log` and `aws.json`.
    Raises NotStarted.
    """
    directory = directory.resolve()
    if _running(directory):
        return LocalAws.load(directory)
    directory.mkdir(parents=True, exist_ok=True)
    address = f"127.0.0.1:{_free_port()}"
    aws = LocalAws(endpoint_url=f"http://{address}", registry=address, region=region)
    waits = {} if retry_seconds is None else {"LAMBDA_ASYNC_RETRY_BASE_SECONDS": str(retry_seconds)}
    process = _launch(directory, aws, os.environ | waits)
    _within(READY_WITHIN, lambda: process.poll() is not None or _answers(aws, process.pid))
    if process.poll() is not None or not _answers(aws, process.pid):
        _end(process.pid)
        tail = "\n".join((directory / "log").read_text(errors="replace").splitlines()[-20:])
        raise NotStarted(f"The local AWS did not come up on {address}; the end of {directory / 'log'}:\n{tail}")
    aws.save(directory)
    return aws


def stop(directory: Path) -> bool:
    """End the local AWS of a directory and the functions it runs; say whether there was one."""
    directory = directory.resolve()
    pid = _running(directory)
    if pid:
        _end(pid)
    (directory / "pid").unlink(missing_ok=True)
    return bool(pid)


def _launch(directory: Path, aws: LocalAws, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    port = aws.registry.rpartition(":")[2]
    command = [sys.executable, "-m", "local.server", "--directory", str(directory), "--port", port]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--region", aws.region],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    _started[process.pid] = process
    (directory / "pid").write_text(f"{process.pid}\n")
    return process


def _running(directory: Path) -> int | None:
    """Return the process id if the process is still the one that was started for this directory."""
    try:
        pid = int((directory / "pid").read_text())
    except (FileNotFoundError, ValueError):
        return None
    shown = subprocess.run(
        ["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    # Process ids are used again: another process must never be taken for ours.
    return pid if f"-m local.server --directory {directory} " in shown.stdout else None


def _end(pid: int) -> None:
    """Ask the process to end; then end what is left of it and of what it has started, its process group."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        _within(ENDED_WITHIN, lambda: not _alive(pid))
        os.killpg(pid, signal.SIGKILL)
    _within(ENDED_WITHIN, lambda: not _alive(pid))
    _started.pop(pid, None)


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


def _within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Wait until the condition holds; say whether it did in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
