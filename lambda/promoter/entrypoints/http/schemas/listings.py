"""The query strings of `GET /promotions` and `GET /heads` -> what is to be listed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta, Struct

from promoter.domain.errors import InvalidRequest
from promoter.domain.listing import ALL, Filter
from promoter.domain.model import Outcome, Repository
from promoter.entrypoints.http.schemas.members import Digest, RegistryId, RepositoryName, Tag
from promoter.entrypoints.http.schemas.reading import read_moment, read_query

Limit = Annotated[int, Meta(ge=1, le=100)]
Token = Annotated[str, Meta(max_length=4096)]


class PromotionsQuery(Struct, forbid_unknown_fields=True, rename="camel"):
    """What `GET /promotions` takes. Only a list of what waits needs no repository."""

    repository_name: RepositoryName | None = None
    registry_id: RegistryId | None = None
    image_tag: Tag | None = None
    image_digest: Digest | None = None
    caller: Annotated[str, Meta(min_length=1, max_length=2048)] | None = None
    outcome: Outcome | None = None
    since: str | None = None
    until: str | None = None
    limit: Limit = 20
    next_token: Token | None = None


class HeadsQuery(Struct, forbid_unknown_fields=True, rename="camel"):
    """What `GET /heads` takes."""

    repository_name: RepositoryName
    registry_id: RegistryId | None = None
    image_tag: Tag | None = None
    limit: Limit = 100
    next_token: Token | None = None


@dataclass(frozen=True)
class Listing:
    """What a list is to show: of which repository or tag, how much, and from where on."""

    repository: Repository
    limit: int
    next_token: str | None
    image_tag: str | None = None
    wanted: Filter = ALL


@dataclass(frozen=True)
class WaitingListing:
    """What a list of promotions that wait is to show; `repository` is None where those of all are meant."""

    repository: Repository | None
    limit: int
    next_token: str | None
    image_tag: str | None
    wanted: Filter


def read_promotions(parameters: Mapping[str, str], registry_id: str) -> Listing | WaitingListing:
    """Read the query of `GET /promotions`."""
    asked = read_query(parameters, PromotionsQuery)
    wanted = Filter(
        outcome=asked.outcome,
        image_digest=asked.image_digest,
        caller=asked.caller,
        since=read_moment("since", asked.since),
        until=read_moment("until", asked.until),
    )
    if wanted.since and wanted.until and wanted.since >= wanted.until:
        raise InvalidRequest("until must be later than since.", field="until")
    repository = _repository(asked.repository_name, asked.registry_id, registry_id)
    if asked.outcome is Outcome.WAITING:
        _require_no_end(wanted)
        return WaitingListing(repository, asked.limit, asked.next_token, asked.image_tag, wanted)
    if repository is None:
        raise InvalidRequest(
            "repositoryName is missing. Only outcome=WAITING lists the promotions of all repositories.",
            field="repositoryName",
        )
    return Listing(repository, asked.limit, asked.next_token, asked.image_tag, wanted)


def read_heads(parameters: Mapping[str, str], registry_id: str) -> Listing:
    """Read the query of `GET /heads`."""
    asked = read_query(parameters, HeadsQuery)
    repository = Repository(asked.registry_id or registry_id, asked.repository_name)
    return Listing(repository, asked.limit, asked.next_token, asked.image_tag)


def _repository(name: str | None, registry_id: str | None, own: str) -> Repository | None:
    if name is None and registry_id is not None:
        raise InvalidRequest("registryId belongs to repositoryName, which is missing.", field="registryId")
    return Repository(registry_id or own, name) if name else None


def _require_no_end(wanted: Filter) -> None:
    """Raise InvalidRequest where a list of promotions that wait is to select them by when they ended."""
    for name, moment in (("since", wanted.since), ("until", wanted.until)):
        if moment:
            raise InvalidRequest(
                f"{name} selects promotions by when they ended. One that waits has not ended: leave {name} out.",
                field=name,
            )
