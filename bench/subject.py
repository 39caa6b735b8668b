"""A pushed image, and the ways to put tags on it that are compared."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from bench.lab import Lab, carry_out
from local import pusher
from promoter.aws.dynamodb.ledger import DynamoLedger
from promoter.domain.leasing import LeaseLost
from promoter.domain.manifest import MEDIA_TYPES
from promoter.domain.model import Promotion
from promoter.domain.records import Lease, Record
from promoter.domain.rule import Freeze
from promoter.promotion.dependencies import Dependencies

PLATFORMS = [
    *(f"linux/{name}" for name in ("amd64", "arm64", "arm", "386", "ppc64le", "s390x", "riscv64", "mips64le")),
    "windows/amd64",
    "windows/arm64",
]


NOTHING: Mapping[str, int] = {}


class NoLedger(DynamoLedger):
    """A ledger that records nothing, to measure a promotion without one."""

    def __init__(self) -> None:
        """Open no table."""

    def known(self) -> Sequence[Freeze]:
        """Return no freeze."""
        return ()

    def begin(
        self,
        record: Record,
        seen: Mapping[str, str | None],  # noqa: ARG002 - the port's signature
        versions: Mapping[str, int],  # noqa: ARG002
        after: Record | None = None,  # noqa: ARG002
        exact: Mapping[str, int] = NOTHING,  # noqa: ARG002
    ) -> Lease:
        """Grant every lease."""
        return Lease("", record, datetime.now(UTC) + timedelta(minutes=1))

    def finish(self, lease: Lease, record: Record) -> LeaseLost | None:
        """Record nothing."""


def unrecorded(dependencies: Dependencies) -> Dependencies:
    """Return the dependencies with a ledger that records nothing."""
    nothing = NoLedger()
    return replace(dependencies, ledger=nothing, freezes=nothing)


@dataclass
class Subject:
    """A pushed image, and each way to put `tags` new tags on it. A way is called with the number of the round."""

    lab: Lab
    repository: str
    tags: int

    def names(self, way: str, number: int) -> list[str]:
        """Return unused tags, so that each round has real work to do."""
        return [f"{way}-{number + 9}-{index}-{uuid.uuid4().hex[:6]}" for index in range(self.tags)]

    def bare(self) -> Callable[[int], object]:
        """Return a way that makes the two calls that every way needs, and nothing else."""
        ecr = self.lab.client("ecr")

        def calls(number: int) -> None:
            tags = self.names("bare", number)
            ids: Any = [{"imageTag": "source"}, *({"imageTag": tag} for tag in tags)]
            answer = ecr.batch_get_image(
                repositoryName=self.repository, imageIds=ids, acceptedMediaTypes=list(MEDIA_TYPES)
            )
            image = answer["images"][0]
            for tag in tags:
                ecr.put_image(
                    repositoryName=self.repository,
                    imageManifest=image["imageManifest"],
                    imageManifestMediaType=image["imageManifestMediaType"],
                    imageDigest=image["imageId"]["imageDigest"],
                    imageTag=tag,
                )

        return calls

    def promoted(self, dependencies: Dependencies, way: str) -> Callable[[int], object]:
        """Return a way that carries out the use case, as the function does."""
        return lambda number: carry_out(self._promotion(self.names(way, number)), dependencies)

    def repeated(self, dependencies: Dependencies) -> Callable[[int], object]:
        """Return a way that promotes to a tag which is in place already."""
        carry_out(self._promotion(["there"]), dependencies)
        return lambda _: carry_out(self._promotion(["there"]), dependencies)

    def http(self) -> Callable[[int], object]:
        """Return a way that sends a signed request to the deployed stack, over one kept connection."""
        pool = urllib3.PoolManager()
        aws, url = self.lab.aws, f"{self.lab.variables['PROMOTER_API_URL']}/promotions"
        signer = SigV4Auth(Credentials(aws.access_key_id, aws.secret_access_key), "execute-api", aws.region)

        def call(number: int) -> None:
            body = {
                "repositoryName": self.repository,
                "source": {"imageTag": "source"},
                "imageTags": self.names("http", number),
            }
            request = AWSRequest("POST", url, data=json.dumps(body), headers={"content-type": "application/json"})
            signer.add_auth(request)
            answer = pool.request("POST", url, body=request.data, headers=dict(request.headers.items()))
            if answer.status != 200:
                raise RuntimeError(f"{answer.status}: {answer.data!r}")

        return call

    def cli(self) -> Callable[[int], object]:
        """Return the way of shell scripts: `aws ecr batch-get-image`, then `aws ecr put-image`."""
        aws = str(Path(sys.executable).with_name("aws"))

        def pair(number: int) -> None:
            accepted = ["--accepted-media-types", *MEDIA_TYPES]
            source = ["--repository-name", self.repository, "--image-ids", "imageTag=source", *accepted]
            only = ["--query", "images[0].imageManifest", "--output", "text"]
            manifest = self._run(aws, "ecr", "batch-get-image", *source, *only)
            for tag in self.names("cli", number):
                target = ["--repository-name", self.repository, "--image-tag", tag]
                self._run(aws, "ecr", "put-image", *target, "--image-manifest", manifest.rstrip("\n"))

        return pair

    def skopeo(self) -> Callable[[int], object]:
        """Return a way that copies all platforms to another tag of the repository."""
        words = ["--quiet", "--all", "--src-tls-verify=false", "--dest-tls-verify=false"]
        credentials = ["--src-creds=AWS:x", "--dest-creds=AWS:x"]
        place = f"docker://{self.lab.aws.registry}/{self.repository}"

        def copy(number: int) -> None:
            for tag in self.names("skopeo", number):
                self._run("skopeo", "copy", *words, *credentials, f"{place}:source", f"{place}:{tag}")

        return copy

    def oras(self) -> Callable[[int], object]:
        """Return a way that uses `oras tag`."""
        place = f"{self.lab.aws.registry}/{self.repository}:source"

        def tag(number: int) -> None:
            self._run("oras", "tag", "--plain-http", place, *self.names("oras", number))

        return tag

    def _promotion(self, tags: Sequence[str]) -> Promotion:
        return self.lab.promotion(self.repository, "source", tags)

    def _run(self, *command: str) -> str:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        done = subprocess.run(
            command, env=environment | self.lab.aws.environment(), capture_output=True, text=True, check=True
        )
        return done.stdout


def push(lab: Lab, platforms: int, tags: int) -> Subject:
    """Push an index of `platforms` images, or a single image for 0, to a new repository."""
    repository = lab.create_repository("bench")
    if not platforms:
        pusher.push_image(lab.aws.registry, repository, "source", seed=repository)
        return Subject(lab, repository, tags)
    names = tuple(PLATFORMS[:platforms])
    pusher.push_index(lab.aws.registry, repository, "source", seed=repository, platforms=names)
    return Subject(lab, repository, tags)
