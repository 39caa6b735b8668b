"""Carries out a script, while freezes come and go and functions are killed; then waits until nothing waits."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from promoter.aws.dynamodb import keys
from tests.torture import processes
from tests.torture.client import ApiClient, Request
from tests.torture.deployment import Deployment
from tests.torture.load import is_crash
from tests.torture.waiting_script import Asked, Build, Script, Step

CALLERS = 6
TRIES = 4
STARTED = 5.0  # seconds until a new process serves requests, also on a machine that is busy
RESTARTS = 45.0  # seconds between two restarts of all functions
RULES = ("waiting-gated", "waiting-scan", "waiting-open", None)


@dataclass
class Load:
    """A run of a script. All times are seconds since 1970."""

    deployment: Deployment
    script: Script
    counts: Counter[str]
    thawed_at: float | None = None
    """When the freeze of the repositories with `ice` was about to be lifted."""
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def ice(self) -> str:
        """The repositories that are frozen from the start on."""
        return f"{self.script.prefix}-ice-*"

    def run(self) -> None:
        """Carry out all steps, as fast as they go."""
        steps = deque(self.script.steps)
        callers = [threading.Thread(target=self._caller, args=(steps,)) for _ in range(CALLERS)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        self.over.set()

    def freeze(self, client: ApiClient, repositories: str, rule: str | None) -> None:
        """Set a freeze, if the function lives long enough."""
        names = {"reason": "torture", "repositories": repositories} | ({"rule": rule} if rule else {})
        for _ in range(TRIES):
            if client.call("PUT", "/freeze", names).status == 200:
                return

    def lift(self, client: ApiClient, repositories: str, rule: str | None) -> None:
        """Lift a freeze for certain."""
        target = f"/freeze?{urlencode({'repositories': repositories} | ({'rule': rule} if rule else {}))}"
        while is_crash(answer := client.call("DELETE", target)):
            time.sleep(0.1)
        assert answer.status in (200, 404), answer

    def freeze_repeatedly(self, seed: int) -> None:
        """Freeze and lift, again and again, until the load is over."""
        rng = random.Random(f"{seed}-freezes")
        with self.deployment.client() as client:
            while not self.over.wait(rng.uniform(2, 8)):
                rule = rng.choice(RULES)
                self.freeze(client, f"{self.script.prefix}-*", rule)
                self.over.wait(rng.uniform(0, 4))
                self.lift(client, f"{self.script.prefix}-*", rule)
                self.counts["freezes"] += 1

    def restart_repeatedly(self) -> None:
        """Kill all functions at once, again and again, until the load is over.

        Those that are just starting are left: if one is killed then, ministack may delete the code of its
        successor, which imports the code of the project's folder instead and finds no policy there.
        """
        server = self.deployment.aws.control("GET", "ready")["pid"]
        while not self.over.wait(RESTARTS):
            for process, age in processes.children(server).items():
                if age >= STARTED:
                    processes.kill(process, server)
            self.counts["restarts of all functions"] += 1

    def waiting(self, client: ApiClient) -> list[dict[str, Any]]:
        """Return the promotions of the script that wait."""
        found = self.deployment.listed(client, "/promotions", "promotions", outcome="WAITING")
        return [each for each in found if each["repositoryName"].startswith(self.script.prefix)]

    def make_due(self, waiting: list[dict[str, Any]]) -> None:
        """Let `reconcile` try promotions at once that it would try in ten minutes, as if these had passed."""
        dynamodb = self.deployment.aws.client("dynamodb")
        for each in waiting:
            promotion_id = each["promotionId"]
            with suppress(dynamodb.exceptions.ConditionalCheckFailedException):
                dynamodb.update_item(
                    TableName=self.deployment.variables["PROMOTER_TABLE"],
                    Key=keys.promotion(promotion_id),
                    UpdateExpression="SET listedAt = :due",
                    ConditionExpression="outcome = :waiting",
                    ExpressionAttributeValues={
                        ":due": {"S": f"2000-01-01T00:00:00.000000Z#{promotion_id}"},
                        ":waiting": {"S": "WAITING"},
                    },
                )

    def ask(self, client: ApiClient, asked: Asked) -> None:
        """Send a request; with a key again if the function died."""
        headers = {"Idempotency_Key": asked.key} if asked.key else {}
        for _ in range(TRIES if asked.key else 1):
            asked.sent.append(time.time())
            answer = client.call("POST", "/promotions", asked.body, **headers)
            asked.answers.append((time.time(), answer))
            self.counts["crashes seen by callers"] += is_crash(answer)
            if not is_crash(answer):
                return

    def _caller(self, steps: deque[Step]) -> None:
        with self.deployment.client() as client:
            while True:
                try:
                    step = steps.popleft()
                except IndexError:
                    return
                self._do(client, step)

    def _do(self, client: ApiClient, step: Step) -> None:
        match step:
            case Step(kind="ask" | "repeat", asked=Asked() as asked):
                self.counts["repeats"] += step.kind == "repeat"
                self.ask(client, asked)
            case Step(kind="cancel", asked=Asked() as asked):
                self._cancel(client, asked)
            case Step(kind="scan", build=Build() as build, what=platform):
                self._scan(build, platform)
            case Step(kind="push", build=Build() as build, what=image_tag):
                self._push(build, image_tag)
            case Step(kind="thaw"):
                self.thawed_at = time.time()
                self.lift(client, self.ice, None)

    def _cancel(self, client: ApiClient, asked: Asked) -> None:
        if accepted := asked.accepted:
            answer = client.send(Request("DELETE", f"/promotions/{accepted[1]['promotionId']}"))
            if answer.status == 200:
                asked.cancelled_at = time.time()
            self.counts["cancelled"] += answer.status == 200

    def _scan(self, build: Build, platform: str) -> None:
        finding = {"id": "CVE-2026-9", "severity": "CRITICAL"}
        scan = {
            "repositoryName": build.repository,
            "imageDigest": platform,
            "status": "COMPLETE",
            "findings": [] if build.is_clean else [finding],
            "announce": build.is_heard,
        }
        build.scanned[platform] = time.time()
        self.deployment.aws.control("POST", "scans", scan)
        self.counts["scans" if build.is_heard else "scans whose events were lost"] += 1

    def _push(self, build: Build, image_tag: str) -> None:
        """Put a tag beside the service."""
        ecr = self.deployment.aws.client("ecr")
        with suppress(ecr.exceptions.ImageAlreadyExistsException):
            ecr.put_image(
                repositoryName=build.repository,
                imageManifest=build.image.manifest.decode(),
                imageManifestMediaType=build.image.media_type,
                imageTag=image_tag,
            )
            self.counts["pushes beside the service"] += 1


def records(deployment: Deployment, client: ApiClient, repository: str) -> list[Mapping[str, Any]]:
    """Return the records of a repository's promotions that ended, each as GET /promotions/{id} shows it."""
    ids = dict.fromkeys(
        each["promotionId"]
        for each in deployment.listed(client, "/promotions", "promotions", repositoryName=repository)
    )
    return [_record(client, promotion_id) for promotion_id in ids]


def _record(client: ApiClient, promotion_id: str) -> Mapping[str, Any]:
    for _ in range(TRIES):
        answer = client.call("GET", f"/promotions/{promotion_id}")
        if not is_crash(answer):
            break
    return answer.document
