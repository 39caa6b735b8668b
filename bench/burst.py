"""A burst: many scans finish at once, and ECR takes ten PutImage a second."""

from __future__ import annotations

import base64
import json
import time
import uuid
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
    """How a burst drained: seconds since it began and promotions by then; how many of all were lost, and twice."""

    events: int
    quota: int
    drained: list[tuple[float, int]]
    lost: int
    twice: int
    failed: int

    @property
    def seconds(self) -> float:
        """Return when the last one was done."""
        return self.drained[-1][0]

    @property
    def ideal(self) -> float:
        """Return how long the quota alone takes."""
        return self.events / self.quota


def measure(lab: Lab, *, tell: Callable[[str], None]) -> Burst:
    """Send the events to the deployed stack, watch the tags come, and count in the ledger."""
    repository = f"burst/{uuid.uuid4().hex[:8]}"
    lab.client("ecr").create_repository(repositoryName=repository)
    with ThreadPoolExecutor(SENDERS) as pool:
        wanted = dict(pool.map(lambda number: pushed(lab, repository, number), range(EVENTS)))
        throttling = {"service": "ecr", "operation": "PutImage", "code": "ThrottlingException", "above": QUOTA}
        lab.local("faults", throttling | {"times": 1_000_000})
        try:
            began = time.monotonic()
            list(pool.map(lambda digest: finish_scan(lab, repository, digest), wanted.values()))
            drained = watched(lab, repository, began, tell)
        finally:
            lab.local("faults", method="DELETE")
    moves = heads(lab, repository)
    return Burst(
        events=EVENTS,
        quota=QUOTA,
        drained=drained,
        lost=sum(moves.get(tag, ("", 0))[0] != digest for tag, digest in wanted.items()),
        twice=sum(version > 1 for _, version in moves.values()),
        failed=waiting(lab, "PROMOTER_FAILED_EVENTS"),
    )


def pushed(lab: Lab, repository: str, number: int) -> tuple[str, str]:
    """Store an image; return the tag that it is to get, and its digest."""
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
    stored = {
        "repositoryName": repository,
        "manifestBase64": base64.b64encode(json.dumps(manifest).encode()).decode(),
        "imageManifestMediaType": OCI_MANIFEST,
        "imageTag": f"build-{number}",
    }
    return f"staging-{number}", lab.local("images", stored)["imageDigest"]


def finish_scan(lab: Lab, repository: str, digest: str) -> None:
    """Finish the scan of an image; its event goes out."""
    scan = {"repositoryName": repository, "imageDigest": digest, "scanner": "basic", "status": "COMPLETE"}
    lab.local("scans", scan | {"findings": [], "announce": True})


def watched(lab: Lab, repository: str, began: float, tell: Callable[[str], None]) -> list[tuple[float, int]]:
    """Look every second until all target tags are there, or it takes too long."""
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
    """Return by tag where the ledger has it, and how often it was moved."""
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


def waiting(lab: Lab, queue: str) -> int:
    """Return how many messages lie in a queue."""
    name = "ApproximateNumberOfMessages"
    answer = lab.client("sqs").get_queue_attributes(QueueUrl=lab.variables[queue], AttributeNames=[name])
    return int(answer["Attributes"][name])
