"""The fuzz test: hostile requests to every route. No answer is a 5xx."""

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
from tests.torture.client import Answer, ApiClient, Request
from tests.torture.deployment import Deployment
from tests.torture.hostile import HostileRequests, Known
from tests.torture.results import Results

PART = "fuzz"
CONNECTIONS = 6
WEIGHTS = {"POST /promotions": 12, "GET /freeze": 1, "DELETE /freeze": 2, "POST /reconcile": 1}
"""How often a route is chosen, 4 if it is not named: promotions do the most, and reconcile is slow."""
MOST_VIOLATIONS = 50  # of different kinds; then the test stops


def explore(deployment: Deployment, seed: int, seconds: float, *, requests: int | None = None) -> Results:
    """Send hostile requests for so long, or at most so many. The same seed sends the same requests."""
    results, lock = Results(PART, seed), threading.Lock()
    known = prepared(deployment)
    until = time.monotonic() + seconds

    def hammer(number: int) -> None:
        hostile = HostileRequests(random.Random(f"{seed}-{number}"), known)
        shares = count() if requests is None else range(number, requests, CONNECTIONS)
        with deployment.client() as client:
            for _ in shares:
                if time.monotonic() > until or len(results.violations) >= MOST_VIOLATIONS:
                    break
                request = hostile.request()
                answer = client.send(request)
                with lock:
                    judge(results, request, answer)

    threads = [threading.Thread(target=hammer, args=(number,)) for number in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lift_freezes(deployment, known.repository)
    return results


def judge(results: Results, request: Request, answer: Answer) -> None:
    """Count a request, and add a violation if its answer breaks the promise."""
    results.counts["requests fuzzed"] += 1
    results.counts[f"answers {answer.status // 100}xx" if answer.status else "no answer"] += 1
    # No answer within the client's time-out shows as a broken connection, which is a violation too.
    if answer.status >= 500 or answer.status == 0:
        detail = str(answer.document.get("detail", answer.text.decode(errors="replace")))[:200]
        shape = re.sub(r"(?<=/promotions/)[^/]+", "…", request.target.partition("?")[0])
        results.add_violation(
            f"{answer.status} to {request.method} {request.target[:200]}: {detail}",
            kind=f"{answer.status} {request.method} {shape} {detail[:60]}",
            request=written(request),
        )


def prepared(deployment: Deployment) -> Known:
    """Create a repository with images and promotions, which the requests name."""
    repository = f"team/fuzz-{uuid.uuid4().hex[:8]}"
    deployment.aws.client("ecr").create_repository(repositoryName=repository)
    digests = [
        pusher.push_image(deployment.aws.registry, repository, tag, seed=f"{repository} {tag}").digest
        for tag in ("candidate", "other")
    ]
    with deployment.client() as client:
        promotions = [promoted(client, repository, digest) for digest in digests]
    return Known(routes(deployment), repository, digests, promotions)


def promoted(client: ApiClient, repository: str, digest: str) -> str:
    """Promote an image; return the promotionId."""
    body = {"repositoryName": repository, "source": {"imageDigest": digest}, "imageTag": "prod"}
    answer = client.call("POST", "/promotions", body)
    assert answer.status == 200, answer
    return str(answer.document["promotionId"])


def routes(deployment: Deployment) -> list[str]:
    """Return the key of every deployed route, repeated by its weight."""
    gateway = deployment.aws.client("apigatewayv2")
    api_id = deployment.variables["PROMOTER_API_URL"].rpartition("/")[2]
    keys = sorted(route["RouteKey"] for route in gateway.get_routes(ApiId=api_id)["Items"])
    return [key for key in keys for _ in range(WEIGHTS.get(key, 4))]


def lift_freezes(deployment: Deployment, repository: str) -> None:
    """Lift the freezes that the requests set."""
    with deployment.client() as client:
        for freeze in client.call("GET", "/freeze").document.get("freezes", []):
            if str(freeze.get("repositories", "")).startswith(repository):
                scope = "&".join(f"{name}={freeze[name]}" for name in ("repositories", "rule") if freeze.get(name))
                client.call("DELETE", f"/freeze?{scope}")


def written(request: Request) -> dict[str, Any]:
    """Return a request as found.json stores it."""
    body = base64.b64encode(request.body).decode() if request.body is not None else None
    return {
        "method": request.method,
        "target": request.target,
        "headers": dict(request.headers),
        "bodyBase64": body,
    }


def read(document: dict[str, Any]) -> Request:
    """Return the request of a document that `written` returned."""
    body = document.get("bodyBase64")
    return Request(
        document["method"],
        document["target"],
        base64.b64decode(body) if body is not None else None,
        document.get("headers", {}),
    )


def replay(deployment: Deployment, document: dict[str, Any]) -> Results:
    """Send one request and judge its answer."""
    results = Results(PART, 0)
    with deployment.client() as client:
        request = read(document)
        judge(results, request, client.send(request))
    return results
