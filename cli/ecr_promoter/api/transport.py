"""Sends one HTTP request, by botocore's own HTTP client: with its proxies, certificates and time limits."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ecr_promoter.api.aws import require_sent
from ecr_promoter.settings import Settings


@dataclass(frozen=True)
class Reply:
    """What a server answered; the names of the headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_success(self) -> bool:
        """Whether the server did what was asked, or accepted it."""
        return 200 <= self.status < 300

    @property
    def document(self) -> Any:
        """The body as JSON; `message` has its beginning where it is not JSON."""
        try:
            return json.loads(self.body) if self.body.strip() else {}
        except (ValueError, RecursionError):
            return {"message": self.body[:200].decode("utf-8", "replace")}


class Lost(Exception):
    """There is no answer. `sent` is False if the server cannot have received the request."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class Transport:
    """Sends requests that are ready: signed, or with a token."""

    def __init__(self, settings: Settings) -> None:
        from botocore.httpsession import URLLib3Session
        from botocore.utils import get_environ_proxies

        self._proxies = get_environ_proxies
        self._session = URLLib3Session
        self._options: dict[str, Any] = {
            "verify": settings.ca_bundle or _default_bundle(),
            "timeout": settings.timeouts,
        }

    def send(self, prepared: Any) -> Reply:
        """Send a botocore request that is prepared. Raises Lost."""
        from botocore import exceptions as aws

        session = self._session(proxies=self._proxies(prepared.url), **self._options)
        try:
            answer = session.send(prepared)
        except (aws.EndpointConnectionError, aws.ConnectTimeoutError, aws.ProxyConnectionError) as error:
            raise Lost(f"{error}", sent=False) from error
        except aws.SSLError as error:
            raise Lost(f"{error}. Name the certificates to trust with --ca-bundle", sent=False) from error
        except (aws.HTTPClientError, aws.ConnectionError) as error:
            require_sent(error)
            raise Lost(f"{error}", sent=True) from error
        finally:
            session.close()
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Reply(answer.status_code, headers, answer.content)

    def get(self, url: str, headers: dict[str, str]) -> Reply:
        """Send a GET request that nobody signs. Raises Lost."""
        from botocore.awsrequest import AWSRequest

        return self.send(AWSRequest("GET", url, headers=headers).prepare())


def _default_bundle() -> str | bool:
    return os.environ.get("AWS_CA_BUNDLE") or os.environ.get("REQUESTS_CA_BUNDLE") or True
