"""The torture of `make torture`, a few seconds of it: so that the harness works, and what it found stays fixed.

Last of this folder by its name: what is killed here keeps its tags for a while.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.conftest import Stack
from tests.torture import found, fuzz, interleaved, kill, processes, truth
from tests.torture.figures import Figures, Violation
from tests.torture.stage import Stage
from tests.torture.truth import Move, Places
from tests.torture.wire import Answer, Request

linux = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="kills by Linux's process descriptors")


@pytest.fixture
def stage(stack: Stack) -> Stage:
    """The deployed stack, as torture sees it."""
    return Stage(stack.aws, stack.variables)


def test_hostile_requests_are_never_answered_with_a_server_error(stage: Stage) -> None:
    """Every route of the API takes whatever comes; the same requests at every run."""
    figures = fuzz.explore(stage, 1, 60, requests=300)
    assert figures.violations == []
    assert figures.counts["answers 2xx"] > 0
    assert figures.counts["requests fuzzed"] == 300


@linux
def test_functions_that_are_killed_lose_nothing(stage: Stage) -> None:
    """Records, heads and answers agree, whatever was killed; `make torture` waits for the leases, too."""
    figures = Figures(kill.PART, 1)
    kill.attack(stage, 1, 3, figures, settle=False)
    assert figures.violations == []
    assert figures.counts["kills"] > 0
    assert figures.counts["moves checked"] + figures.counts["promotions that moved tags"] > 0


def test_interleavings_are_explored_from_a_seed(stage: Stage) -> None:
    """One seed at least, however short the time."""
    figures = interleaved.explore(stage.aws, 7, 0)
    assert (figures.violations, figures.counts) == (
        [],
        {"seeds": 1, "examples": interleaved.EXAMPLES, "long walks": interleaved.WALKS},
    )


@pytest.mark.parametrize("entry", found.load(), ids=lambda entry: str(entry)[:80])
def test_what_torture_found_stays_fixed(stage: Stage, entry: found.Entry) -> None:
    """Each entry of found.json broke a promise once."""
    assert found.replay(stage, entry).violations == []


def test_what_is_found_is_kept_once(tmp_path: Path) -> None:
    """The file holds what reproduces it, for `make test` to replay."""
    file = tmp_path / "found.json"
    file.write_text("[]")
    request = Request("GET", "/heads?x=%00", b"\xff", {"a": "b"})
    figures = Figures(fuzz.PART, 5)
    fuzz.judge(figures, request, Answer(500, b"{}"))
    fuzz.judge(figures, request, Answer(500, b"{}"))
    figures.broken("lost")
    assert (found.keep(figures.violations, file), found.keep(figures.violations, file)) == (2, 0)
    kept, seeded = found.load(file)
    assert fuzz.read(kept["request"]) == request
    assert seeded == {"part": "fuzz", "seed": 5}


@pytest.mark.parametrize(
    ("places", "told"),
    [
        (Places([Move("1", "a", None), Move("2", "b", "a")], "b", "b"), []),
        (Places([Move("1", "a", None), Move("2", "c", "b")], "c", "c"), ["does not begin where"]),
        (Places([Move("1", "a", "x")], "a", "a"), ["which nobody recorded"]),
        (Places([Move("1", "a", None)], "a", "b"), ["the registry has b"]),
        (Places([Move("1", "a", None)], "b", "b"), ["the head is b, the registry", "no move went there"]),
        (Places([], None, "a"), ["the last move went to None"]),
    ],
)
def test_a_tag_that_is_amiss_is_told(places: Places, told: list[str]) -> None:
    """The checks see what they are there for."""
    found_amiss = list(truth.tag_that_disagrees("r:prod", places, Figures("kill", 0).counts, settled=True))
    assert len(found_amiss) == len(told)
    assert all(part in line for part, line in zip(told, found_amiss, strict=True))


def test_moves_that_an_attempt_repeats_count_once() -> None:
    """A promotion that carried on after a crash, or was refused then, records again what was put before."""
    image = {"imageTag": "prod", "outcome": "PROMOTED", "previousDigest": None}
    first = {"promotionId": "1", "outcome": "FAILED", "imageDigest": "a", "images": [image]}
    again = first | {"outcome": "PROMOTED", "images": [image, image | {"imageTag": "v1"}]}
    refused = first | {"outcome": "REFUSED"}
    for last in (again, refused):
        assert truth.moves_of([last, first], "prod") == [Move("1", "a", None)]


def test_a_move_that_is_made_again_counts_again() -> None:
    """Somebody took the first one back, and the promotion was sent again."""
    there = {"imageTag": "prod", "outcome": "PROMOTED", "previousDigest": "b"}
    back = {"imageTag": "prod", "outcome": "PROMOTED", "previousDigest": "a"}
    first = {"promotionId": "1", "outcome": "FAILED", "imageDigest": "a", "images": [there]}
    undone = {"promotionId": "2", "outcome": "PROMOTED", "imageDigest": "b", "images": [back]}
    assert truth.moves_of([first | {"outcome": "PROMOTED"}, undone, first], "prod") == [
        Move("1", "a", "b"),
        Move("2", "b", "a"),
        Move("1", "a", "b"),
    ]


@linux
def test_only_the_servers_own_functions_are_killed(stage: Stage) -> None:
    """The tests' own process is not one of them, and stays."""
    server = stage.local("ready")["pid"]
    assert os.getpid() not in processes.children(server)
    assert not processes.kill(os.getpid(), server)


def test_a_violation_names_what_reproduces_it() -> None:
    """The seed, if nothing else is known."""
    figures = Figures("kill", 9)
    figures.broken("lost")
    figures.broken("lost")
    assert figures.violations == [Violation("kill", "lost", {"part": "kill", "seed": 9})]
    assert figures.counts["broken promises"] == 2
