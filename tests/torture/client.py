"""A client of the API: one persistent connection, requests signed with SigV4, the target sent unchanged."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local.aws import LocalAws

ANSWER_WITHIN = 60.0  # seconds for an answer; API Gateway's own is 30


@dataclass(frozen=True)
class Request:
    """A request. The target is the path and query, percent-encoded; it is sent as it is."""

    method: str
    target: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """The answer to a request. Status 0: the connection broke."""

    status: int
    text: bytes

    @property
    def document(self) -> dict[str, Any]:
        """The body as JSON; {} if the body is not a JSON object."""
        try:
            found = json.loads(self.text)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


class ApiClient:
    """Sends requests one after the other as the account's administrator. Not thread-safe."""

    def __init__(self, aws: LocalAws, api_url: str) -> None:
        self._signer = SigV4Auth(Credentials(aws.access_key_id, aws.secret_access_key), "execute-api", aws.region)
        self._url = api_url
        self._path = urlsplit(api_url).path
        self._connection = http.client.HTTPConnection(urlsplit(api_url).netloc, timeout=ANSWER_WITHIN)

    def __enter__(self) -> ApiClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def send(self, request: Request) -> Answer:
        """Send a request and return its answer."""
        signed = AWSRequest(
            method=request.method,
            url=f"{self._url}{request.target}",
            data=request.body or b"",
            headers={"content-type": "application/json", **request.headers},
        )
        self._signer.add_auth(signed)
        headers = {name: str(value) for name, value in signed.headers.items()}
        try:
            self._connection.request(request.method, f"{self._path}{request.target}", request.body, headers)
            response = self._connection.getresponse()
            return Answer(response.status, response.read())
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return Answer(0, b"")

    def call(self, method: str, target: str, body: Any = None, **headers: str) -> Answer:
        """Send a JSON document. An underscore in the name of a header stands for a hyphen."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send(Request(method, target, None if body is None else json.dumps(body).encode(), named))
