"""Promotions that wait, by the hundred, while functions are killed: each ends once, and none too early."""

from __future__ import annotations

import threading
import time
import uuid

from local.waiting import wait_until
from tests.torture import kill, waiting_known, waiting_model
from tests.torture.deployment import Deployment, visible_again_soon
from tests.torture.load import is_crash
from tests.torture.results import Results
from tests.torture.waiting_load import Load
from tests.torture.waiting_script import written
from tests.torture.witness import Witness

PART = "waiting"
EACH_SECOND = 7  # requests of a run
FEWEST, MOST = 40, 1340  # requests of a run; about three of four wait
PAUSE = 4.0
"""Seconds between two kills, on average. Some seconds pass until a new process serves requests."""
SLACK = 120.0  # seconds after the last lease until nothing may wait


def explore(deployment: Deployment, seed: int, seconds: float) -> Results:
    """Run once, with as many requests as the time is expected to suffice for."""
    results = Results(PART, seed)
    requests = min(MOST, max(FEWEST, int(seconds * EACH_SECOND)))
    with visible_again_soon(deployment):
        attack(deployment, seed, requests, results)
    return results


def attack(
    deployment: Deployment, seed: int, requests: int, results: Results, *, until_quiet: bool = True
) -> None:
    """Run a script. Without `until_quiet` it is quick: nothing is killed, and nothing frozen."""
    prefix = f"waiting/{uuid.uuid4().hex[:8]}"
    with Witness(deployment, prefix) as witness:
        script = written(deployment, prefix, seed, requests, is_quick=not until_quiet)
        load, began = Load(deployment, script, results.counts), time.monotonic()
        beside = []
        if until_quiet:
            with deployment.client() as client:
                load.freeze(client, load.ice, None)
            beside.append(threading.Thread(target=load.freeze_repeatedly, args=(seed,)))
            beside.append(threading.Thread(target=load.restart_repeatedly))
            beside.append(
                threading.Thread(target=kill.kill_repeatedly, args=(deployment, seed, load.over, results, PAUSE))
            )
        beside.append(threading.Thread(target=reconcile_repeatedly, args=(load,)))
        for thread in beside:
            thread.start()
        load.run()
        for thread in beside:
            thread.join()
        results.counts["seconds of load"] += round(time.monotonic() - began)
        wait_until_quiet(load, results, leases=kill.lease(deployment) if until_quiet else 0)
        results.counts["seconds until quiet"] += round(time.monotonic() - began)
        for broken in waiting_model.broken_promises(waiting_known.read(load, witness, results.counts)):
            results.add_violation(broken)


def reconcile_repeatedly(load: Load) -> None:
    """Reconcile as the schedule does, but every few seconds, and without a word if the function is killed."""
    with load.deployment.client() as client:
        while not load.over.wait(3):
            client.call("POST", "/reconcile")


def wait_until_quiet(load: Load, results: Results, *, leases: float) -> None:
    """Make due what waits, and reconcile, until nothing waits, no lease is left and no event is queued."""
    began = time.monotonic()

    def is_quiet() -> bool:
        with load.deployment.client() as client:
            for asked in load.script.asked:
                if asked.key and asked.answers and is_crash(asked.answers[-1][1]):
                    load.ask(client, asked)
            waiting = load.waiting(client)
            load.make_due(waiting)
            settled = kill.reconcile(load.deployment).get("settled")
            return (
                time.monotonic() - began > leases
                and not waiting
                and settled == []
                and load.deployment.messages_in("PROMOTER_EVENTS") == 0
            )

    if not wait_until(is_quiet, seconds=leases + SLACK, interval=0.5):
        results.add_violation(f"{leases + SLACK:.0f} s after the load: {still(load)}")


def still(load: Load) -> str:
    """Say what is not quiet."""
    with load.deployment.client() as client:
        return f"{load.deployment.messages_in('PROMOTER_EVENTS')} events are queued, {load.waiting(client)} wait"
