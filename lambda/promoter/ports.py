"""What the use case needs from the world, by role."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum, auto
from typing import Protocol

from promoter.model import ImageId, Manifest, Repository, Scan


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


class Findings(Protocol):
    """What is known of an image beside its bytes. Methods raise the Failures of promoter.errors."""

    def scan(self, repository: Repository, image_digest: str) -> Scan:
        """Return what the last scan of this one manifest found; called from several threads."""

    def signed(self, repository: Repository, image_digest: str) -> bool:
        """Say whether a signature refers to the digest: that it exists, not that it verifies."""

    def pushed_at(self, repository: Repository, image_digest: str) -> datetime:
        """Return when the image was pushed."""


class Watches(Protocol):
    """Remembers which tagged image waits for the scan of which manifest."""

    def add(self, repository: Repository, waiting: ImageId, image_digests: Sequence[str]) -> None:
        """Remember that `waiting`, a pinned tag, waits for the scans of these manifests."""

    def waiting_for(self, repository: Repository, image_digest: str) -> tuple[ImageId, ...]:
        """Return the pinned tags that wait for the scan of this manifest."""
