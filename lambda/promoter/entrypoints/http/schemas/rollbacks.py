"""The bodies of the two routes that roll back -> who asks, and what is to be taken back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from msgspec import UNSET, Meta, Struct

from promoter.domain.model import Repository
from promoter.domain.rollback import Undo
from promoter.entrypoints.http.origin import Origin
from promoter.entrypoints.http.schemas.members import (
    Digest,
    RegistryId,
    RepositoryName,
    Tag,
    Tags,
    require_all_promotable,
    require_promotable,
)
from promoter.entrypoints.http.schemas.reading import read_body
from promoter.entrypoints.http.schemas.waiting import WaitMember, read_wait

WRITTEN = r"[^\s\x00-\x1f\x7f-\xa0\ufeff]"
"""A character that one can see. Python and JSON Schema (ECMA-262) count different characters as white space."""


class OverrideBody(Struct, forbid_unknown_fields=True, rename="camel"):
    """Why an operator rolls back under a freeze, or without the promotion's rule."""

    reason: Annotated[str, Meta(min_length=1, max_length=400, pattern=WRITTEN)]


class RollbackBody(Struct, forbid_unknown_fields=True, rename="camel"):
    """What `POST /promotions/{id}/rollback` takes; every member may be left out, and so may the body."""

    image_tags: Tags | None = None
    override: OverrideBody | None = None
    wait: WaitMember = UNSET


class TagRollbackBody(Struct, forbid_unknown_fields=True, rename="camel"):
    """What `POST /rollback` takes: a tag, and the digest from which it is to be taken back."""

    repository_name: RepositoryName
    image_tag: Tag
    expected_digest: Digest
    registry_id: RegistryId | None = None
    override: OverrideBody | None = None
    wait: WaitMember = UNSET


@dataclass(frozen=True)
class TagRollback:
    """A request to take back the last promotion of a tag, which must be on `expected_digest`."""

    repository: Repository
    image_tag: str
    expected_digest: str
    undo: Undo


def read(body: bytes, origin: Origin, promotion_id: str) -> Undo:
    """Read the body of `POST /promotions/{id}/rollback`; `promotion_id` is the promotion to take back."""
    asked = read_body(body, RollbackBody) if body.strip() else RollbackBody()
    require_all_promotable(asked.image_tags or ())
    return _undo(
        origin,
        promotion_id,
        f"{promotion_id} {asked.image_tags}",
        image_tags=asked.image_tags,
        override=asked.override,
        wait=asked.wait,
    )


def read_by_tag(body: bytes, origin: Origin) -> TagRollback:
    """Read the body of `POST /rollback`."""
    asked = read_body(body, TagRollbackBody)
    require_promotable("imageTag", asked.image_tag)
    repository = Repository(asked.registry_id or origin.registry_id, asked.repository_name)
    place = f"{repository.registry_id}/{repository.name}:{asked.image_tag}"
    undo = _undo(
        origin,
        place,
        f"{place}@{asked.expected_digest}",
        image_tags=[asked.image_tag],
        override=asked.override,
        wait=asked.wait,
    )
    return TagRollback(repository, asked.image_tag, asked.expected_digest, undo)


def _undo(
    origin: Origin,
    subject: str,
    what: str,
    *,
    image_tags: Sequence[str] | None,
    override: OverrideBody | None,
    wait: WaitMember,
) -> Undo:
    """Return who asks for a rollback of `subject`. An Idempotency-Key stands for `what` and the reason."""
    reason = override.reason if override else None
    return Undo(
        promotion_id=origin.promotion_id(subject),
        caller=origin.caller,
        image_tags=image_tags,
        fingerprint=f"{what} {reason}" if reason else what,
        override=reason,
        wait=read_wait(wait, datetime.now(UTC)),
    )
