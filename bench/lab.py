"""The setting of the measurements: a fresh local AWS, what they put into it, and how they take times."""

from __future__ import annotations

import base64
import json
import statistics
import time
import urllib.request
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import promoter.handler  # noqa: F401 - sets the garbage collector as in the function
from infra.policy.model import RuleModel
from local.aws import LocalAws
from promoter.aws.dynamodb.freezes import DynamoFreezes
from promoter.aws.dynamodb.heads import DynamoHeads
from promoter.aws.dynamodb.history import DynamoHistory
from promoter.aws.dynamodb.ledger import DynamoLedger
from promoter.aws.dynamodb.table import Table
from promoter.aws.dynamodb.waiting import DynamoWaitingPromotions
from promoter.aws.dynamodb.wake_ups import DynamoWakeUps
from promoter.aws.ecr.image_facts import EcrImageFacts
from promoter.aws.ecr.registry import EcrRegistry
from promoter.domain.answers import NotPromoted, Waiting
from promoter.domain.manifest import OCI_MANIFEST
from promoter.domain.model import ImageId, Promoted, Promotion, Repository, Source, Trigger
from promoter.domain.policy import Policy, load
from promoter.promotion.dependencies import Dependencies
from promoter.promotion.promote import promote
from promoter.wiring import CLIENT

BARE, LEDGER = "boto3, the same calls", "promote, ledger"
"""The ways that every table of warm promotions compares."""


@dataclass(frozen=True)
class Lab:
    """A local AWS to which the real CDK has deployed the stack; measurements may write files to `directory`."""

    aws: LocalAws
    variables: Mapping[str, str]
    directory: Path

    def client(self, service: str) -> Any:
        """Return a boto3 client with the function's own settings, signing as the administrator."""
        return self.aws.client(service, config=CLIENT)

    def policy(self, *rules: Mapping[str, Any]) -> Policy:
        """Return a policy of rules as promotions.yaml has them; one without keys lets callers put any tag."""
        default = {"name": "bench", "on": "request", "repositories": ["bench/*"], "to_matching": [".*"]}
        compiled = [RuleModel.model_validate(default | dict(rule)).compiled() for rule in rules or [{}]]
        return load({"rules": compiled, "freeze": []}, registry_id=self.aws.account_id)

    def table(self) -> Table:
        """Return the stack's table, as the function has it."""
        return Table(self.client("dynamodb"), self.variables["PROMOTER_TABLE"], self.aws.region)

    def dependencies(self, policy: Policy) -> Dependencies:
        """Return the function's own dependencies on this AWS, with its real ledger."""
        ecr, table = self.client("ecr"), self.table()
        return Dependencies(
            policy=policy,
            registry=EcrRegistry(ecr),
            image_facts=EcrImageFacts(ecr),
            ledger=DynamoLedger(table, lease_duration=timedelta(seconds=30), history=timedelta(days=1)),
            heads=DynamoHeads(table),
            history=DynamoHistory(table),
            freezes=DynamoFreezes(table),
            waiting=DynamoWaitingPromotions(table),
            wake_ups=DynamoWakeUps(table),
            patience=timedelta(seconds=10),
        )

    def promotion(self, repository: str, source_tag: str, image_tags: Sequence[str]) -> Promotion:
        """Return a new request for tags on the image that has the source tag."""
        return Promotion(
            promotion_id=uuid.uuid4().hex,
            trigger=Trigger.REQUEST,
            repository=Repository(self.aws.account_id, repository),
            source=Source(ImageId(source_tag)),
            image_tags=tuple(image_tags),
        )

    def create_repository(self, folder: str) -> str:
        """Create a repository with a new name in the folder; return its name."""
        name = f"{folder}/{uuid.uuid4().hex[:8]}"
        self.client("ecr").create_repository(repositoryName=name)
        return name

    def store_image(self, repository: str, manifest: bytes, image_tags: Sequence[str]) -> str:
        """Put tags on a manifest, without events and without its layers; return its digest."""
        stored = {
            "repositoryName": repository,
            "manifestBase64": base64.b64encode(manifest).decode(),
            "imageManifestMediaType": OCI_MANIFEST,
            "imageTags": list(image_tags),
        }
        return str(self.local("images", stored)["imageDigest"])

    def finish_scan(self, repository: str, image_digest: str, *, announce: bool = False) -> None:
        """Finish a basic scan of an image without findings; `announce` sends its event."""
        image = {"repositoryName": repository, "imageDigest": image_digest}
        scan = {"scanner": "basic", "status": "COMPLETE", "findings": [], "announce": announce}
        self.local("scans", image | scan)

    def local(self, path: str, body: Any = None, *, method: str = "POST") -> Any:
        """Drive the local AWS: `scans`, `faults`, `calls`, `images`."""
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(
            f"{self.aws.endpoint_url}/_local/{path}", data, {"content-type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            text = response.read()
        return json.loads(text) if text else None


@dataclass
class Samples:
    """The times that one way took, in milliseconds."""

    name: str
    milliseconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The median time."""
        return statistics.median(self.milliseconds)

    @property
    def spread(self) -> tuple[float, float]:
        """The first and the third quartile of the times."""
        low, _, high = statistics.quantiles(self.milliseconds, n=4)
        return low, high

    def divided_by(self, number: int) -> Samples:
        """Return the times of one of a number of things that were timed together."""
        return Samples(self.name, [taken / number for taken in self.milliseconds])


def interleaved(
    ways: Mapping[str, Callable[[int], object]],
    *,
    rounds: int,
    every: Mapping[str, int] | None = None,
    warm_up: int = 2,
    tell: Callable[[str], None] = print,
) -> dict[str, Samples]:
    """Time each way once a round, so that a noisy machine slows all of them alike.

    A way is called with the number of the round. `every` names slow ways: with 4, a way takes part in every
    fourth round only.
    """
    samples = {name: Samples(name) for name in ways}
    last_report = time.monotonic()
    for number in range(-warm_up, rounds):
        for name, way in ways.items():
            if number % (every or {}).get(name, 1):
                continue
            start = time.perf_counter()
            way(number)
            if number >= 0:
                samples[name].milliseconds.append((time.perf_counter() - start) * 1000)
        if time.monotonic() - last_report > 2:
            last_report = time.monotonic()
            tell(f"   round {max(number + 1, 0)} of {rounds}")
    return samples


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(f"{cell}" for cell in line) + " |" for line in lines)


def carry_out(promotion: Promotion, dependencies: Dependencies) -> Promoted:
    """Carry out a promotion. Raises the error of one that was refused or failed: that is not what is measured."""
    match promote(promotion, dependencies):
        case NotPromoted(error):
            raise error
        case Waiting(record):
            raise ValueError(f"it waits for {record.waiting_for}")
        case promoted:
            return promoted
