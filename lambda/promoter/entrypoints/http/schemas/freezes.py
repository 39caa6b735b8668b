"""The body of `PUT /freeze` and the query string of `DELETE /freeze` -> a freeze."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated

from msgspec import Meta, Struct

from promoter.domain.errors import InvalidRequest
from promoter.domain.policy import Freeze, Rule
from promoter.entrypoints.http.schemas.reading import read_body, read_query, require_offset

RuleName = Annotated[str, Meta(pattern=r"\A(\*|[a-z0-9-]{1,64})\Z")]
Glob = Annotated[str, Meta(pattern=r"\A[a-z0-9*][a-z0-9._/*-]{0,255}\Z")]


class FreezeBody(Struct, forbid_unknown_fields=True, rename="camel"):
    """What `PUT /freeze` takes."""

    reason: Annotated[str, Meta(min_length=1, max_length=500)]
    repositories: Glob = "*"
    rule: RuleName = "*"
    until: datetime | None = None


class ScopeQuery(Struct, forbid_unknown_fields=True, rename="camel"):
    """What `DELETE /freeze` takes."""

    repositories: Glob = "*"
    rule: RuleName = "*"


def read(body: bytes, *, by: str | None, rules: Sequence[Rule]) -> Freeze:
    """Read the body of `PUT /freeze`. Raises InvalidRequest for an unknown rule, or an end in the past."""
    asked, now = read_body(body, FreezeBody), datetime.now(UTC)
    if asked.rule != "*" and asked.rule not in {rule.name for rule in rules}:
        raise InvalidRequest(f"The policy has no rule named {asked.rule}.", field="rule")
    if asked.until and require_offset("until", asked.until) <= now:
        raise InvalidRequest("until is in the past.", field="until")
    return _freeze(asked.repositories, asked.rule, start=now, end=asked.until, reason=asked.reason, by=by)


def read_scope(parameters: Mapping[str, str]) -> Freeze:
    """Read the query of `DELETE /freeze`: which freeze is meant."""
    asked = read_query(parameters, ScopeQuery)
    return _freeze(asked.repositories, asked.rule, start=datetime.now(UTC), end=None, reason="", by=None)


def _freeze(glob: str, rule: str, *, start: datetime, end: datetime | None, reason: str, by: str | None) -> Freeze:
    return Freeze(
        start=start,
        end=end,
        reason=reason,
        rules=None if rule == "*" else (rule,),
        repositories=None if glob == "*" else (glob,),
        by=by,
    )
