"""The images of every repository, as both sides of the registry see them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from local import emulator
from local.ecr import values
from local.ecr.errors import ImageNotFound, RepositoryNotFound
from local.ecr.manifests import Manifest


@dataclass
class Image:
    """An image as it lies in a repository; its tags in the order in which they came."""

    manifest: Manifest
    pushed_at: float
    tags: dict[str, None] = field(default_factory=dict)
    status: str = "ACTIVE"
    archived_at: float | None = None
    activated_at: float | None = None

    def activate(self) -> None:
        """End an archived image's time in the archive."""
        if self.status != "ACTIVE":
            self.status, self.activated_at = "ACTIVE", now()


@dataclass
class Repository:
    """What a repository holds.

    `scans` is the scanner's and `signings` the signer's, by digest; `failures` are BatchGetImage's, by tag.
    """

    name: str
    registry_id: str
    settings: dict[str, Any]
    blobs: dict[str, bytes]
    images: dict[str, Image] = field(default_factory=dict)
    scans: dict[str, Any] = field(default_factory=dict)
    signings: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    uploads: dict[str, list[bytes]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def tagged(self, tag: str) -> Image | None:
        """Return the image that the tag points at."""
        return next((image for image in self.images.values() if tag in image.tags), None)

    def find(self, image_id: dict[str, str]) -> Image:
        """Return the image with this digest, or this tag. Raises ImageNotFound, also if the two do not agree."""
        digest, tag = image_id.get("imageDigest"), image_id.get("imageTag")
        image = self.images.get(digest) if digest else self.tagged(tag or "")
        if image is None or (tag and tag not in image.tags):
            raise ImageNotFound(image_id, self.name, self.registry_id)
        return image

    def add(self, manifest: Manifest, tag: str | None) -> Image:
        """Store the manifest if it is new, out of the archive if it was there, and move the tag to it."""
        image = self.images.setdefault(manifest.digest, Image(manifest, now()))
        image.activate()
        if tag and tag not in image.tags:
            if before := self.tagged(tag):
                del before.tags[tag]
            image.tags[tag] = None
        return image


def repository(request: dict[str, Any]) -> Repository:
    """Return the repository that a request of the JSON API names. Raises RepositoryNotFound, InvalidParameter."""
    name, account = values.repository_name(values.required(request, "repositoryName")), emulator.account_id()
    registry_id = request.get("registryId") or account
    if registry_id != account or name not in emulator.repositories():
        raise RepositoryNotFound(name, registry_id)
    return open_repository(name)


def open_repository(name: str) -> Repository:
    """Return an existing repository of the account and Region in scope."""
    opened: Repository | None = _contents.get(name)
    settings = emulator.repositories()[name]
    if opened is None or opened.settings is not settings:
        # A repository of this name that was deleted and made anew starts empty.
        opened = _contents[name] = Repository(name, emulator.account_id(), settings, emulator.blobs(name))
    return opened


class _Clock:
    """Times in seconds, each later than the one before by a millisecond at least, so that order is never lost."""

    def __init__(self) -> None:
        self._last = 0

    def now(self) -> float:
        self._last = max(self._last + 1, time.time_ns() // 1_000_000)
        return self._last / 1000


_clock = _Clock()
now = _clock.now
_contents = emulator.scoped_dict()
