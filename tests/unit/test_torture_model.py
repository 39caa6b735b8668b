"""The model of the torture part `waiting` reports each kind of broken promise, and nothing of a right run."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, cast

import pytest

from local.pusher import PushedImage
from tests.torture.client import Answer
from tests.torture.consistency import Move
from tests.torture.deployment import Deployment
from tests.torture.waiting_known import Known, Put
from tests.torture.waiting_load import Load
from tests.torture.waiting_model import broken_promises
from tests.torture.waiting_script import FOREIGN, Asked, Build, Script
from tests.torture.witness import Announced, Push

REPOSITORY, TAG = "waiting/x-ice-1", "gated-1"
ENDED = "1970-01-01T00:01:00+00:00"


def build(number: int, digest: str, *, is_clean: bool = True) -> Build:
    """A build whose scan ended at 30."""
    image = PushedImage(digest, "", b"")
    return Build(REPOSITORY, number, image, is_clean, is_heard=True, is_built=False, scanned={digest: 30.0})


def run(*, end: str = "PROMOTED", code: str | None = None, at: float = 50, **changed: Any) -> Known:
    """A run of one request: asked at 10, accepted at 11, put at 50, with the members that are changed."""
    accepted = {
        "promotionId": "p",
        "imageDigest": changed.get("accepted", "good"),
        "waitsUntil": "1970-01-01T01:00:00+00:00",
        "images": [{"imageTag": TAG, "previousDigest": None}],
    }
    body = {"source": {"imageDigest": "good"}, "imageTags": [TAG], "repositoryName": REPOSITORY}
    builds = [build(1, "good", is_clean=changed.get("is_clean", True)), build(FOREIGN, "foreign"), build(2, "bad")]
    asked = Asked(builds[0], body, None, 3600.0, is_cancelled=code == "cancelled", sent=[10.0])
    asked.answers.append((11.0, Answer(202, json.dumps(accepted).encode())))
    load = Load(cast("Deployment", None), Script("waiting/x", builds, [asked]), Counter(), thawed_at=40.0)
    known = Known(load, Counter())
    push = Push(REPOSITORY, TAG, changed.get("put", "good"), at)
    before = Push(REPOSITORY, TAG, *changed["before"]) if "before" in changed else None
    if changed.get("is_put", True):
        known.puts[REPOSITORY, TAG] = [Put(push, before, Move("p", push.image_digest, None))]
    record = {
        "promotionId": "p",
        "trigger": "request",
        "outcome": end,
        "endedAt": ENDED,
        "imageDigest": "good",
    } | ({"code": code} if code else {})
    known.records["p"] = record
    waits = [Announced("Promotion Waiting", {"askedAt": asked_at}, 11) for asked_at in changed.get("waits", ["t"])]
    ends = [Announced("End", record | {"endedAt": moment}, 60) for moment in changed.get("ends", [ENDED])]
    known.announced["p"] = [*waits, *ends]
    return known


def test_a_right_run_breaks_no_promise() -> None:
    """Nothing is reported of a promotion that was put after its scan and the freeze."""
    assert list(broken_promises(run())) == []


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (run(at=20), ["was early: the scans passed", "was early: the freeze"]),
        (run(at=35), ["was early: the freeze"]),
        (run(is_clean=False), ["was early: the scans passed"]),
        (run(put="bad"), ["accepted was good, but"]),
        (run(accepted="bad", put="bad"), ["accepted was bad, of {'good'}"]),
        (run(before=("bad", 45.0)), ["over a newer move", "over a move that came after"]),
        (run(before=("foreign", 20.0)), ["over a newer move", "over a move that came after"]),
        (run(before=("foreign", 49.0)), []),
        (run(end="REFUSED", code="cancelled"), ["of a promotion that ended"]),
        (run(end="REFUSED", code="superseded", is_put=False), ["nobody else moved its tags"]),
        (run(end="REFUSED", code="expired", is_put=False), ["it had hours to wait"]),
        (run(end="REFUSED", code="gate_refused", is_put=False), ["its image is clean"]),
        (run(end="FAILED", code="interrupted", is_put=False), ["nothing was killed"]),
        (run(ends=[ENDED, "later"]), ["announced to have ended 2 times"]),
        (run(ends=[]), ["announced to have ended 0 times"]),
        (run(ends=[ENDED, ENDED]), []),
        (run(waits=[]), ["announced to wait 0 times"]),
        (run(waits=["t", "u"]), ["announced to wait 2 times", "announced to wait 2 times"]),
    ],
)
def test_a_broken_promise_is_reported(known: Known, expected: list[str]) -> None:
    """Each check reports what it is for, and nothing else."""
    reported = list(broken_promises(known))
    assert len(reported) == len(expected)
    assert all(part in line for part, line in zip(expected, reported, strict=True))
