"""Who we are to the API: a signature by boto3's credentials, or a bearer token."""

from __future__ import annotations

from typing import Any, Protocol

from ecr_promoter.api import aws, tokens
from ecr_promoter.api.address import region_of
from ecr_promoter.exits import UsageMistake
from ecr_promoter.settings import Settings


class Identity(Protocol):
    """Makes requests ours."""

    def authorize(self, request: Any) -> None:
        """Add what proves who sends the request."""

    def renew(self) -> bool:
        """Get a new proof after the old one was not accepted; False: there is no other."""


class Signature:
    """SigV4 for API Gateway, with the credentials of boto3's chain, which renews them itself."""

    def __init__(self, session: Any, url: str, settings: Settings) -> None:
        with aws.explain_errors():
            self._credentials = session.get_credentials()
        if self._credentials is None:
            raise UsageMistake(f"There are no AWS credentials. {aws.SIGN_IN}.")
        self._region = settings.region or region_of(url) or session.region_name
        if self._region is None:
            raise UsageMistake("No AWS Region is known to sign for. Name one with --region or AWS_REGION.")

    def authorize(self, request: Any) -> None:
        """Sign the request as it is now."""
        from botocore.auth import SigV4Auth

        with aws.explain_errors():
            credentials = self._credentials.get_frozen_credentials()
        SigV4Auth(credentials, "execute-api", self._region).add_auth(request)

    def renew(self) -> bool:
        """Return False: boto3 has renewed what can be renewed."""
        return False


class Token:
    """A bearer token, which GitHub makes anew when it has expired."""

    def __init__(self, audience: str, get: tokens.Get) -> None:
        self._audience, self._get = audience, get
        self._token = tokens.obtain(audience, get)

    def authorize(self, request: Any) -> None:
        """Add the token."""
        request.headers["authorization"] = f"Bearer {self._token}"

    def renew(self) -> bool:
        """Obtain a token again; False if it is the same."""
        before, self._token = self._token, tokens.obtain(self._audience, self._get)
        return self._token != before
