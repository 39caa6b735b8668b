"""A repository on which each round of a measurement has something to promote."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ClassVar

from bench.lab import Lab, carry_out
from local import pusher
from promoter.domain.manifest import MEDIA_TYPES
from promoter.domain.model import Repository
from promoter.entrypoints import image_events
from promoter.promotion.dependencies import Dependencies

TAGS_OF_AN_IMAGE = 1_000  # Amazon ECR service quotas


@dataclass
class Mover:
    """A repository with two images, between which each round moves one tag."""

    TAG: ClassVar[str] = "moving"

    lab: Lab
    repository: str
    rounds: Iterator[int] = field(default_factory=itertools.count)

    def next_source(self) -> str:
        """Return the source tag of the image that the moving tag is not on."""
        return f"source-{next(self.rounds) % 2}"

    def bare(self) -> Callable[[int], object]:
        """Return a way that makes the two calls of ECR, and nothing else."""
        ecr = self.lab.client("ecr")

        def calls(_: int) -> None:
            source = self.next_source()
            answer = ecr.batch_get_image(
                repositoryName=self.repository,
                imageIds=[{"imageTag": source}, {"imageTag": self.TAG}],
                acceptedMediaTypes=list(MEDIA_TYPES),
            )
            image = next(image for image in answer["images"] if image["imageId"]["imageTag"] == source)
            ecr.put_image(
                repositoryName=self.repository,
                imageManifest=image["imageManifest"],
                imageManifestMediaType=image["imageManifestMediaType"],
                imageDigest=image["imageId"]["imageDigest"],
                imageTag=self.TAG,
            )

        return calls

    def promoted(self, dependencies: Dependencies) -> Callable[[int], object]:
        """Return a way that carries out the use case, as the function does."""

        def promote_once(_: int) -> object:
            return carry_out(
                self.lab.promotion(self.repository, self.next_source(), [self.TAG]),
                dependencies,
            )

        return promote_once

    def scanned(self, dependencies: Dependencies) -> Callable[[int], object]:
        """Return a way that carries out what the event of a finished scan triggers, each for a new source tag."""
        place = Repository(self.lab.aws.account_id, self.repository)
        unused: list[tuple[str, str]] = []

        def event(_: int) -> None:
            if not unused:
                unused.extend(self._scanned_images())
            digest, tag = unused.pop()
            came = image_events.ImageEvent(
                uuid.uuid4().hex, place, digest, (tag,), datetime.now(UTC), is_scan=True
            )
            for promotion in image_events.promotions(came, dependencies.policy):  # type: ignore[union-attr]  # the rule serves every build
                carry_out(promotion, dependencies)

        return event

    def _scanned_images(self) -> list[tuple[str, str]]:
        """Push an image with half of the tags that it may have, and finish its scan; return digest and tags."""
        tags = [f"build-{uuid.uuid4().hex[:12]}" for _ in range(TAGS_OF_AN_IMAGE // 2 - 1)]
        image = pusher.push_image(self.lab.aws.registry, self.repository, tags[0], seed=tags[0])
        self.lab.store_image(self.repository, image.manifest, tags)
        self.lab.finish_scan(self.repository, image.digest)
        return [(image.digest, tag) for tag in tags]


def create(lab: Lab) -> Mover:
    """Create a repository and push its two images."""
    repository = lab.create_repository("bench")
    for number in range(2):
        pusher.push_image(lab.aws.registry, repository, f"source-{number}", seed=f"{repository}-{number}")
    return Mover(lab, repository)
