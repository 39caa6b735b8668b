"""What schemathesis loads: it signs each request with SigV4, as the account's administrator of the local AWS."""

from __future__ import annotations

import os
from typing import Any

import requests
import schemathesis
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from requests.auth import AuthBase

NOWHERE = "frozen-by-schemathesis/*"
"""The repositories that are frozen here: a freeze of all would leave nothing to find behind it."""


class Signature(AuthBase):
    """Signs a request when all of it is known."""

    def __init__(self) -> None:
        credentials = Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
        self._signer = SigV4Auth(credentials, "execute-api", os.environ["AWS_REGION"])

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the headers of the signature."""
        signed = AWSRequest(request.method, request.url, data=request.body or b"")
        self._signer.add_auth(signed)
        request.headers.update(signed.headers.items())
        return request


schemathesis.auth.set_from_requests(Signature())


@schemathesis.hook
def before_call(_: Any, case: schemathesis.Case, __: Any) -> None:
    """Freeze only what nothing else uses."""
    if case.operation.label == "PUT /freeze" and isinstance(case.body, dict) and "reason" in case.body:
        case.body.setdefault("repositories", NOWHERE)
