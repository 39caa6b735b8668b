"""In-memory registries, named by how they behave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from promoter.errors import PromoterError, TagImmutable
from promoter.manifest import OCI_MANIFEST, digest_of
from promoter.model import ImageId, Manifest, Repository
from promoter.ports import Missing


def manifest(content: str = "{}", media_type: str = OCI_MANIFEST) -> Manifest:
    """Make a manifest of these bytes; the core never looks inside."""
    body = content.encode()
    return Manifest(body, media_type, digest_of(body, media_type))


@dataclass
class InMemoryRegistry:
    """A registry that does what it is told and remembers it: `reads` and `puts` list the calls."""

    tags: dict[str, Manifest] = field(default_factory=dict)
    untagged: list[Manifest] = field(default_factory=list)
    immutable: frozenset[str] = frozenset()
    reads: list[list[ImageId]] = field(default_factory=list)
    puts: list[str] = field(default_factory=list)

    def read(self, repository: Repository, image_ids: Sequence[ImageId]) -> dict[ImageId, Manifest | Missing]:
        self.reads.append(list(image_ids))
        return {image_id: self._find(image_id) for image_id in image_ids}

    def put(self, repository: Repository, manifest: Manifest, image_tag: str) -> bool:
        self.puts.append(image_tag)
        if self.tags.get(image_tag) == manifest:
            return False
        if image_tag in self.immutable and image_tag in self.tags:
            raise TagImmutable(f"{image_tag} is immutable")
        self.tags[image_tag] = manifest
        return True

    def _find(self, image_id: ImageId) -> Manifest | Missing:
        if image_id.image_tag is None:
            images = [*self.tags.values(), *self.untagged]
            return next((image for image in images if image.digest == image_id.image_digest), Missing.NOT_FOUND)
        image = self.tags.get(image_id.image_tag)
        if image is None:
            return Missing.NOT_FOUND
        return image if image_id.image_digest in (None, image.digest) else Missing.TAG_IS_ELSEWHERE


@dataclass
class FailingRegistry(InMemoryRegistry):
    """A registry whose write of one tag fails."""

    failing_tag: str = ""
    failure: PromoterError | None = None

    def put(self, repository: Repository, manifest: Manifest, image_tag: str) -> bool:
        if image_tag == self.failing_tag and self.failure:
            raise self.failure
        return super().put(repository, manifest, image_tag)


@dataclass
class RacedRegistry(InMemoryRegistry):
    """A registry in which somebody else puts the tag between the read and the write."""

    def put(self, repository: Repository, manifest: Manifest, image_tag: str) -> bool:
        self.tags[image_tag] = manifest
        return super().put(repository, manifest, image_tag)
