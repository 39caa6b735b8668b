"""Runs the commands of a page in one shell, and compares what they print with what the page shows.

A block of `sh` holds commands. A block of `text` right after it holds their whole output; without one they print
nothing.
"""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

BLOCK = re.compile(
    r"^(?P<repeated><!-- repeated until it prints this -->\n)?```sh\n(?P<commands>.*?)^```\n"
    r"(?:\n```text\n(?P<output>.*?)^```$)?",
    re.DOTALL | re.MULTILINE,
)
OWN = {
    "digest": re.compile(r"sha256:[0-9a-f]{64}"),
    "id": re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "port": re.compile(r"(?<=127\.0\.0\.1:)\d+"),
    "api": re.compile(r"(?<=/_aws/execute-api/)\w+"),
    "time": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:\+00:00|Z)"),
}
"""What is different at every run."""

WITHIN = 60.0  # seconds for the commands of one block, and for an output to come that is awaited


@dataclass(frozen=True)
class Step:
    """Commands and the output that the page shows. `repeated`: the reader repeats them until they print it."""

    commands: str
    output: str
    repeated: bool


def steps(page: str) -> Iterator[Step]:
    """Yield the steps of a page in their order."""
    for block in BLOCK.finditer(page):
        yield Step(block["commands"], (block["output"] or "").strip("\n"), bool(block["repeated"]))


@dataclass(frozen=True)
class Masks:
    """Numbers what is different at every run by its first appearance, on the page and in the shell apart.

    Equal values keep equal numbers: a page that shows one digest twice wants one digest twice.
    """

    shown: dict[str, str] = field(default_factory=dict)
    printed: dict[str, str] = field(default_factory=dict)

    def compared(self, shown: str, printed: str) -> tuple[str, str, Masks]:
        """Return both texts masked, and the masks for the next step."""
        masks = Masks(dict(self.shown), dict(self.printed))
        return masked(shown, masks.shown), masked(printed, masks.printed), masks


def masked(text: str, names: dict[str, str]) -> str:
    """Replace each value that is different at every run by its kind and number; add new ones to the names."""
    for kind, pattern in OWN.items():
        for value in pattern.findall(text):
            count = sum(name.startswith(f"<{kind}") for name in names.values())
            names.setdefault(value, "<time>" if kind == "time" else f"<{kind} {count}>")
        text = pattern.sub(lambda found: names[found.group()], text)
    return text


class Shell:
    """A bash that stays open, so that variables and functions of one step are there in the next."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=directory,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bash.communicate("exit\n", timeout=WITHIN)

    def run(self, commands: str) -> tuple[str, int]:
        """Run commands; return what they print, errors included, and the exit status of the last one."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        watchdog = threading.Timer(WITHIN, self._bash.kill)
        watchdog.start()
        try:
            self._bash.stdin.write(f"{commands}\nprintf '\\n@ended %s\\n' $?\n")
            self._bash.stdin.flush()
            lines: list[str] = []
            for line in self._bash.stdout:
                if line.startswith("@ended "):
                    return "".join(lines).strip("\n"), int(line.split()[1])
                lines.append(line)
        finally:
            watchdog.cancel()
        raise AssertionError(f"no end within {WITHIN} s:\n{commands}\n{''.join(lines)}")

    def follow(self, step: Step, masks: Masks) -> Masks:
        """Run a step and compare; return the masks for the next step. Raises AssertionError where they differ."""
        deadline = time.monotonic() + WITHIN
        while True:
            printed, status = self.run(step.commands)
            expected, actual, following = masks.compared(step.output, printed)
            if (actual, status) == (expected, 0):
                return following
            assert step.repeated, f"{step.commands}\nshows:\n{expected}\nprints:\n{actual}\nexit {status}"
            assert time.monotonic() < deadline, f"still after {WITHIN} s:\n{step.commands}\n{actual}"
