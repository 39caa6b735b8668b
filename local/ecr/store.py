"""The images of every repository, for the JSON API and for the registry HTTP API."""

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
    """A stored image. Its tags are in the order in which they were put."""

    manifest: Manifest
    pushed_at: float
    tags: dict[str, None] = field(default_factory=dict)
    status: str = "ACTIVE"
    archived_at: float | None = None
    activated_at: float | None = None

    def activate(self) -> None:
        """Restore the image if it is archived."""
        if self.status != "ACTIVE":
            self.status, self.activated_at = "ACTIVE", now()


@dataclass
class Repository:
    """The content of a repository.

    `scans` and `signings` are by image digest. `failures` are BatchGetImage's failure codes, by tag.
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

    @property
    def identity(self) -> dict[str, str]:
        """The members with which answers name the repository."""
        return {"registryId": self.registry_id, "repositoryName": self.name}

    def tagged(self, tag: str) -> Image | None:
        """Return the image that has the tag; None if the tag does not exist."""
        return next((image for image in self.images.values() if tag in image.tags), None)

    def find(self, image_id: dict[str, str]) -> Image:
        """Return the image of an imageId. Raises ImageNotFound, also if tag and digest are of different images."""
        digest, tag = image_id.get("imageDigest"), image_id.get("imageTag")
        image = self.images.get(digest) if digest else self.tagged(tag or "")
        if image is None or (tag and tag not in image.tags):
            raise ImageNotFound(image_id, self.name, self.registry_id)
        return image

    def add(self, manifest: Manifest, tag: str | None) -> Image:
        """Store the manifest if it is new, restore it if it is archived, and move the tag to it."""
        image = self.images.setdefault(manifest.digest, Image(manifest, now()))
        image.activate()
        if tag and tag not in image.tags:
            if before := self.tagged(tag):
                del before.tags[tag]
            image.tags[tag] = None
        return image


def repository(request: dict[str, Any]) -> Repository:
    """Return the repository of a JSON API request. Raises RepositoryNotFound and InvalidParameter."""
    name, account = values.repository_name(values.required(request, "repositoryName")), emulator.account_id()
    registry_id = request.get("registryId") or account
    if registry_id != account or name not in emulator.repositories():
        raise RepositoryNotFound(name, registry_id)
    return open_repository(name)


def open_repository(name: str) -> Repository:
    """Return an existing repository of the request's account and Region."""
    opened: Repository | None = _contents.get(name)
    settings = emulator.repositories()[name]
    if opened is None or opened.settings is not settings:
        # The repository is new, or was deleted and created again: it is empty.
        opened = _contents[name] = Repository(name, emulator.account_id(), settings, emulator.blobs(name))
    return opened


class _Clock:
    """Times in seconds. Each is at least one millisecond later than the one before, to keep their order."""

    def __init__(self) -> None:
        self._last = 0

    def now(self) -> float:
        self._last = max(self._last + 1, time.time_ns() // 1_000_000)
        return self._last / 1000


_clock = _Clock()
now = _clock.now
_contents = emulator.scoped_dict()
