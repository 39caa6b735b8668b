"""The kill test: functions are killed under load. Afterwards nothing is lost and nothing is wrong."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

from local.waiting import wait_until
from tests.torture import processes
from tests.torture.consistency import broken_promises
from tests.torture.deployment import Deployment, visible_again_soon
from tests.torture.load import Load, is_crash
from tests.torture.results import Results

PART = "kill"
LONGEST_LOAD = 60.0  # seconds of load in one round
REPOSITORIES, FEW_REPOSITORIES = 60, 8
"""After a crash its tags are leased for a while. With few repositories all callers would soon wait for leases."""
PAUSE = 1.2  # seconds between two kills, on average
STARTED = 2.0  # seconds until a new process serves a request
TRIES = 5
SLACK = 45.0  # seconds after the last lease until nothing may be pending


def explore(deployment: Deployment, seed: int, seconds: float) -> Results:
    """Run rounds for about so long. A round is a load under kills, the wait for its leases, and the checks."""
    results = Results(PART, seed)
    wait, until = lease(deployment) + 5, time.monotonic() + seconds
    with visible_again_soon(deployment):
        number = 0
        while number == 0 or until - time.monotonic() > wait + 10:
            load_for = max(10.0, min(LONGEST_LOAD, until - time.monotonic() - wait))
            attack(deployment, seed + number, load_for, results, until_quiet=True)
            number += 1
    results.counts["rounds"] = number
    return results


def attack(deployment: Deployment, seed: int, seconds: float, results: Results, *, until_quiet: bool) -> None:
    """Run one round. Without `until_quiet` crashed promotions may still hold leases when it is checked."""
    load = Load(deployment, seed, repositories=REPOSITORIES if until_quiet else FEW_REPOSITORIES)
    over = threading.Event()
    killer = threading.Thread(target=kill_repeatedly, args=(deployment, seed, over, results))
    killer.start()
    load.run(seconds)
    over.set()
    killer.join()
    if until_quiet:
        wait_until_quiet(deployment, load, results)
    else:
        reconcile(deployment)
    results.counts["requests"] += len(load.sent)
    results.counts["crashes seen by callers"] += sum(
        is_crash(answer) for sent in load.sent for answer in sent.answers
    )
    for broken in broken_promises(deployment, load, results.counts, quiet=until_quiet):
        results.add_violation(broken)


def kill_repeatedly(
    deployment: Deployment, seed: int, over: threading.Event, results: Results, pause: float = PAUSE
) -> None:
    """Kill a random process of the function, again and again, with a pause of so many seconds on average."""
    rng, server = random.Random(f"{seed}-killer"), deployment.aws.control("GET", "ready")["pid"]
    while not over.wait(rng.uniform(0, 2 * pause)):
        # Mostly those that serve requests: a starting process has nothing to lose.
        least = STARTED if rng.random() < 0.9 else 0
        running = sorted(process for process, age in processes.children(server).items() if age >= least)
        if running and processes.kill(rng.choice(running), server):
            results.counts["kills"] += 1


def wait_until_quiet(deployment: Deployment, load: Load, results: Results) -> None:
    """Wait until no lease is left, every request with a key has a final answer and no event is queued."""
    began, leases = time.monotonic(), lease(deployment)

    def is_quiet() -> bool:
        with deployment.client() as client:
            for sent in load.pending():
                sent.answers.append(client.send(sent.request))
        settled = reconcile(deployment).get("settled")
        return (
            time.monotonic() - began > leases
            and settled == []
            and not load.pending()
            and deployment.messages_in("PROMOTER_EVENTS") == 0
        )

    if not wait_until(is_quiet, seconds=leases + SLACK, interval=0.5):
        pending = [sent.request.target for sent in load.pending()]
        events = deployment.messages_in("PROMOTER_EVENTS")
        late = f"{SLACK:.0f} s after the last lease"
        results.add_violation(f"{late} {events} events are queued and these requests are pending: {pending}")


def reconcile(deployment: Deployment) -> dict[str, Any]:
    """Call POST /reconcile, which recovers crashed promotions; return its answer."""
    with deployment.client() as client:
        for _ in range(TRIES):
            answer = client.call("POST", "/reconcile")
            if not is_crash(answer):  # a process that was killed before may be chosen to serve the request
                break
    assert answer.status < 500, answer
    return answer.document if answer.status == 200 else {}


def lease(deployment: Deployment) -> float:
    """Return the length of a lease in seconds, as the stack is configured."""
    name = deployment.variables["PROMOTER_FUNCTION"]
    function = deployment.aws.client("lambda").get_function_configuration(FunctionName=name)
    return float(function["Environment"]["Variables"]["PROMOTER_LEASE_SECONDS"])
