"""Calls the API: one call with its repeats. Nothing moves twice, because a repeat has the same Idempotency-Key."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from ecr_promoter import debugging
from ecr_promoter.api import problems
from ecr_promoter.api.identity import Identity
from ecr_promoter.api.transport import Lost, Reply, Transport
from ecr_promoter.exits import Failed

FIRST_PAUSE, LONGEST_PAUSE, GROWTH = 0.5, 10.0, 2.0  # seconds
CONNECTIONS = 3
"""Attempts to reach a server that does not answer at all: another one rarely helps."""


class Client:
    """The API at one address. `retry_for` are the seconds in which what passes with time is tried again."""

    def __init__(
        self,
        url: str,
        identity: Identity,
        transport: Transport,
        *,
        retry_for: float,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._url, self._identity, self._transport = url, identity, transport
        self._retry_for, self._pause = retry_for, pause

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        key: str | None = None,
        retry: bool = True,
    ) -> Any:
        """Send a request until it has an answer that stands; return its document.

        Raises the error that the answer means. A request without a key is repeated as well: all others than
        promotions and rollbacks do no harm twice.
        """
        content = json.dumps(body).encode() if body is not None else None
        ends = time.monotonic() + (self._retry_for if retry else 0)
        pause, unreached, renewed = FIRST_PAUSE, 0, False
        while True:
            try:
                reply = self._send(method, path, query, content, key)
            except Lost as lost:
                unreached += not lost.sent
                if unreached >= CONNECTIONS or time.monotonic() + pause > ends:
                    raise _lost(lost, key) from lost
                after = pause
            else:
                if 200 <= reply.status < 300:
                    return _document(reply)
                if reply.status == 401 and not renewed and self._identity.renew():
                    renewed = True
                    continue
                again = wait_before(reply, pause)
                if again is None or time.monotonic() + again > ends:
                    raise problems.error_of(reply.status, _document(reply))
                after = again
            debugging.tell(f"trying again in {after:g} s")
            self._pause(after)
            pause = min(pause * GROWTH, LONGEST_PAUSE)

    def _send(
        self, method: str, path: str, query: Mapping[str, Any] | None, content: bytes | None, key: str | None
    ) -> Reply:
        """Sign and send once: a signature is good for five minutes only."""
        from botocore.awsrequest import AWSRequest

        given = {name: str(value) for name, value in (query or {}).items() if value is not None}
        url = f"{self._url}{path}" + (f"?{urlencode(given, quote_via=quote)}" if given else "")
        headers = {"accept": "application/json", "user-agent": "ecr-promoter"}
        if content is not None:
            headers["content-type"] = "application/json"
        if key is not None:
            headers["idempotency-key"] = key
        request = AWSRequest(method, url, headers=headers, data=content)
        self._identity.authorize(request)
        debugging.tell_request(method, url, dict(request.headers), content)
        reply = self._transport.send(request.prepare())
        debugging.tell_reply(reply.status, reply.headers, reply.body)
        return reply


def wait_before(reply: Reply, pause: float) -> float | None:
    """Return the seconds after which the same request may get another answer; None: never."""
    document = _document(reply)
    code = document.get("code") if isinstance(document, Mapping) else None
    passes = code in problems.AGAIN if code else reply.status in (429, 500, 502, 503, 504)
    if not passes:
        return None
    try:
        return max(float(reply.headers.get("retry-after", "")), 0.1)
    except ValueError:
        return pause


def _document(reply: Reply) -> Any:
    try:
        return json.loads(reply.body) if reply.body.strip() else {}
    except ValueError:
        return {"message": reply.body[:200].decode("utf-8", "replace")}


def _lost(lost: Lost, key: str | None) -> Failed:
    text = f"The API did not answer: {lost}".rstrip(". ") + "."
    if lost.sent and key:
        return Failed(f"{text} Run the same command with --idempotency-key {key}: nothing moves twice.")
    return Failed(f"{text} Check --api-url and the network, then run the command again.")
