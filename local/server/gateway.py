"""The ASGI application: `/_local/` goes to local.control, everything else to ministack.

Calls to ministack are recorded and fail where a fault was injected.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from local import emulator
from local.control import routes
from local.control.calls import Call, Calls, repository_of
from local.control.faults import Faults
from local.server import hooks


class Gateway:
    """Serves every request of one emulator; `faults` and `calls` are its own."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.calls = Calls()
        self._aws = hooks.install(self._around)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not scope["path"].startswith("/_local/"):
            await self._aws(scope, receive, send)
            return
        status, document = routes.refuse(scope) or routes.answer(
            scope, await _body(receive), calls=self.calls, faults=self.faults
        )
        body = json.dumps(document).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _around(
        self, service: str, operation: str, body: bytes, answer: Callable[[], Awaitable[emulator.Answer]]
    ) -> emulator.Answer:
        answered = await self._answer(service, operation, answer)
        self._record(service, operation, body, answered)
        return answered

    async def _answer(
        self, service: str, operation: str, answer: Callable[[], Awaitable[emulator.Answer]]
    ) -> emulator.Answer:
        """Return ministack's answer, or that of a fault that was injected for this call."""
        fault = self.faults.take(service, operation)
        if fault:
            await asyncio.sleep(fault.delay)
        if not fault or not fault.code:
            return await answer()
        if fault.after:
            await answer()
        return fault.answer()

    def _record(self, service: str, operation: str, body: bytes, answered: emulator.Answer) -> None:
        self.calls.add(
            Call(
                service=service,
                operation=operation,
                status=answered[0],
                request_bytes=len(body),
                response_bytes=len(answered[2]) if isinstance(answered[2], bytes) else 0,
                principal=None if service == "registry" else emulator.caller(),
                repository=repository_of(service, body),
            )
        )


async def _body(receive: Any) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body
