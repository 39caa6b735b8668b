"""What a run of the part `waiting` does, step by step: made from its seed, before anything runs."""

from __future__ import annotations

import random
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from local import pusher
from tests.torture.client import Answer
from tests.torture.deployment import Deployment

READY, FOREIGN = 0, 5
"""Builds of a repository: one whose scan has ended before, and one that others push to target tags, and
that nobody promotes. All others wait."""
BUILDS = 6
REQUESTS = 20  # of a repository
GATED, OPEN = 12, 4  # tags of a repository
PUSHERS = 6
SOAK = 45.0  # seconds, as tests/e2e/policy.yaml has it
BEFORE_LIFT = 0.6
"""The repositories whose names have `ice` are frozen from the start on. The requests come before this place of the
script; the freeze is lifted after it."""


@dataclass
class Build:
    """An image. `is_heard`: its scans are announced; otherwise only `reconcile` finds them."""

    repository: str
    number: int
    image: pusher.PushedImage
    is_clean: bool
    is_heard: bool
    is_built: bool
    """Whether it has a tag that a rule for scans promotes."""
    scanned: dict[str, float] = field(default_factory=dict)
    """For each platform whose scan has ended, the last moment at which it certainly had not."""

    @property
    def digest(self) -> str:
        """The digest of the image or index."""
        return self.image.digest

    @property
    def platforms(self) -> tuple[str, ...]:
        """The digests that are scanned."""
        return tuple(child.digest for child in self.image.children.values()) or (self.digest,)

    @property
    def passed_at(self) -> float | None:
        """The last moment at which not all scans had ended; None: they have not ended yet, or found something."""
        ended = [self.scanned.get(platform) for platform in self.platforms]
        return max(filter(None, ended)) if self.is_clean and all(ended) else None


@dataclass
class Asked:
    """A request and all its answers. `seconds`: how long it may wait; None: not at all."""

    build: Build
    body: dict[str, Any]
    key: str | None
    seconds: float | None
    is_cancelled: bool = False
    cancelled_at: float | None = None
    """When the cancelling was confirmed."""
    sent: list[float] = field(default_factory=list)
    answers: list[tuple[float, Answer]] = field(default_factory=list)

    @property
    def repository(self) -> str:
        """The repository of source and target."""
        return self.build.repository

    @property
    def image_tags(self) -> list[str]:
        """The target tags."""
        tags: list[str] = self.body["imageTags"]
        return tags

    @property
    def accepted(self) -> tuple[float, dict[str, Any]] | None:
        """When it was first said that the request waits, and how."""
        return next(((at, answer.document) for at, answer in self.answers if answer.status == 202), None)


class Step(NamedTuple):
    """Something to do; `place`, from 0 to 1, says how late. Members that do not apply are None."""

    place: float
    kind: str
    asked: Asked | None = None
    build: Build | None = None
    what: str = ""


@dataclass
class Script:
    """The repositories' builds, what is asked for, and all steps in their order."""

    prefix: str
    builds: list[Build] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    def of(self, repository: str, digest: str) -> Build:
        """Return a build by its digest."""
        return next(each for each in self.builds if (each.repository, each.digest) == (repository, digest))


