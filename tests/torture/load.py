"""Concurrent callers and scanners on few tags; their requests and all answers are kept."""

from __future__ import annotations

import json
import random
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from local import pusher
from tests.torture.client import Answer, ApiClient, Request
from tests.torture.deployment import Deployment

TAGS = ("prod", "v1", "v2")  # requests move these; scans move staging and staging-N
BUILDS = 2  # images of each repository
CALLERS = 8
RETRYABLE = {"tag_busy", "throttled", "ledger_error", "registry_error", "interrupted", "scan_pending"}
"""The codes of docs/reference/api.md after which a caller retries."""


@dataclass
class Sent:
    """A request and all its answers. `key` is its Idempotency-Key."""

    repository: str
    request: Request
    key: str | None
    answers: list[Answer] = field(default_factory=list)

    @property
    def is_pending(self) -> bool:
        """Whether there is no final answer yet."""
        return not self.answers or is_retryable(self.answers[-1])


def is_retryable(answer: Answer) -> bool:
    """Return whether a caller retries after this answer."""
    return is_crash(answer) or answer.document.get("code") in RETRYABLE


def is_crash(answer: Answer) -> bool:
    """Return whether the function did not answer: API Gateway did, or the connection broke."""
    return answer.status == 0 or (answer.status >= 500 and "code" not in answer.document)


@dataclass(frozen=True)
class Builds:
    """A repository and the digests of its images, by tag: build-0, build-1, ..."""

    repository: str
    digests: dict[str, str]


class Load:
    """Runs callers and scanners; keeps what they sent and what was answered."""

    def __init__(self, deployment: Deployment, seed: int, *, repositories: int) -> None:
        self.deployment = deployment
        self.seed = seed
        self.repositories = [prepared(deployment) for _ in range(repositories)]
        self.sent: list[Sent] = []
        self.scans: list[tuple[str, str]] = []
        """Repository and digest of each scan event."""
        self._lock = threading.Lock()

    def run(self, seconds: float) -> None:
        """Run callers and scanners for so long."""
        until = time.monotonic() + seconds
        threads = [threading.Thread(target=self._caller, args=(number, until)) for number in range(CALLERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def pending(self) -> list[Sent]:
        """Return the requests without a final answer that can be sent again, because they have a key."""
        return [sent for sent in self.sent if sent.key and sent.is_pending]

    def _caller(self, number: int, until: float) -> None:
        rng = random.Random(f"{self.seed}-{number}")
        actions: list[Callable[[random.Random, ApiClient, Builds], None]] = [
            *[self._promote] * 6,
            *[self._roll_back] * 1,
            *[self._scan] * 1,
            *[self._read] * 1,
        ]
        with self.deployment.client() as client:
            while time.monotonic() < until:
                rng.choice(actions)(rng, client, rng.choice(self.repositories))

    def _promote(self, rng: random.Random, client: ApiClient, builds: Builds) -> None:
        body = {
            "repositoryName": builds.repository,
            "source": {"imageDigest": rng.choice(list(builds.digests.values()))},
            "imageTags": rng.sample(TAGS, rng.randint(1, len(TAGS))),
        }
        self._send(rng, client, builds, "/promotions", body)

    def _roll_back(self, rng: random.Random, client: ApiClient, builds: Builds) -> None:
        with self._lock:
            done = [sent for sent in self.sent if sent.repository == builds.repository and not sent.is_pending]
        promotion_id = rng.choice(done).answers[-1].document.get("promotionId") if done else None
        if promotion_id:
            self._send(rng, client, builds, f"/promotions/{promotion_id}/rollback", None)

    def _scan(self, rng: random.Random, _: ApiClient, builds: Builds) -> None:
        digest = rng.choice(list(builds.digests.values()))
        scan = {
            "repositoryName": builds.repository,
            "imageDigest": digest,
            "scanner": "basic",
            "status": "COMPLETE",
        }
        with self._lock:
            self.scans.append((builds.repository, digest))
        self.deployment.aws.control("POST", "scans", scan | {"findings": [], "announce": True})

    def _read(self, rng: random.Random, client: ApiClient, builds: Builds) -> None:
        path = rng.choice(["/heads", "/promotions"])
        client.call("GET", f"{path}?repositoryName={builds.repository}")

    def _send(self, rng: random.Random, client: ApiClient, builds: Builds, target: str, body: object) -> None:
        key = str(uuid.UUID(int=rng.getrandbits(128))) if rng.random() < 0.8 else None
        headers = {"Idempotency-Key": key} if key else {}
        sent = Sent(
            builds.repository,
            Request("POST", target, json.dumps(body).encode() if body else None, headers),
            key,
        )
        with self._lock:
            self.sent.append(sent)
        for _ in range(rng.randint(1, 2) if key else 1):  # some callers retry at once
            sent.answers.append(client.send(sent.request))
            if not sent.is_pending:
                return


def prepared(deployment: Deployment) -> Builds:
    """Create a repository with some images."""
    repository = f"team/kill-{uuid.uuid4().hex[:8]}"
    deployment.aws.client("ecr").create_repository(repositoryName=repository)
    digests = {
        tag: pusher.push_image(deployment.aws.registry, repository, tag, seed=f"{repository} {tag}").digest
        for tag in (f"build-{number}" for number in range(BUILDS))
    }
    return Builds(repository, digests)
