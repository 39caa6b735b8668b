"""Makes AWS calls fail on demand: `POST /_local/faults`, `DELETE /_local/faults`."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct, convert, field, to_builtins

from local import emulator
from local.ecr import registry


class Fault(Struct, rename="camel", forbid_unknown_fields=True):
    """How the next `times` calls of one operation go wrong.

    `delay` seconds pass first; without a `code` that is all. `after`: the work is done, and then its answer lost.
    `members` are what the error's shape has beside its message, in services that speak JSON.
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

    def answer(self) -> emulator.Answer:
        """Return the error in the service's own protocol."""
        if self.service == "registry":
            return registry.refusal(self.status, self.code, self.message)
        return emulator.failure(self.service, self.code, self.message, self.status, self.members)


class Faults:
    """The faults still to happen, the oldest first."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def add(self, body: Any) -> dict[str, Any]:
        """Arm a fault. Raises msgspec.ValidationError, naming the member that does not fit."""
        fault = convert(body, Fault)
        self._waiting.append(fault)
        return {"faults": to_builtins(self._waiting)}

    def clear(self) -> dict[str, Any]:
        """Disarm all."""
        self._waiting.clear()
        return {"faults": []}

    def take(self, service: str, operation: str) -> Fault | None:
        """Return the fault of this call, which counts as one of its `times`."""
        for fault in self._waiting:
            if (fault.service, fault.operation) == (service, operation):
                fault.times -= 1
                if not fault.times:
                    self._waiting.remove(fault)
                return fault
        return None
