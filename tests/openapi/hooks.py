"""What schemathesis loads: signatures, and what the schemas cannot say of this API."""

from __future__ import annotations

import json
import os
import re
from itertools import count
from pathlib import Path
from typing import Any

import requests
import schemathesis
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from jsonschema import Draft202012Validator
from requests.auth import AuthBase
from schemathesis.core.failures import Failure

NOWHERE = "frozen-by-schemathesis/*"
"""The repositories that are frozen here: behind a freeze of others nothing would be tested any more."""

MOST_FREEZES = 2
"""How many valid freezes a run may set."""
PAST = "2020-01-01T00:00:00Z"

BEYOND_SCHEMAS = re.compile(
    r"nextToken"  # is of another list
    r"|imageManifest|imageManifestMediaType|imageDigest"  # text that is not a manifest, or not of this digest
    r"|target\..*"  # is not where the source is
    r"|since|until"  # in the past, before the other, or in a year that cannot be stored
    r"|rule"  # is not in the policy
    r"|imageTags"  # is left out, and several rules serve the source
    r"|expectedDigests"  # names a tag that is not a target tag; the rule may make those
)
"""The members for which a request that fits its schema may be an `invalid_request`."""
BEYOND_ROLLBACKS = re.compile("|imageTags?")
"""Of the routes that roll back: what the promotion did not move, and a promotion that moved nothing."""
BEYOND_LISTS = re.compile("nextToken|since|until|repositoryName|registryId")
"""Of the list of promotions: what may be left out, or named, only together with `outcome=WAITING`, or without."""

DOCUMENT: Any = json.loads((Path(__file__).parents[2] / "docs" / "openapi.json").read_bytes())

_freezes = count()


class Signature(AuthBase):
    """Signs a request with SigV4, as the administrator of the local AWS."""

    def __init__(self) -> None:
        credentials = Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
        self._signer = SigV4Auth(credentials, "execute-api", os.environ["AWS_REGION"])

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the headers of the signature."""
        signed = AWSRequest(request.method, request.url, data=request.body or b"")
        self._signer.add_auth(signed)
        request.headers.update(signed.headers.items())
        return request


schemathesis.auth.set_from_requests(Signature())  # type: ignore[attr-defined]  # it is set at run time


@schemathesis.hook
def before_call(_: Any, case: schemathesis.Case[Any], __: Any) -> None:
    """Freeze only what nothing else uses, and only twice: every freeze that is set takes five seconds.

    The service refuses the others after it has read them, because their `until` is in the past.
    """
    if case.operation.label == "PUT /freeze" and isinstance(case.body, dict) and "reason" in case.body:
        case.body["repositories"] = NOWHERE
        if next(_freezes) >= MOST_FREEZES:
            case.body.setdefault("until", PAST)


def fits(case: schemathesis.Case[Any]) -> bool:
    """Say whether a body fits its schema: once in many thousands the generator does not heed a `not`."""
    described = DOCUMENT["paths"][case.operation.path][case.operation.method.lower()].get("requestBody")
    if described is None:
        return True
    schema = described["content"]["application/json"]["schema"]
    return Draft202012Validator(schema | {"components": DOCUMENT["components"]}).is_valid(case.body)


@schemathesis.check
def valid_data_is_read(_: Any, response: Any, case: schemathesis.Case[Any]) -> None:
    """Fail where a request that fits its schema is invalid in a member that the schema could describe."""
    if response.status_code != 400 or case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if not fits(case):
        return
    problem = response.json()
    expected = BEYOND_ROLLBACKS if case.operation.path.endswith("/rollback") else BEYOND_SCHEMAS
    if case.operation.label == "GET /promotions":
        expected = BEYOND_LISTS
    if not expected.fullmatch(problem.get("field", "")):
        raise Failure(
            operation=case.operation.label,
            title="A request that fits its schema is not valid",
            message=f"{problem.get('field')}: {problem.get('detail')}",
        )
