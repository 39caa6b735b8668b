"""Warm promotions beside what people use today: time, requests and bytes, on the same server."""

from __future__ import annotations

import json
import os
import shutil
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

from bench.lab import Lab, Samples, interleaved
from local import pusher
from promoter.domain.manifest import MEDIA_TYPES
from promoter.domain.model import ImageId, Lease, Promotion, Record, Repository, Source, Trigger
from promoter.domain.policy import Freeze
from promoter.promotion.dependencies import Dependencies
from tests.support.answers import promote

ROUNDS = 24
PLATFORMS = [
    f"linux/{name}" for name in ("amd64", "arm64", "arm", "386", "ppc64le", "s390x", "riscv64", "mips64le")
]
BARE, PLAIN, LEDGER, HTTP = "boto3, the same calls", "promote, no ledger", "promote, ledger", "HTTP call"
CLI, SKOPEO, ORAS = "AWS CLI pair", "skopeo copy", "oras tag"
SLOW = {CLI: 8, SKOPEO: 4, ORAS: 4}
"""Peers that start a process: they take part in every so manieth round."""


@dataclass(frozen=True)
class Traffic:
    """What a way sends and gets, counted at the server; `of_ecr`: calls of ECR, `layers`: bytes of layers."""

    requests: int
    received: int
    sent: int
    of_ecr: int
    layers: int


@dataclass(frozen=True)
class Scenario:
    """One image and a number of tags, by every way."""

    name: str
    samples: dict[str, Samples]
    traffic: dict[str, Traffic]


@dataclass(frozen=True)
class Warm:
    """All scenarios, what a promotion sends that has nothing to do, and the peers that are not installed here."""

    scenarios: list[Scenario]
    idle: Traffic
    left_out: list[str]


class NoLedger:
    """What a promotion costs without being recorded, and where nothing is frozen."""

    def known(self) -> Sequence[Freeze]:
        """Know of no freeze."""
        return ()

    def begin(
        self,
        record: Record,
        seen: Mapping[str, str | None],  # noqa: ARG002 - the port's signature
        versions: Mapping[str, int],  # noqa: ARG002
        after: Record | None = None,  # noqa: ARG002
    ) -> Lease:
        """Give the lease to everybody."""
        return Lease("", record, datetime.now(UTC) + timedelta(minutes=1))

    def finish(self, lease: Lease, record: Record) -> None:
        """Forget it."""


def unrecorded(dependencies: Dependencies) -> Dependencies:
    """Return the dependencies without a ledger, as far as a promotion that succeeds needs one."""
    nothing: Any = NoLedger()
    return replace(dependencies, ledger=nothing, freezes=nothing)


@dataclass
class Subject:
    """A pushed image and all the ways to tag it."""

    lab: Lab
    repository: str
    digest: str
    tags: int

    def names(self, way: str, number: int) -> list[str]:
        """Return tags that nobody has used: each round does real work."""
        return [f"{way}-{number + 9}-{index}-{uuid.uuid4().hex[:6]}" for index in range(self.tags)]

    def bare(self) -> Callable[[int], object]:
        """Make the two calls that every way has to make, and nothing else."""
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
        """Carry out the use case, as it runs inside the function."""
        return lambda number: promote(self.promotion(self.names(way, number)), dependencies)

    def repeated(self, dependencies: Dependencies) -> Callable[[int], object]:
        """Ask again for what is there."""
        promote(self.promotion(["there"]), dependencies)
        return lambda _: promote(self.promotion(["there"]), dependencies)

    def promotion(self, tags: Sequence[str]) -> Promotion:
        """Ask for tags on the source."""
        return Promotion(
            promotion_id=uuid.uuid4().hex,
            trigger=Trigger.REQUEST,
            repository=Repository(self.lab.aws.account_id, self.repository),
            source=Source(ImageId("source")),
            image_tags=tuple(tags),
        )

    def http(self) -> Callable[[int], object]:
        """Make the whole call to the deployed stack, signed, over one kept connection."""
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
        """Do what shell scripts do: `aws ecr batch-get-image`, then `aws ecr put-image`."""
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
        """Copy all platforms onto another tag of the repository."""
        words = ["--quiet", "--all", "--src-tls-verify=false", "--dest-tls-verify=false"]
        credentials = ["--src-creds=AWS:x", "--dest-creds=AWS:x"]
        place = f"docker://{self.lab.aws.registry}/{self.repository}"

        def copy(number: int) -> None:
            for tag in self.names("skopeo", number):
                self._run("skopeo", "copy", *words, *credentials, f"{place}:source", f"{place}:{tag}")

        return copy

    def oras(self) -> Callable[[int], object]:
        """Put further tags on a manifest in its own way."""
        place = f"{self.lab.aws.registry}/{self.repository}:source"

        def tag(number: int) -> None:
            self._run("oras", "tag", "--plain-http", place, *self.names("oras", number))

        return tag

    def _run(self, *command: str) -> str:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        done = subprocess.run(
            command, env=environment | self.lab.aws.environment(), capture_output=True, text=True, check=True
        )
        return done.stdout


