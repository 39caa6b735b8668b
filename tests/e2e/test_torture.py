"""A few seconds of `make torture`, and a replay of everything that it has found.

This file is the last of its folder by name: promotions that are killed here hold their leases for a while.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.conftest import Stack
from tests.torture import consistency, fuzz, interleavings, kill, processes, regressions, waiting
from tests.torture.client import Answer, Request
from tests.torture.consistency import Move, Places
from tests.torture.deployment import Deployment
from tests.torture.results import Results, Violation

linux = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs the process descriptors of Linux")


@pytest.fixture
def deployment(stack: Stack) -> Deployment:
    """The deployed stack, as the torture tests use it."""
    return Deployment(stack.aws, stack.variables)


def test_hostile_requests_are_never_answered_with_a_server_error(deployment: Deployment) -> None:
    """Every route of the API. Every run sends the same requests."""
    results = fuzz.explore(deployment, 1, 60, requests=300)
    assert results.violations == []
    assert results.counts["answers 2xx"] > 0
    assert results.counts["requests fuzzed"] == 300


@linux
def test_functions_that_are_killed_lose_nothing(deployment: Deployment) -> None:
    """Records, heads and answers agree. `make torture` also waits for the leases and checks again."""
    results = Results(kill.PART, 1)
    kill.attack(deployment, 1, 3, results, until_quiet=False)
    assert results.violations == []
    assert results.counts["kills"] > 0
    assert results.counts["moves checked"] + results.counts["promotions that moved tags"] > 0


def test_promotions_that_wait_end_once_and_not_too_early(deployment: Deployment) -> None:
    """By the witness of the registry's events. Without kills: `make torture` kills, and waits for the leases."""
    results = Results(waiting.PART, 1)
    waiting.attack(deployment, 1, 24, results, until_quiet=False)
    assert results.violations == []
    assert results.counts["accepted to wait"] > 10
    assert results.counts["pushes after a wait checked"] > 3


def test_interleavings_are_explored_from_a_seed(deployment: Deployment) -> None:
    """At least one seed, however short the time is."""
    results = interleavings.explore(deployment.aws, 7, 0)
    assert (results.violations, results.counts) == (
        [],
        {"seeds": 1, "examples": interleavings.EXAMPLES, "long walks": 2 * interleavings.WALKS},
    )


@pytest.mark.parametrize("entry", regressions.load(), ids=lambda entry: str(entry)[:80])
def test_a_promise_that_was_broken_once_stays_fixed(deployment: Deployment, entry: regressions.Entry) -> None:
    """Every entry of found.json."""
    assert regressions.replay(deployment, entry).violations == []


def test_a_violation_is_added_to_the_file_once(tmp_path: Path) -> None:
    """The file has what reproduces the violation, for `make test` to replay."""
    file = tmp_path / "found.json"
    file.write_text("[]")
    request = Request("GET", "/heads?x=%00", b"\xff", {"a": "b"})
    results = Results(fuzz.PART, 5)
    fuzz.judge(results, request, Answer(500, b"{}"))
    fuzz.judge(results, request, Answer(500, b"{}"))
    results.add_violation("lost")
    assert (regressions.keep(results.violations, file), regressions.keep(results.violations, file)) == (2, 0)
    kept, seeded = regressions.load(file)
    assert fuzz.read(kept["request"]) == request
    assert seeded == {"part": "fuzz", "seed": 5}


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        (Places([Move("1", "a", None), Move("2", "b", "a")], "b", "b"), []),
        (Places([Move("1", "a", None), Move("2", "c", "b")], "c", "c"), ["does not start where"]),
        (Places([Move("1", "a", "x")], "a", "a"), ["which no record moved it to"]),
        (Places([Move("1", "a", None)], "a", "b"), ["the registry has b"]),
        (Places([Move("1", "a", None)], "b", "b"), ["the head is b, the registry", "no move went there"]),
        (Places([], None, "a"), ["the last move went to None"]),
    ],
)
def test_a_tag_that_disagrees_with_its_record_is_reported(places: Places, expected: list[str]) -> None:
    """Each check reports what it is for, and nothing else."""
    reported = list(consistency.tag_violations("r:prod", places, Results("kill", 0).counts, quiet=True))
    assert len(reported) == len(expected)
    assert all(part in line for part, line in zip(expected, reported, strict=True))


def test_a_move_that_is_recorded_twice_counts_once() -> None:
    """After a crash a promotion that resumes, or is refused, records the moves of the earlier attempt again."""
    image = {"imageTag": "prod", "outcome": "PROMOTED", "previousDigest": None}
    first = {"promotionId": "1", "outcome": "FAILED", "imageDigest": "a", "images": [image]}
    again = first | {"outcome": "PROMOTED", "images": [image, image | {"imageTag": "v1"}]}
    refused = first | {"outcome": "REFUSED"}
    for last in (again, refused):
        assert consistency.moves_of([last, first], "prod") == [Move("1", "a", None)]


def test_a_move_that_is_made_twice_counts_twice() -> None:
    """Somebody rolled the first move back, and the promotion was sent again."""
    there = {"imageTag": "prod", "outcome": "PROMOTED", "previousDigest": "b"}
    back = {"imageTag": "prod", "outcome": "PROMOTED", "previousDigest": "a"}
    first = {"promotionId": "1", "outcome": "FAILED", "imageDigest": "a", "images": [there]}
    undone = {"promotionId": "2", "outcome": "PROMOTED", "imageDigest": "b", "images": [back]}
    assert consistency.moves_of([first | {"outcome": "PROMOTED"}, undone, first], "prod") == [
        Move("1", "a", "b"),
        Move("2", "b", "a"),
        Move("1", "a", "b"),
    ]


@linux
def test_only_the_servers_own_functions_are_killed(deployment: Deployment) -> None:
    """The process of the tests is not one of them and survives."""
    server = deployment.aws.control("GET", "ready")["pid"]
    assert os.getpid() not in processes.children(server)
    assert not processes.kill(os.getpid(), server)


def test_a_violation_names_what_reproduces_it() -> None:
    """The seed, if there is nothing more exact."""
    results = Results("kill", 9)
    results.add_violation("lost")
    results.add_violation("lost")
    assert results.violations == [Violation("kill", "lost", {"part": "kill", "seed": 9})]
    assert results.counts["broken promises"] == 2
