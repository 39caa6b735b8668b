"""Makes AWS calls fail on demand: `GET`, `POST` and `DELETE /_local/faults`."""

from __future__ import annotations

import time
from typing import Annotated, Any

from msgspec import Meta, Struct, convert, field, to_builtins

from local import emulator
from local.ecr import registry


class Fault(Struct, rename="camel", forbid_unknown_fields=True):
    """How the next `times` calls of one operation fail.

    delay: seconds before the call is answered. Without a `code` the call is only delayed.
    after: the call is carried out, and then the error is answered in place of its result.
    members: further members of the error's shape, in services that speak JSON.
    above: a quota. Only the calls that exceed so many a second fail.
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
    """A token bucket: `rate` calls a second, and a burst of `rate` calls after a second without calls."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._left = float(rate)
        self._counted_at = time.monotonic()

    def has_room(self) -> bool:
        """Return whether one more call is within the quota, and count it if so."""
        now = time.monotonic()
        self._left = min(self._rate, self._left + (now - self._counted_at) * self._rate)
        self._counted_at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Faults:
    """The faults that have not happened yet, oldest first."""

    def __init__(self) -> None:
        self._pending: list[Fault] = []
        self._quotas: dict[int, Quota] = {}

    def add(self, body: Any) -> dict[str, Any]:
        """Add a fault. Raises msgspec.ValidationError, which names the member that is wrong."""
        fault = convert(body, Fault)
        self._pending.append(fault)
        if fault.above:
            self._quotas[id(fault)] = Quota(fault.above)
        return self.listed()

    def listed(self) -> dict[str, Any]:
        """Return the pending faults. A fault leaves the list when a call takes it for the last time."""
        return {"faults": to_builtins(self._pending)}

    def clear(self) -> dict[str, Any]:
        """Drop all faults."""
        self._pending.clear()
        self._quotas.clear()
        return self.listed()

    def take(self, service: str, operation: str) -> Fault | None:
        """Return the fault for this call, which uses up one of its `times`; None if the call is to succeed."""
        for fault in self._pending:
            if (fault.service, fault.operation) == (service, operation):
                if fault.above and self._quotas[id(fault)].has_room():
                    continue
                fault.times -= 1
                if not fault.times:
                    self._pending.remove(fault)
                return fault
        return None
