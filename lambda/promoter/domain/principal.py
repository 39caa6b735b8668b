"""Who a caller is from one call to the next, so that a repeat is known as one."""

from __future__ import annotations

import re

# IAM user guide, "IAM identifiers": a role session's ARN ends with the session's name. No name has a slash.
ROLE_SESSION = re.compile(r"(arn:[^:]+:sts::\d*:assumed-role/([^/]+))/[^/]+")
PERSONAL = "AWSReservedSSO_"
"""How the roles of IAM Identity Center begin: many people assume one, and the session's name is the person."""
JWT = "jwt:"


def principal(caller: str | None, *, issuer: str | None = None) -> str:
    """Return the principal behind a caller: what `Idempotency-Key`s belong to.

    `caller` is as API Gateway authenticated it and as rules name it. A role is itself without the name of its
    session, which CodeBuild, IRSA and most pipelines make anew at every run; pipelines that share a role are one
    principal. A role of IAM Identity Center is one principal a session. IAM users, federated users and root are
    themselves. A token's subject belongs to its `issuer`, whose URL has no `#` (OpenID Connect Discovery, "Issuer
    Identifier").
    """
    if caller is None:
        return ""
    if caller.startswith(JWT):
        return f"{JWT}{issuer or ''}#{caller.removeprefix(JWT)}"
    session = ROLE_SESSION.fullmatch(caller)
    return session[1] if session and not session[2].startswith(PERSONAL) else caller
