"""The ASGI application that is served: `/_local/` is this package's, everything else ministack's, watched."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from local import control, emulator, hooks
from local.calls import Call, Calls, repository_of
from local.faults import Faults


class Gateway:
    """One emulator: injects the faults asked for and remembers each call."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.calls = Calls()
        self._aws = hooks.install(self._around)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not scope["path"].startswith("/_local/"):
            await self._aws(scope, receive, send)
            return
        status, document = control.refused(scope) or control.answer(
            scope, await _body(receive), calls=self.calls, faults=self.faults
        )
        body = json.dumps(document).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _around(
        self, service: str, operation: str, body: bytes, answer: Callable[[], Awaitable[emulator.Answer]]
    ) -> emulator.Answer:
        fault = self.faults.take(service, operation)
        if fault:
            await asyncio.sleep(fault.delay)
        if fault and fault.code:
            if fault.after:
                await answer()
            answered = fault.answer()
        else:
            answered = await answer()
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
        return answered


async def _body(receive: Any) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body
