"""Calls the API: one call with its repeats. Nothing moves twice, because a repeat has the same Idempotency-Key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from ecr_promoter import clock, debugging
from ecr_promoter.api import problems
from ecr_promoter.api.identity import Identity
from ecr_promoter.api.transport import Lost, Reply, Transport
from ecr_promoter.exits import Failed

FIRST_PAUSE, LONGEST_PAUSE, GROWTH = 0.5, 10.0, 2.0  # seconds
CONNECTIONS = 3
"""Attempts to reach a server that does not answer at all: another one rarely helps."""


class Client:
    """The API at one address. `retry_for` are the seconds in which what passes with time is tried again."""

    def __init__(self, url: str, identity: Identity, transport: Transport, *, retry_for: float) -> None:
        self._url, self._identity, self._transport = url, identity, transport
        self._retry_for = retry_for

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        key: str | None = None,
    ) -> Any:
        """Send a request until it has an answer that stands; return its document.

        Raises the error that the answer means, or Failed for an answer that is not the API's. A request without a
        key is repeated as well: all others than promotions and rollbacks do no harm twice.
        """
        patience, content = Patience(self._retry_for), json.dumps(body).encode() if body is not None else None
        while True:
            got = self._attempt(method, path, query, content, key)
            if isinstance(got, Reply) and got.is_success:
                return problems.understood(got.status, got.document, self._url)
            after = patience.before_next(got, self._identity)
            if after is None:
                raise _lost(got, key) if isinstance(got, Lost) else problems.error_of(got.status, got.document)
            if after:
                debugging.tell(f"trying again in {after:g} s")
                clock.sleep(after)

    def _attempt(self, *request: Any) -> Reply | Lost:
        try:
            return self._send(*request)
        except Lost as lost:
            return lost

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


class Patience:
    """Decides for one call whether to send it again, and when."""

    def __init__(self, seconds: float) -> None:
        self._ends = clock.now() + seconds
        self._pause, self._unreached, self._renewed = FIRST_PAUSE, 0, False

    def before_next(self, got: Reply | Lost, identity: Identity) -> float | None:
        """Return the seconds to wait before the next attempt; None: what there is stands."""
        if isinstance(got, Reply) and got.status == 401 and not self._renewed:
            self._renewed = True
            return 0 if identity.renew() else None
        after = self._after_lost(got) if isinstance(got, Lost) else wait_before(got, self._pause)
        self._pause = min(self._pause * GROWTH, LONGEST_PAUSE)
        return None if after is None or clock.now() + after > self._ends else after

    def _after_lost(self, lost: Lost) -> float | None:
        self._unreached += not lost.sent
        return None if self._unreached >= CONNECTIONS else self._pause


def wait_before(reply: Reply, pause: float) -> float | None:
    """Return the seconds after which the same request may get another answer; None: never."""
    code = reply.document.get("code") if isinstance(reply.document, Mapping) else None
    passes = code in problems.AGAIN if code else reply.status in (429, 500, 502, 503, 504)
    if not passes:
        return None
    seconds = reply.headers.get("retry-after", "")
    return max(float(seconds), 0.1) if seconds.isdecimal() else pause


def _lost(lost: Lost, key: str | None) -> Failed:
    text = f"The API did not answer: {lost}".rstrip(". ") + "."
    if lost.sent and key:
        return Failed(f"{text} Run the same command with --idempotency-key {key}: nothing moves twice.")
    return Failed(f"{text} Check --api-url and the network, then run the command again.")
