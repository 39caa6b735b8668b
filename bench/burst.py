"""A burst: many scans finish at once, and Amazon ECR serves ten PutImage calls a second."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bench.lab import Lab
from promoter.aws.dynamodb import keys
from promoter.domain.limits import PUT_IMAGE_A_SECOND
from promoter.domain.manifest import OCI_MANIFEST
from promoter.domain.model import Repository

EVENTS, QUOTA = 1_000, PUT_IMAGE_A_SECOND
DRAINED_WITHIN = 300  # seconds
SENDERS = 8


@dataclass(frozen=True)
class Burst:
    """How the queue drained after a burst.

    `drained` has the promotions that were done at each second since the beginning. `lost` counts tags that did not
    move, `twice` tags that moved more than once, `failed` dead letters.
    """

    events: int
    quota: int
    drained: list[tuple[float, int]]
    lost: int
    twice: int
    failed: int

    @property
    def seconds(self) -> float:
        """How long all promotions took."""
        return self.drained[-1][0]

    @property
    def ideal(self) -> float:
        """How long the quota alone makes them take."""
        return self.events / self.quota


def measure(lab: Lab, *, tell: Callable[[str], None]) -> Burst:
    """Finish the scans, count the target tags every second, and compare the ledger in the end."""
    repository = lab.create_repository("burst")
    with ThreadPoolExecutor(SENDERS) as pool:
        wanted = dict(pool.map(lambda number: stored_image(lab, repository, number), range(EVENTS)))
        throttling = {"service": "ecr", "operation": "PutImage", "code": "ThrottlingException", "above": QUOTA}
        lab.local("faults", throttling | {"times": 1_000_000})
        try:
            began = time.monotonic()
            list(pool.map(lambda digest: lab.finish_scan(repository, digest, announce=True), wanted.values()))
            drained = watch_tags(lab, repository, began, tell)
        finally:
            lab.local("faults", method="DELETE")
    moves = heads(lab, repository)
    return Burst(
        events=EVENTS,
        quota=QUOTA,
        drained=drained,
        lost=sum(moves.get(tag, ("", 0))[0] != digest for tag, digest in wanted.items()),
        twice=sum(version > 1 for _, version in moves.values()),
        failed=messages(lab, "PROMOTER_FAILED_EVENTS"),
    )


def stored_image(lab: Lab, repository: str, number: int) -> tuple[str, str]:
    """Store an image; return its future target tag, and its digest."""
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": f"sha256:{number:064x}",
            "size": 2,
        },
        "layers": [],
    }
    digest = lab.store_image(repository, json.dumps(manifest).encode(), [f"build-{number}"])
    return f"staging-{number}", digest


def watch_tags(lab: Lab, repository: str, began: float, tell: Callable[[str], None]) -> list[tuple[float, int]]:
    """Count the target tags every second until all of them exist, or for DRAINED_WITHIN."""
    pages = lab.client("ecr").get_paginator("list_images")
    drained = [(0.0, 0)]
    while drained[-1][1] < EVENTS and time.monotonic() - began < DRAINED_WITHIN:
        time.sleep(1)
        tags = [
            image.get("imageTag", "")
            for page in pages.paginate(repositoryName=repository)
            for image in page["imageIds"]
        ]
        done = sum(tag.startswith("staging-") for tag in tags)
        drained.append((time.monotonic() - began, done))
        if len(drained) % 10 == 0:
            tell(f"   {done} of {EVENTS}")
    return drained


def heads(lab: Lab, repository: str) -> Mapping[str, tuple[str, int]]:
    """Return, by tag, its digest in the ledger and how often it was moved."""
    place = Repository(lab.aws.account_id, repository)
    pages = (
        lab.client("dynamodb")
        .get_paginator("query")
        .paginate(
            TableName=lab.variables["PROMOTER_TABLE"],
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": keys.heads(lab.aws.region, place)}},
            ConsistentRead=True,
        )
    )
    return {
        item["sk"]["S"]: (item["digest"]["S"], int(item["version"]["N"]))
        for page in pages
        for item in page["Items"]
        if "digest" in item
    }


def messages(lab: Lab, queue: str) -> int:
    """Return the number of messages in a queue."""
    name = "ApproximateNumberOfMessages"
    answer = lab.client("sqs").get_queue_attributes(QueueUrl=lab.variables[queue], AttributeNames=[name])
    return int(answer["Attributes"][name])
