"""What the use case needs from the world, by role."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Protocol

from promoter.model import ImageId, Manifest, Repository


class Missing(Enum):
    """Why a registry has no image for an ImageId."""

    NOT_FOUND = auto()
    TAG_IS_ELSEWHERE = auto()  # the tag and the digest exist, but not together


class Registry(Protocol):
    """Images by tag or digest. Methods raise the Failures of promoter.errors."""

    def read(self, repository: Repository, image_ids: Sequence[ImageId]) -> Mapping[ImageId, Manifest | Missing]:
        """Return an answer for each of up to 100 ids; every manifest is verified against its digest."""

    def put(self, repository: Repository, manifest: Manifest, image_tag: str) -> bool:
        """Put the tag on the manifest; False: it was there already. Raises TagImmutable if it may not move."""