def written(deployment: Deployment, prefix: str, seed: int, requests: int, *, soaks: bool) -> Script:
    """Push all builds and write the script. All but the names of the repositories is of the seed."""
    rng, script = random.Random(f"{seed}-waiting"), Script(prefix)
    count = max(2, -(-requests // REQUESTS))
    names = [f"{script.prefix}-{'ice-' if number % 4 == 1 else ''}{number}" for number in range(count)]
    with ThreadPoolExecutor(PUSHERS) as threads:
        seeds = [rng.getrandbits(64) for _ in names]
        for builds in threads.map(partial(_pushed, deployment), names, seeds):
            script.builds += builds
            _write(script, rng, builds, -(-requests // count), soaks=soaks)
    script.steps.append(Step(BEFORE_LIFT, "thaw"))
    script.steps.sort(key=lambda step: step.place)
    return script


def _pushed(deployment: Deployment, repository: str, seed: int) -> list[Build]:
    rng, registry = random.Random(seed), deployment.aws.registry
    deployment.aws.client("ecr").create_repository(repositoryName=repository)
    builds = []
    for number in range(BUILDS):
        is_waiting = number not in (READY, FOREIGN)
        is_built = is_waiting and rng.random() < 0.4
        tag, content = f"build-{number}" if is_built else f"candidate-{number}", f"{seed} {number}"
        push = pusher.push_index if is_waiting and rng.random() < 0.3 else pusher.push_image
        image = push(registry, repository, tag, seed=content)
        is_clean, is_heard = rng.random() < 0.75 or not is_waiting, rng.random() < 0.85 or not is_waiting
        builds.append(Build(repository, number, image, is_clean, is_heard, is_built))
    return builds


def _write(script: Script, rng: random.Random, builds: list[Build], requests: int, *, soaks: bool) -> None:
    """Write the steps of a repository."""
    waiting = [build for build in builds if build.number not in (READY, FOREIGN)]
    for build in waiting:
        script.steps += [Step(rng.uniform(0.2, 1), "scan", build=build, what=each) for each in build.platforms]
    script.steps += [Step(0, "scan", build=builds[READY], what=each) for each in builds[READY].platforms]
    for _ in range(requests):
        _write_request(script, rng, rng.choice(waiting), soaks=soaks)
    for _ in range(2):
        tags = [_tag(rng, "gated", GATED)]
        immediate = Asked(builds[READY], _body(rng, builds[READY], tags), None, None)
        script.asked.append(immediate)
        script.steps.append(Step(rng.uniform(0.2, 0.9), "ask", immediate))
    for _ in range(2):
        tag = _tag(rng, *rng.choice([("gated", GATED), ("open", OPEN)]))
        script.steps.append(Step(rng.uniform(0.2, 0.9), "push", build=builds[FOREIGN], what=tag))
    moved = rng.choice([build for build in waiting if not build.is_built] or [builds[READY]])
    script.steps.append(Step(rng.uniform(0.3, 0.9), "push", build=builds[READY], what=f"candidate-{moved.number}"))


def _write_request(script: Script, rng: random.Random, build: Build, *, soaks: bool) -> None:
    is_frozen = "-ice-" in build.repository
    kind = "open" if rng.random() < (0.6 if is_frozen else 0.1) else "gated"
    if soaks and rng.random() < 0.1:
        kind = "soaked"
    tags = [_tag(rng, kind, OPEN if kind == "open" else GATED)]
    if rng.random() < 0.1:
        tags = list(dict.fromkeys([*tags, _tag(rng, kind, OPEN if kind == "open" else GATED)]))
    seconds = rng.choice([86_400.0, 86_400.0, 86_400.0, 3_600.0, float(rng.randint(10, 30))])
    body = _body(rng, build, tags) | {"wait": True if seconds == 86_400 else {"seconds": int(seconds)}}
    if rng.random() < 0.15:
        body["expectedDigests"] = dict.fromkeys(tags)
    key = str(uuid.UUID(int=rng.getrandbits(128))) if rng.random() < 0.5 else None
    asked = Asked(build, body, key, seconds, is_cancelled=rng.random() < 0.1)
    script.asked.append(asked)
    place = rng.uniform(0, 0.2 if kind == "soaked" else BEFORE_LIFT - 0.05 if is_frozen else 0.85)
    script.steps.append(Step(place, "ask", asked))
    if asked.is_cancelled:
        script.steps.append(Step(rng.uniform(place, 1), "cancel", asked))
    elif key and seconds > 60 and rng.random() < 0.4:
        script.steps.append(Step(rng.uniform(place, 1), "repeat", asked))


def _tag(rng: random.Random, kind: str, count: int) -> str:
    return f"{kind}-{rng.randrange(count)}"


def _body(rng: random.Random, build: Build, tags: list[str]) -> dict[str, Any]:
    by_tag = rng.random() < 0.4
    tag = f"{'build' if build.is_built else 'candidate'}-{build.number}"
    source = {"imageTag": tag} if by_tag else {"imageDigest": build.digest}
    return {"repositoryName": build.repository, "source": source, "imageTags": tags}
