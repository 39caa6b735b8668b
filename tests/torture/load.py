"""Many callers and scanners at once, on few tags: what they asked for, and what they were told."""

from __future__ import annotations

import json
import random
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from local import pusher
from tests.torture.stage import Stage
from tests.torture.wire import Answer, Request, Wire

TAGS = ("prod", "v1", "v2")  # those that requests move; scans move staging and staging-N
BUILDS = 2  # images of each repository
CALLERS = 8
AGAIN = {"tag_busy", "throttled", "ledger_error", "registry_error", "interrupted", "scan_pending"}
"""The codes of docs/api.md after which a request may be sent again."""


@dataclass
class Sent:
    """A request, with all its answers; `key` is its Idempotency-Key."""

    repository: str
    request: Request
    key: str | None
    answers: list[Answer] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        """Say whether nothing final was answered yet."""
        return not self.answers or may_be_sent_again(self.answers[-1])


def may_be_sent_again(answer: Answer) -> bool:
    """Say whether an answer is none, or one that a repeat may overcome."""
    return is_lost(answer) or answer.document.get("code") in AGAIN


def is_lost(answer: Answer) -> bool:
    """Say whether the function died on it: API Gateway answers in its place, or nobody."""
    return answer.status == 0 or (answer.status >= 500 and "code" not in answer.document)


@dataclass(frozen=True)
class Place:
    """A repository, and its images by tag: build-0, build-1, ..."""

    repository: str
    builds: dict[str, str]


class Load:
    """The callers and scanners, and what became of it all."""

    def __init__(self, stage: Stage, seed: int, *, repositories: int) -> None:
        self.stage = stage
        self.seed = seed
        self.places = [prepared(stage) for _ in range(repositories)]
        self.sent: list[Sent] = []
        self.scans: list[tuple[str, str]] = []
        """Repository and digest of each scan that was announced."""
        self._lock = threading.Lock()

    def run(self, seconds: float) -> None:
        """Call and scan for so long."""
        until = time.monotonic() + seconds
        threads = [threading.Thread(target=self._caller, args=(number, until)) for number in range(CALLERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def open(self) -> list[Sent]:
        """Return the requests with a key that got no final answer; those without one cannot be asked for again."""
        return [sent for sent in self.sent if sent.key and sent.is_open]

    def _caller(self, number: int, until: float) -> None:
        chance = random.Random(f"{self.seed}-{number}")
        actions: list[Callable[[random.Random, Wire, Place], None]] = [
            *[self._promote] * 6,
            *[self._roll_back] * 1,
            *[self._scan] * 1,
            *[self._look] * 1,
        ]
        with self.stage.wire() as wire:
            while time.monotonic() < until:
                chance.choice(actions)(chance, wire, chance.choice(self.places))

    def _promote(self, chance: random.Random, wire: Wire, place: Place) -> None:
        body = {
            "repositoryName": place.repository,
            "source": {"imageDigest": chance.choice(list(place.builds.values()))},
            "imageTags": chance.sample(TAGS, chance.randint(1, len(TAGS))),
        }
        self._send(chance, wire, place, "/promotions", body)

    def _roll_back(self, chance: random.Random, wire: Wire, place: Place) -> None:
        with self._lock:
            done = [sent for sent in self.sent if sent.repository == place.repository and not sent.is_open]
        promotion_id = chance.choice(done).answers[-1].document.get("promotionId") if done else None
        if promotion_id:
            self._send(chance, wire, place, f"/promotions/{promotion_id}/rollback", None)

    def _scan(self, chance: random.Random, _: Wire, place: Place) -> None:
        digest = chance.choice(list(place.builds.values()))
        scan = {
            "repositoryName": place.repository,
            "imageDigest": digest,
            "scanner": "basic",
            "status": "COMPLETE",
        }
        with self._lock:
            self.scans.append((place.repository, digest))
        self.stage.local("scans", scan | {"findings": [], "announce": True})

    def _look(self, chance: random.Random, wire: Wire, place: Place) -> None:
        path = chance.choice(["/heads", "/promotions"])
        wire.call("GET", f"{path}?repositoryName={place.repository}")

    def _send(self, chance: random.Random, wire: Wire, place: Place, target: str, body: object) -> None:
        key = str(uuid.UUID(int=chance.getrandbits(128))) if chance.random() < 0.8 else None
        headers = {"Idempotency-Key": key} if key else {}
        sent = Sent(
            place.repository,
            Request("POST", target, json.dumps(body).encode() if body else None, headers),
            key,
        )
        with self._lock:
            self.sent.append(sent)
        for _ in range(chance.randint(1, 2) if key else 1):  # some try again at once
            sent.answers.append(wire.send(sent.request))
            if not sent.is_open:
                return


def prepared(stage: Stage) -> Place:
    """Make a repository with some images."""
    repository = f"team/kill-{uuid.uuid4().hex[:8]}"
    stage.aws.client("ecr").create_repository(repositoryName=repository)
    builds = {
        tag: pusher.push_image(stage.aws.registry, repository, tag, seed=f"{repository} {tag}").digest
        for tag in (f"build-{number}" for number in range(BUILDS))
    }
    return Place(repository, builds)
