"""A process that dies at a chosen step of a promotion, as far as a test can play it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Every call that changes something, in the order of a promotion of two tags.
STEPS = ("begin", "put", "put", "finish")
POINTS = [(number, when) for number in range(len(STEPS)) for when in ("before", "after")]


class Killed(BaseException):
    """The process is gone: nothing catches this, nothing runs after it."""


@dataclass
class Mortal:
    """Stands before a port; dies before or after the call of a number, counted over all that share `count`."""

    port: Any
    count: list[int]
    dies_at: tuple[int, str]

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.port, name)
        return self._guarded(found) if name in {"begin", "put", "finish"} else found

    def _guarded(self, call: Any) -> Any:
        def guarded(*arguments: Any, **named: Any) -> Any:
            number = self.count[0]
            self.count[0] += 1
            if self.dies_at == (number, "before"):
                raise Killed
            answer = call(*arguments, **named)
            if self.dies_at == (number, "after"):
                raise Killed
            return answer

        return guarded


def mortal(ports: Mapping[str, Any], dies_at: tuple[int, str]) -> dict[str, Any]:
    """Return the ports as one process has them, which dies at that step."""
    count = [0]
    return {name: Mortal(port, count, dies_at) for name, port in ports.items()}
