"""In-memory registries, named by how they behave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from promoter.domain.errors import PromoterError, RegistryError, SourceNotFound, TagImmutable
from promoter.domain.findings import Scan
from promoter.domain.manifest import OCI_MANIFEST, digest_of
from promoter.domain.model import ImageId, Manifest, Repository, Unreadable
from promoter.domain.ports import Found, Missing

REPOSITORY = Repository("123456789012", "team/web")
"""The one repository of most tests."""


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
    unreadable: frozenset[str] = frozenset()
    longest_put: timedelta = timedelta()

    def read(self, repository: Repository, image_ids: Sequence[ImageId]) -> dict[ImageId, Found]:
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

    def _find(self, image_id: ImageId) -> Found:
        if image_id.image_tag in self.unreadable:
            return Unreadable("the image is archived (ImageInaccessible)")
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


@dataclass
class LostAnswers(InMemoryRegistry):
    """A registry that puts, and then fails to say so; `blind`: nor does it read again."""

    done: bool = True
    blind: bool = False

    def put(self, repository: Repository, manifest: Manifest, image_tag: str) -> bool:
        if self.done:
            super().put(repository, manifest, image_tag)
        raise RegistryError("no answer")

    def read(self, repository: Repository, image_ids: Sequence[ImageId]) -> dict[ImageId, Found]:
        if self.blind and self.reads:
            raise RegistryError("no answer")
        return super().read(repository, image_ids)


@dataclass
class Silent(LostAnswers):
    """A registry that gives no answer, and puts the tag later or never."""

    def put(self, repository: Repository, manifest: Manifest, image_tag: str) -> bool:
        raise RegistryError("read time-out", unanswered=True)


@dataclass
class KnownImageFacts:
    """Knows what the test says; an image that it was not told of has no scan."""

    scans: dict[str, Scan] = field(default_factory=dict)
    signatures: set[str] = field(default_factory=set)
    profiles: dict[str, set[str]] = field(default_factory=dict)
    pushes: dict[str, datetime] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def scan(self, repository: Repository, image_digest: str) -> Scan:
        self.asked.append(image_digest)
        return self.scans.get(image_digest, Scan(None))

    def signed(self, repository: Repository, image_digest: str, profiles: Sequence[str] = ()) -> bool:
        if profiles:
            return not self.profiles.get(image_digest, set()).isdisjoint(profiles)
        return image_digest in self.signatures or image_digest in self.profiles

    def pushed(self, repository: Repository, image_digests: Sequence[str]) -> dict[str, datetime]:
        if missing := [digest for digest in image_digests if digest not in self.pushes]:
            raise SourceNotFound(f"{missing[0]} was never pushed")
        return {digest: self.pushes[digest] for digest in image_digests}


@dataclass
class FailingImageFacts(KnownImageFacts):
    """Facts that cannot be asked for."""

    failure: PromoterError | None = None

    def scan(self, repository: Repository, image_digest: str) -> Scan:
        if self.failure:
            raise self.failure
        return super().scan(repository, image_digest)
