"""Makes AWS calls fail on demand: `GET`, `POST` and `DELETE /_local/faults`."""

from __future__ import annotations

import time
from typing import Annotated, Any

from msgspec import Meta, Struct, convert, field, to_builtins

from local import emulator
from local.ecr import registry


class Fault(Struct, rename="camel", forbid_unknown_fields=True):
    """How the next `times` calls of one operation go wrong.

    `delay` seconds pass first; without a `code` that is all. `after`: the work is done, and then its answer lost.
    `members` are what the error's shape has beside its message, in services that speak JSON. `above`: a quota;
    only calls beyond so many a second go wrong.
    """

    service: str
    operation: str
    code: str = ""
    message: str = "Injected by /_local/faults."
    status: Annotated[int, Meta(ge=400, le=599)] = 400
    times: Annotated[int, Meta(ge=1)] = 1
    delay: Annotated[float, Meta(ge=0, le=900)] = 0.0
    after: bool = False
    members: dict[str, Any] = field(default_factory=dict)
    above: Annotated[int, Meta(ge=1)] | None = None

    def answer(self) -> emulator.Answer:
        """Return the error in the service's own protocol."""
        if self.service == "registry":
            return registry.refusal(self.status, self.code, self.message)
        return emulator.failure(self.service, self.code, self.message, self.status, self.members)


class Quota:
    """So many calls a second, and as many at once after a second's rest, as a token bucket has it."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._left = float(rate)
        self._looked_at = time.monotonic()

    def has_room(self) -> bool:
        """Say whether one more call is within the quota, and count it if so."""
        now = time.monotonic()
        self._left = min(self._rate, self._left + (now - self._looked_at) * self._rate)
        self._looked_at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Faults:
    """The faults still to happen, the oldest first."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []
        self._quotas: dict[int, Quota] = {}

    def add(self, body: Any) -> dict[str, Any]:
        """Arm a fault. Raises msgspec.ValidationError, naming the member that does not fit."""
        fault = convert(body, Fault)
        self._waiting.append(fault)
        if fault.above:
            self._quotas[id(fault)] = Quota(fault.above)
        return self.listed()

    def listed(self) -> dict[str, Any]:
        """Return what is still to happen; a fault that a call has met for the last time is not."""
        return {"faults": to_builtins(self._waiting)}

    def clear(self) -> dict[str, Any]:
        """Disarm all."""
        self._waiting.clear()
        self._quotas.clear()
        return self.listed()

    def take(self, service: str, operation: str) -> Fault | None:
        """Return the fault of this call, which counts as one of its `times`."""
        for fault in self._waiting:
            if (fault.service, fault.operation) == (service, operation):
                if fault.above and self._quotas[id(fault)].has_room():
                    continue
                fault.times -= 1
                if not fault.times:
                    self._waiting.remove(fault)
                return fault
        return None
