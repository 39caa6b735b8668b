"""Builds the client that the options ask for. AWS is asked only for what the options leave open."""

from __future__ import annotations

import functools

from ecr_promoter import debugging
from ecr_promoter.api import address, aws, tokens
from ecr_promoter.api.client import Client
from ecr_promoter.api.identity import Identity, Signature, Token
from ecr_promoter.api.transport import Transport
from ecr_promoter.settings import Settings


def connect(settings: Settings) -> Client:
    """Return a client of the API. Raises UsageMistake where the address or the caller is not known."""
    session = functools.cache(lambda: aws.open_session(settings))
    url = address.find(settings, session)
    transport = Transport(settings)
    identity: Identity
    if settings.token or tokens.is_given():
        address.require_private(url)
        identity = Token(settings.audience, transport.get)
    else:
        identity = Signature(session(), url, settings)
    debugging.tell(f"the API is {url}")
    return Client(url, identity, transport, retry_for=settings.retry_for)
