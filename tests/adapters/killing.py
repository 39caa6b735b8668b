"""A process that dies at a chosen step of a promotion, as far as a test can play it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from promoter.promotion.dependencies import Dependencies

# Every call that changes something, in the order of a promotion of two tags.
STEPS = ("begin", "put", "put", "finish")
POINTS = [(number, when) for number in range(len(STEPS)) for when in ("before", "after")]

MOVES = frozenset(STEPS)
"""The calls that a promotion makes to move tags."""
CHANGES = MOVES | {"accept", "update", "record", "add", "remove"}
"""Every call that changes something, those of promotions that wait among them."""


class Killed(BaseException):
    """The process is gone: nothing catches this, nothing runs after it."""


@dataclass
class Mortal:
    """Stands before a port; dies before or after the call of a number, counted over all that share `count`."""

    port: Any
    count: list[int]
    dies_at: tuple[int, str]
    calls: Collection[str] = MOVES

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.port, name)
        return self._guarded(found) if name in self.calls else found

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


def mortal(ports: Mapping[str, Any], dies_at: tuple[int, str], calls: Collection[str] = MOVES) -> dict[str, Any]:
    """Return the ports as one process has them, which dies at that step of these calls."""
    count = [0]
    return {name: Mortal(port, count, dies_at, calls) for name, port in ports.items()}


def dying(dependencies: Dependencies, dies_at: tuple[int, str]) -> Dependencies:
    """Return the dependencies as one process has them, which dies before or after its nth call of any kind."""
    ports = {name: getattr(dependencies, name) for name in ("registry", "ledger", "waiting", "wake_ups")}
    mortal_ports: Any = mortal(ports, dies_at, CHANGES)
    return replace(dependencies, **mortal_ports)
