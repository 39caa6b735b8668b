"""The kill test: functions are killed under load; once all is quiet, nothing is lost and nothing is wrong."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Any

from tests.torture import processes
from tests.torture.figures import Figures
from tests.torture.load import Load, is_lost
from tests.torture.stage import Stage, visible_again_soon
from tests.torture.truth import broken_promises

PART = "kill"
LONGEST_LOAD = 60.0  # seconds; then all is checked, and another load begins
REPOSITORIES, FEW = 24, 8
"""A crash keeps its tags for a lease: with few repositories all callers would soon wait for those."""
PAUSE = 0.7  # seconds between two kills, on average
STARTED = 2.0  # seconds after which a process is at work
TRIES = 5
SLACK = 45.0  # seconds beyond a lease until everything must have come to its end


def explore(stage: Stage, seed: int, seconds: float) -> Figures:
    """Kill and check in rounds for about so long: a round is a load, and the wait until its leases are over."""
    figures = Figures(PART, seed)
    wait, until = lease(stage) + 5, time.monotonic() + seconds
    with visible_again_soon(stage):
        number = 0
        while number == 0 or until - time.monotonic() > wait + 10:
            load_for = max(10.0, min(LONGEST_LOAD, until - time.monotonic() - wait))
            attack(stage, seed + number, load_for, figures, settle=True)
            number += 1
    figures.counts["rounds"] = number
    return figures


def attack(stage: Stage, seed: int, seconds: float, figures: Figures, *, settle: bool) -> None:
    """One round. Without `settle` nobody waits for the leases of crashed promotions: their tags may be amiss."""
    load, over = Load(stage, seed, repositories=REPOSITORIES if settle else FEW), threading.Event()
    killer = threading.Thread(target=kill_now_and_then, args=(stage, seed, over, figures))
    killer.start()
    load.run(seconds)
    over.set()
    killer.join()
    if settle:
        come_to_an_end(stage, load, figures)
    else:
        reconcile(stage)
    figures.counts["requests"] += len(load.sent)
    figures.counts["crashes seen by callers"] += sum(
        is_lost(answer) for sent in load.sent for answer in sent.answers
    )
    for broken in broken_promises(stage, load, figures.counts, settled=settle):
        figures.broken(broken)


def kill_now_and_then(stage: Stage, seed: int, over: threading.Event, figures: Figures) -> None:
    """Kill one of the function's processes, time and again."""
    chance, server = random.Random(f"{seed}-killer"), stage.local("ready")["pid"]
    while not over.wait(chance.uniform(0, 2 * PAUSE)):
        # Mostly those that are at work: one that starts has nothing to lose yet.
        least = STARTED if chance.random() < 0.9 else 0
        running = sorted(process for process, age in processes.children(server).items() if age >= least)
        if running and processes.kill(chance.choice(running), server):
            figures.counts["kills"] += 1


def come_to_an_end(stage: Stage, load: Load, figures: Figures) -> None:
    """Wait until the leases of the dead are over, every request with a key is answered and no event waits."""
    began, patience = time.monotonic(), lease(stage)

    def is_quiet() -> bool:
        with stage.wire() as wire:
            for sent in load.open():
                sent.answers.append(wire.send(sent.request))
        settled = reconcile(stage).get("settled")
        return (
            time.monotonic() - began > patience
            and settled == []
            and not load.open()
            and stage.waiting("PROMOTER_EVENTS") == 0
        )

    if not within(patience + SLACK, is_quiet):
        still = [sent.request.target for sent in load.open()]
        events = stage.waiting("PROMOTER_EVENTS")
        figures.broken(f"not quiet {SLACK:.0f} s after the last lease: {events} events wait, open are {still}")


def reconcile(stage: Stage) -> dict[str, Any]:
    """Put right what crashes left behind, as far as it can be now."""
    with stage.wire() as wire:
        for _ in range(TRIES):
            answer = wire.call("POST", "/reconcile")
            if not is_lost(answer):  # as it is where the process that was to serve it was killed before
                break
    assert answer.status == 200, answer
    return answer.document


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    """Look until it holds; say whether it did in time."""
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.5)
    return True


def lease(stage: Stage) -> float:
    """Return how long a crashed promotion keeps its tags, in seconds: what the stack has set."""
    name = stage.variables["PROMOTER_FUNCTION"]
    function = stage.aws.client("lambda").get_function_configuration(FunctionName=name)
    return float(function["Environment"]["Variables"]["PROMOTER_LEASE_SECONDS"])
