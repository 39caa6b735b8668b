"""The API fuzz: hostile requests against every route. Whatever is sent, the answer is never 5xx."""

from __future__ import annotations

import base64
import random
import re
import threading
import time
import uuid
from itertools import count
from typing import Any

from local import pusher
from tests.torture.figures import Figures
from tests.torture.hostile import Hostile, Known
from tests.torture.stage import Stage
from tests.torture.wire import Answer, Request, Wire

PART = "fuzz"
CONNECTIONS = 6
WEIGHTS = {"POST /promotions": 12, "GET /freeze": 1, "DELETE /freeze": 2, "POST /reconcile": 1}
"""How often a route is tried, where that is not 4: most goes on in a promotion, and reconcile takes long."""
MOST = 50  # violations of different kinds, after which the rest of the time is not worth it


def explore(stage: Stage, seed: int, seconds: float, *, requests: int | None = None) -> Figures:
    """Send hostile requests for so long, or so many of them; the same ones for the same seed."""
    figures, lock = Figures(PART, seed), threading.Lock()
    known = prepared(stage)
    until = time.monotonic() + seconds

    def hammer(number: int) -> None:
        hostile = Hostile(random.Random(f"{seed}-{number}"), known)
        shares = count() if requests is None else range(number, requests, CONNECTIONS)
        with stage.wire() as wire:
            for _ in shares:
                if time.monotonic() > until or len(figures.violations) >= MOST:
                    break
                request = hostile.request()
                answer = wire.send(request)
                with lock:
                    judge(figures, request, answer)

    threads = [threading.Thread(target=hammer, args=(number,)) for number in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lift(stage, known.repository)
    return figures


def judge(figures: Figures, request: Request, answer: Answer) -> None:
    """Count a request, and note an answer that must not be."""
    figures.counts["requests fuzzed"] += 1
    figures.counts[f"answers {answer.status // 100}xx" if answer.status else "no answer"] += 1
    # A gateway that takes too long for a healthy function shows as a broken connection: also a violation.
    if answer.status >= 500 or answer.status == 0:
        detail = str(answer.document.get("detail", answer.text.decode(errors="replace")))[:200]
        shape = re.sub(r"(?<=/promotions/)[^/]+", "…", request.target.partition("?")[0])
        figures.broken(
            f"{answer.status} to {request.method} {request.target[:200]}: {detail}",
            kind=f"{answer.status} {request.method} {shape} {detail[:60]}",
            request=written(request),
        )


def prepared(stage: Stage) -> Known:
    """Make a repository with images and promotions for the requests to be about."""
    repository = f"team/fuzz-{uuid.uuid4().hex[:8]}"
    stage.aws.client("ecr").create_repository(repositoryName=repository)
    digests = [
        pusher.push_image(stage.aws.registry, repository, tag, seed=f"{repository} {tag}").digest
        for tag in ("candidate", "other")
    ]
    with stage.wire() as wire:
        promotions = [promoted(wire, repository, digest) for digest in digests]
    return Known(routes(stage), repository, digests, promotions)


def promoted(wire: Wire, repository: str, digest: str) -> str:
    """Promote an image; return the promotionId."""
    body = {"repositoryName": repository, "source": {"imageDigest": digest}, "imageTag": "prod"}
    answer = wire.call("POST", "/promotions", body)
    assert answer.status == 200, answer
    return str(answer.document["promotionId"])


def routes(stage: Stage) -> list[str]:
    """Return the route keys that are deployed, each as often as it is to be tried: whatever infra/api.py has."""
    gateway = stage.aws.client("apigatewayv2")
    api_id = stage.variables["PROMOTER_API_URL"].rpartition("/")[2]
    keys = sorted(route["RouteKey"] for route in gateway.get_routes(ApiId=api_id)["Items"])
    return [key for key in keys for _ in range(WEIGHTS.get(key, 4))]


def lift(stage: Stage, repository: str) -> None:
    """Lift the freezes that were set by the way."""
    with stage.wire() as wire:
        for freeze in wire.call("GET", "/freeze").document.get("freezes", []):
            if str(freeze.get("repositories", "")).startswith(repository):
                scope = "&".join(f"{name}={freeze[name]}" for name in ("repositories", "rule") if freeze.get(name))
                wire.call("DELETE", f"/freeze?{scope}")


def written(request: Request) -> dict[str, Any]:
    """Return a request as found.json holds it."""
    body = base64.b64encode(request.body).decode() if request.body is not None else None
    return {
        "method": request.method,
        "target": request.target,
        "headers": dict(request.headers),
        "bodyBase64": body,
    }


def read(document: dict[str, Any]) -> Request:
    """Return a request that `written` made a document of."""
    body = document.get("bodyBase64")
    return Request(
        document["method"],
        document["target"],
        base64.b64decode(body) if body is not None else None,
        document.get("headers", {}),
    )


def replay(stage: Stage, document: dict[str, Any]) -> Figures:
    """Send a request that was answered with 5xx once."""
    figures = Figures(PART, 0)
    with stage.wire() as wire:
        request = read(document)
        judge(figures, request, wire.send(request))
    return figures
