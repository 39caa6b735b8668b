"""Members that several requests have, with PutImage's limits (Amazon ECR API reference)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from promoter.domain.errors import InvalidRequest
from promoter.domain.limits import (
    ACCOUNT_ID,
    LONGEST_REPOSITORY_NAME,
    MAX_TAGS,
    REPOSITORY_NAME,
    SHORTEST_REPOSITORY_NAME,
)
from promoter.domain.manifest import STORED
from promoter.domain.templates import REFERRERS, TAG, is_promotable

RepositoryName = Annotated[
    str,
    Meta(
        min_length=SHORTEST_REPOSITORY_NAME,
        max_length=LONGEST_REPOSITORY_NAME,
        pattern=rf"\A{REPOSITORY_NAME}\Z",
    ),
]
RegistryId = Annotated[str, Meta(pattern=rf"\A{ACCOUNT_ID}\Z")]
Tag = Annotated[str, Meta(pattern=rf"\A{TAG.pattern}\Z")]
Tags = Annotated[list[Tag], Meta(min_length=1, max_length=MAX_TAGS)]
Digest = Annotated[str, Meta(pattern=rf"\A{STORED.pattern}\Z")]


def require_promotable(field: str, tag: str) -> None:
    """Raise InvalidRequest for a tag that no promotion may put."""
    if not is_promotable(tag):
        raise InvalidRequest(
            f"{field}: A promotion may not put the tag {tag}. Clients look for signatures and attestations under "
            f"tags that begin with {REFERRERS}.",
            field=field,
        )


def require_all_promotable(image_tags: Sequence[str]) -> None:
    """Raise InvalidRequest, naming the element of `imageTags` that no promotion may put."""
    for number, tag in enumerate(image_tags):
        require_promotable(f"imageTags[{number}]", tag)
