"""Query strings of the HTTP API, and freezes -> what is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from promoter.domain.errors import InvalidRequest
from promoter.domain.history import ALL, Filter
from promoter.domain.model import Outcome, Repository
from promoter.domain.policy import Freeze, Rule
from promoter.entrypoints.http.schemas import Digest, RegistryId, RepositoryName, Tag, decode, decode_text

if TYPE_CHECKING:
    pass

Token = Annotated[str, Meta(max_length=4096)]
YEARS = range(1970, 9999)
"""Of moments that callers name: an offset cannot lead out of what Python and DynamoDB can hold."""
RuleName = Annotated[str, Meta(pattern=r"\A(\*|[a-z0-9-]{1,64})\Z")]
Glob = Annotated[str, Meta(pattern=r"\A[a-z0-9*][a-z0-9._/*-]{0,255}\Z")]


class PromotionsQuery(Struct, forbid_unknown_fields=True, rename="camel"):
    """What `GET /promotions` takes."""

    repository_name: RepositoryName
    registry_id: RegistryId | None = None
    image_tag: Tag | None = None
    image_digest: Digest | None = None
    caller: Annotated[str, Meta(min_length=1, max_length=2048)] | None = None
    outcome: Outcome | None = None
    since: str | None = None
    until: str | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    next_token: Token | None = None


class HeadsQuery(Struct, forbid_unknown_fields=True, rename="camel"):
    """What `GET /heads` takes."""

    repository_name: RepositoryName
    registry_id: RegistryId | None = None
    image_tag: Tag | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 100
    next_token: Token | None = None


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


@dataclass(frozen=True)
class Question:
    """What a listing is asked for."""

    repository: Repository
    limit: int
    next_token: str | None
    image_tag: str | None = None
    wanted: Filter = ALL


def promotions(parameters: Mapping[str, str], registry_id: str) -> Question:
    """Read the query of `GET /promotions`."""
    asked = decode_text(parameters, PromotionsQuery)
    wanted = Filter(
        outcome=asked.outcome,
        image_digest=asked.image_digest,
        caller=asked.caller,
        since=_moment("since", asked.since),
        until=_moment("until", asked.until),
    )
    if wanted.since and wanted.until and wanted.since >= wanted.until:
        raise InvalidRequest("until must be after since", field="until")
    place = Repository(asked.registry_id or registry_id, asked.repository_name)
    return Question(place, asked.limit, asked.next_token, asked.image_tag, wanted)


def heads(parameters: Mapping[str, str], registry_id: str) -> Question:
    """Read the query of `GET /heads`."""
    asked = decode_text(parameters, HeadsQuery)
    place = Repository(asked.registry_id or registry_id, asked.repository_name)
    return Question(place, asked.limit, asked.next_token, asked.image_tag)


def _moment(field: str, text: str | None) -> datetime | None:
    """Read a moment of a query string, whose + arrives as a space unless it is written %2B."""
    if text is None:
        return None
    try:
        return _require_offset(field, datetime.fromisoformat(text.replace(" ", "+")))
    except ValueError as error:
        raise InvalidRequest(
            f"{field} is not a time as in 2026-12-31T18:00:00Z or 2026-12-31T19:00:00%2B01:00", field=field
        ) from error


def _require_offset(field: str, moment: datetime) -> datetime:
    if not moment.tzinfo:
        raise InvalidRequest(f"{field} needs an offset, as in 2026-12-31T18:00:00Z", field=field)
    if moment.year not in YEARS:
        raise InvalidRequest(f"{field} must be in the years {YEARS[0]} to {YEARS[-1]}", field=field)
    return moment


def freeze(body: bytes, *, by: str | None, rules: Sequence[Rule]) -> Freeze:
    """Read the body of `PUT /freeze`. Raises InvalidRequest for an unknown rule, or an end that is past."""
    asked, now = decode(body, FreezeBody), datetime.now(UTC)
    if asked.rule != "*" and asked.rule not in {rule.name for rule in rules}:
        raise InvalidRequest(f"no rule is named {asked.rule}", field="rule")
    if asked.until and _require_offset("until", asked.until) <= now:
        raise InvalidRequest("until is past", field="until")
    return _freeze(asked.repositories, asked.rule, start=now, end=asked.until, reason=asked.reason, by=by)


def scope(parameters: Mapping[str, str]) -> Freeze:
    """Read the query of `DELETE /freeze`: which freeze is meant."""
    asked = decode_text(parameters, ScopeQuery)
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
