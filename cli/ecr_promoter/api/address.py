"""Where the API is: the option, the environment, or the outputs of the stack."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ecr_promoter.api import aws, tokens
from ecr_promoter.exits import Failed, UsageMistake
from ecr_promoter.settings import DEFAULT_STACK, Settings

if TYPE_CHECKING:
    from boto3.session import Session

OUTPUT, TOKEN_OUTPUT = "ApiUrl", "TokenApiUrl"
LOOPBACK = ("127.0.0.1", "::1", "localhost")
HOW = "Name the API with --api-url or ECR_PROMOTER_API_URL, or its stack with --stack, --profile and --region"
OWN_DOMAIN = re.compile(r"\.execute-api\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?$")


def find(settings: Settings, session: Callable[[], Session]) -> str:
    """Return the address of the API, without a slash at its end.

    A stack that the user names is asked, whatever the environment says. Raises UsageMistake or Failed.
    """
    if settings.api_url and not settings.stack:
        return checked(settings.api_url)
    return checked(of_stack(session(), settings))


def checked(url: str) -> str:
    """Return the address if it is one. Raises UsageMistake."""
    if "@" in url:  # the text may have a password, so it is not repeated
        raise UsageMistake(
            "The address of the API has an @. It is https:// and a host, without a user or a password."
        )
    if not is_address(url):
        raise UsageMistake(f"{url} is not the address of an API. It looks like https://….amazonaws.com.")
    return url.rstrip("/")


def is_address(url: str) -> bool:
    """Say whether a text is an address to which paths can be added."""
    try:
        parts = urlsplit(url)
        port_is_good = parts.port is None or parts.port > 0
    except ValueError:
        return False
    plain = url.isprintable() and not set(url) & set(" ?#\\")
    return plain and port_is_good and parts.scheme in ("http", "https") and bool(parts.hostname)


def require_private(url: str) -> None:
    """Raise UsageMistake for an address to which a token must not be sent: others could read it on the way."""
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        raise UsageMistake(f"A token is sent over https only, and the API is {url}. Correct the address.")


def of_stack(session: Session, settings: Settings) -> str:
    """Return the output of the stack that has the address."""
    name = settings.stack or DEFAULT_STACK
    with aws.explain_errors():
        where = session.region_name
    if where is None:
        raise UsageMistake(f"The address of the API is not known, and no AWS Region to look for its stack. {HOW}.")
    try:
        with aws.explain_errors():
            stacks = aws.client(session, "cloudformation", settings).describe_stacks(StackName=name)["Stacks"]
    except Failed as error:
        if "does not exist" in str(error):
            raise UsageMistake(f"There is no stack {name} in {where}. {HOW}.") from error
        raise
    outputs = {each["OutputKey"]: str(each["OutputValue"]) for each in stacks[0].get("Outputs", [])}
    if OUTPUT not in outputs:
        raise UsageMistake(
            f"The stack {name} in {where} has no output {OUTPUT}: it is not an ecr-promoter. {HOW}."
        )
    if not (settings.token or tokens.is_given()):
        return outputs[OUTPUT]
    if TOKEN_OUTPUT not in outputs:
        raise UsageMistake(f"The stack {name} in {where} takes no tokens. Deploy it with authorization jwt.")
    return outputs[TOKEN_OUTPUT]


def region_of(url: str) -> str | None:
    """Return the Region that an address of API Gateway names; None for a domain of one's own."""
    found = OWN_DOMAIN.search(urlsplit(url).hostname or "")
    return found[1] if found else None
