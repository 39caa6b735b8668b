"""Bearer tokens: from the environment, or from the CI system that runs the job. A token is never an argument."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from ecr_promoter.api.transport import Lost, Reply
from ecr_promoter.exits import Failed, UsageMistake

OWN = "ECR_PROMOTER_TOKEN"
HOW = (
    "Put a token into ECR_PROMOTER_TOKEN. In GitHub Actions give the job `permissions: {id-token: write}`. "
    "In GitLab CI give it `id_tokens: {ECR_PROMOTER_TOKEN: {aud: …}}`"
)

Get = Callable[[str, dict[str, str]], Reply]


def is_given() -> bool:
    """Say whether the environment has a token for this program."""
    return bool(os.environ.get(OWN))


def obtain(audience: str, get: Get) -> str:
    """Return a token: the environment's, or a new one for the GitHub Actions job. Raises UsageMistake."""
    if token := os.environ.get(OWN, "").strip():
        return token
    url = os.environ.get("ACTIONS_ID_TOKEN_REQUEST_URL")
    secret = os.environ.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
    if not url or not secret:
        raise UsageMistake(f"There is no token to send. {HOW}.")
    return of_github(url, secret, audience, get)


def of_github(url: str, secret: str, audience: str, get: Get) -> str:
    """Ask GitHub for the job's OIDC token. Raises UsageMistake where it gives none."""
    address = f"{url}{'&' if '?' in url else '?'}{urlencode({'audience': audience})}"
    try:
        reply = get(address, {"authorization": f"bearer {secret}", "accept": "application/json"})
    except Lost as lost:
        raise Failed(f"GitHub did not answer when asked for a token: {lost}. Run the command again.") from lost
    token = reply.document.get("value") if isinstance(reply.document, Mapping) else None
    if reply.status >= 500:
        raise Failed(f"GitHub gave no token ({reply.status}). Run the command again.")
    if reply.status != 200 or not isinstance(token, str):
        raise UsageMistake(f"GitHub gave no token ({reply.status}). {HOW}.")
    return token
