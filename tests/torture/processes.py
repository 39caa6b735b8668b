"""The processes in which the local AWS runs Lambda functions, and how to kill one. Linux only."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
SCRIPT = b"/ministack-lambda-"  # in the path of the script that ministack runs for a function


def children(server: int) -> dict[int, float]:
    """Return the ids of a server's child processes that run functions, and their age in seconds."""
    found = {}
    now = float((PROC / "uptime").read_text().split()[0])
    for entry in PROC.iterdir():
        if entry.name.isdecimal() and _is_function(int(entry.name), server):
            with suppress(OSError, IndexError):
                found[int(entry.name)] = now - int(_stat(int(entry.name))[19]) / os.sysconf("SC_CLK_TCK")
    return found


def kill(process: int, server: int) -> bool:
    """Kill a function's process with SIGKILL; return whether the process id was still a function's.

    The check and the signal use a process descriptor, so that a reused process id is never killed.
    """
    with suppress(ProcessLookupError):
        descriptor = os.pidfd_open(process)
        try:
            if _is_function(process, server):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                return True
        finally:
            os.close(descriptor)
    return False


def _is_function(process: int, server: int) -> bool:
    """Return whether the server started the process to run a function."""
    try:
        parent = int(_stat(process)[1])
        command = (PROC / str(process) / "cmdline").read_bytes().split(b"\0")
    except (OSError, IndexError):
        return False
    return parent == server and any(SCRIPT in word for word in command)


def _stat(process: int) -> list[str]:
    """Return the fields of /proc/PID/stat after the process's name, which may contain spaces and brackets."""
    return (PROC / str(process) / "stat").read_text().rpartition(")")[2].split()