def measure(lab: Lab, *, tell: Callable[[str], None]) -> Warm:
    """Time one image and indexes of two and ten platforms, with one tag and with ten."""
    peers = {SKOPEO: "skopeo", ORAS: "oras"}
    left_out = [name for name, command in peers.items() if not shutil.which(command)]
    scenarios = []
    for name, platforms, tags in (
        ("an image, one tag", 0, 1),
        ("an index of two platforms, one tag", 2, 1),
        ("an index of ten platforms, one tag", 10, 1),
        ("an index of two platforms, ten tags", 2, 10),
    ):
        tell(f"   {name}")
        subject = pushed(lab, platforms, tags)
        ways = {
            BARE: subject.bare(),
            PLAIN: subject.promoted(unrecorded(lab.dependencies(lab.policy())), "plain"),
            LEDGER: subject.promoted(lab.dependencies(lab.policy()), "ledger"),
            HTTP: subject.http(),
            CLI: subject.cli(),
            SKOPEO: subject.skopeo(),
            ORAS: subject.oras(),
        }
        ways = {way: call for way, call in ways.items() if way not in left_out}
        rounds = ROUNDS if tags == 1 else ROUNDS // 2  # an image takes 1,000 tags
        samples = interleaved(ways, rounds=rounds, every=SLOW, tell=tell)
        scenarios.append(Scenario(name, samples, {way: counted(lab, call) for way, call in ways.items()}))
    idle = counted(lab, pushed(lab, platforms=0, tags=1).repeated(lab.dependencies(lab.policy())))
    return Warm(scenarios, idle, left_out)


def pushed(lab: Lab, platforms: int, tags: int) -> Subject:
    """Push an image, or an index, into a repository of its own."""
    repository = f"bench/{uuid.uuid4().hex[:8]}"
    lab.client("ecr").create_repository(repositoryName=repository)
    if not platforms:
        image = pusher.push_image(lab.aws.registry, repository, "source", seed=repository)
        return Subject(lab, repository, image.digest, tags)
    names = [*PLATFORMS, "windows/amd64", "windows/arm64"][:platforms]
    index = pusher.push_index(lab.aws.registry, repository, "source", seed=repository, platforms=tuple(names))
    return Subject(lab, repository, index.digest, tags)


def counted(lab: Lab, way: Callable[[int], object]) -> Traffic:
    """Do it once more and look what the server saw of it; what Lambda itself is asked is not the way's own."""
    lab.local("calls", method="DELETE")
    way(0)
    calls = [
        call
        for call in lab.local("calls", method="GET")["calls"]
        if call["service"] in {"ecr", "dynamodb", "registry"} and call["operation"] != "GetRecords"
    ]
    return Traffic(
        requests=len(calls),
        received=sum(call["requestBytes"] for call in calls),
        sent=sum(call["responseBytes"] for call in calls),
        of_ecr=sum(call["service"] == "ecr" for call in calls),
        layers=sum(call["responseBytes"] for call in calls if call["operation"] == "GET blob"),
    )
