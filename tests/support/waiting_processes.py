"""A command line that waits, as a process of its own: signals reach it as they reach that of a user."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any


@contextmanager
def waiting_process(
    command: Sequence[str], environment: Mapping[str, str], *, sigint: Any = signal.default_int_handler
) -> Iterator[subprocess.Popen[str]]:
    """A process that waits for a scan now, and is killed after a minute: no read can hang.

    What this process does at SIGINT is inherited if it is SIG_IGN. A handler becomes the default action.
    """
    before = signal.signal(signal.SIGINT, sigint)
    try:
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    finally:
        signal.signal(signal.SIGINT, before)
    killer = threading.Timer(60, process.kill)
    killer.start()
    with process:
        try:
            assert process.stderr
            assert "waiting for scan_pending" in process.stderr.readline()
            yield process
        finally:
            process.kill()
            killer.cancel()
