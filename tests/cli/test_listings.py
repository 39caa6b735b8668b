"""`list`, `history`, `heads`, `freeze`, `lift` and `reconcile`."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.cli.conftest import DIGEST, ID, OTHER, FakeApi, Run, problem, record, waiting

PROMOTIONS = {"promotions": [record(), record("REFUSED", code="gate_refused", images=[], imageDigest=None)]}
HEADS = {
    "heads": [
        {
            "imageTag": tag,
            "imageDigest": DIGEST,
            "registryDigest": registry,
            "drift": drift,
            "promotionId": ID,
            "movedAt": "2026-11-24T10:00:00+00:00",
            **({"unreadable": "archived"} if drift is None else {}),
        }
        for tag, registry, drift in (
            ("prod", DIGEST, False),
            ("v1", OTHER, True),
            ("v2", None, True),
            ("v3", None, None),
        )
    ]
}
FREEZE = {
    "repositories": "team/*",
    "rule": "*",
    "reason": "incident 7",
    "by": "arn:aws:iam::123456789012:user/operator",
    "since": "2026-11-24T10:00:00+00:00",
    "until": None,
}


def test_a_list_shows_a_line_for_each_promotion(run: Run, api: FakeApi) -> None:
    """With what happened, and why."""
    api.answer("GET /promotions", PROMOTIONS)

    lines = run("list", "team/web").stdout.splitlines()

    assert lines[2].split() == [
        *("2026-11-24", "10:00:01Z", "PROMOTED", "team/web", "build-42", "prod", "sha256:a1a1a1a1a1a1"),
        *("prod-by-pipeline", ID),
    ]
    assert "gate_refused" in lines[3]


def test_the_options_of_a_list_are_the_apis_parameters(run: Run, api: FakeApi) -> None:
    """What is not said is not sent."""
    api.answer("GET /promotions", PROMOTIONS)
    caller, since = "arn:aws:sts::*:assumed-role/deployer/*", "2026-11-24T10:00:00+01:00"
    options = ("--tag", "prod", "--digest", DIGEST, "--caller", caller, "--outcome", "refused", "--since", since)

    assert run("list", "team/web", *options, "--limit", "5").exit_code == 0
    assert api.asked[0].query == {
        "repositoryName": "team/web",
        "imageTag": "prod",
        "imageDigest": DIGEST,
        "caller": caller,
        "outcome": "REFUSED",
        "since": since,
        "limit": "5",
    }


def test_pages_are_read_until_there_are_enough(run: Run, api: FakeApi) -> None:
    """A page may be empty and still not be the last one."""
    for number, token in enumerate(("a", "b", None)):
        page: dict[str, Any] = {"promotions": [record(promotionId=f"p{number}")] if number != 1 else []}
        api.answer("GET /promotions", page | ({"nextToken": token} if token else {}))

    found = run("list", "team/web", "--output", "json").document["promotions"]

    assert [each["promotionId"] for each in found] == ["p0", "p2"]
    assert [each.query.get("nextToken") for each in api.asked] == [None, "a", "b"]
    assert [each.query["limit"] for each in api.asked] == ["20", "19", "19"]


def test_what_waits_is_listed_for_all_repositories(run: Run, api: FakeApi) -> None:
    """With what it waits for; other outcomes need a repository."""
    api.answer("GET /promotions", {"promotions": [record("WAITING", endedAt=None) | waiting("scan_pending")]})

    listed = run("list", "--outcome", "WAITING")
    refused = run("list", "--outcome", "FAILED")

    assert api.asked[0].query == {"outcome": "WAITING", "limit": "20"}
    assert "until 2026-11-25 10:00:00Z   WAITING" in listed.stdout
    assert "scan_pending" in listed.stdout
    assert (refused.exit_code, len(api.asked)) == (2, 1)


def test_what_waits_is_listed_by_what_is_known_of_it(run: Run, api: FakeApi) -> None:
    """For one repository too."""
    api.answer("GET /promotions", {"promotions": []})

    assert run("list", "team/web", "--outcome", "waiting", "--tag", "prod").exit_code == 0
    assert api.asked[0].query == {
        "repositoryName": "team/web",
        "imageTag": "prod",
        "outcome": "WAITING",
        "limit": "20",
    }


def test_the_history_of_a_tag_is_a_time_line(run: Run, api: FakeApi) -> None:
    """From where to where, why, and by whom."""
    back = {"imageTag": "prod", "outcome": "PROMOTED", "previousDigest": DIGEST, "imageDigest": OTHER}
    rolled_back = record(undoes=ID, images=[back])
    first = record(images=[{"imageTag": "prod", "outcome": "PROMOTED", "previousDigest": None}])
    api.answer("GET /promotions", {"promotions": [rolled_back, first]})

    lines = run("history", "team/web", "prod").stdout.splitlines()

    assert api.asked[0].query["imageTag"] == "prod"
    by = "deployer/run-7"
    assert lines[2].split()[2:] == ["PROMOTED", "sha256:a1a1a1a1a1a1", "sha256:b2b2b2b2b2b2", "rollback", by, ID]
    assert lines[3].split()[2:5] == ["PROMOTED", "(new)", "sha256:a1a1a1a1a1a1"]


def test_heads_show_where_somebody_else_has_moved_a_tag(run: Run, api: FakeApi) -> None:
    """The same, moved, gone, or not readable."""
    api.answer("GET /heads", HEADS)

    lines = run("heads", "team/web").stdout.splitlines()

    for line, words in zip(
        lines[2:], ("the same", "moved to sha256:b2b2b2b2b2b2", "gone", "unreadable: archived"), strict=True
    ):
        assert words in line


def test_freezes_are_listed(run: Run, api: FakeApi) -> None:
    """Without a reason the command changes nothing."""
    api.answer("GET /freeze", {"freezes": [FREEZE]})

    ended = run("freeze")

    assert api.routes() == ["GET /freeze"]
    cells = [cell.strip() for cell in ended.stdout.splitlines()[2].split("   ") if cell.strip()]
    assert cells[:4] == ["team/*", "*", "until lifted", "incident 7"]


def test_a_freeze_is_set_with_its_reason(run: Run, api: FakeApi) -> None:
    """Left out: everything, until somebody lifts it."""
    api.answer("PUT /freeze", FREEZE)

    run("freeze", "incident 7")
    run("freeze", "incident 7", "--repositories", "team/*", "--rule", "prod", "--until", "2026-12-01T08:00:00Z")

    assert [each.document for each in api.asked] == [
        {"reason": "incident 7"},
        {
            "reason": "incident 7",
            "repositories": "team/*",
            "rule": "prod",
            "until": "2026-12-01T08:00:00+00:00",
        },
    ]


def test_a_freeze_for_a_while_ends_in_the_future(run: Run, api: FakeApi) -> None:
    """A span is counted from now."""
    from datetime import UTC, datetime, timedelta

    api.answer("PUT /freeze", FREEZE)

    run("freeze", "incident 7", "--until", "2h")

    until = datetime.fromisoformat(api.asked[0].document["until"])
    assert abs(until - datetime.now(UTC) - timedelta(hours=2)) < timedelta(minutes=1)


def test_nobody_freezes_without_saying_why(run: Run, api: FakeApi) -> None:
    """And nobody who forgot the reason believes that it is frozen."""
    ended = run("freeze", "--rule", "prod")

    assert (ended.exit_code, api.asked) == (2, [])
    assert "Say why" in ended.stderr


@pytest.mark.parametrize("lifted", [True, False])
def test_lifting_says_whether_there_was_a_freeze(run: Run, api: FakeApi, lifted: bool) -> None:
    """A freeze is lifted by the same scope that it was set with."""
    api.answer("DELETE /freeze", {"lifted": lifted})

    ended = run("lift", "--repositories", "team/*")

    assert api.asked[0].query == {"repositories": "team/*"}
    assert ("no such freeze" in ended.stdout) is not lifted


def test_reconcile_tells_what_it_did(run: Run, api: FakeApi) -> None:
    """Exit code 4 if a part of the run failed."""
    done = {"settled": [ID], "finished": 2, "waiting": 1, "drifted": [], "failures": []}
    drift = {"repositoryName": "team/web", "imageTag": "v1", "recordedDigest": DIGEST, "registryDigest": None}
    api.answer("POST /reconcile", done).answer(
        "POST /reconcile", done | {"drifted": [drift], "failures": ["team/web could not be read"]}
    )

    well, badly = run("reconcile"), run("reconcile")

    assert (well.exit_code, badly.exit_code) == (0, 4)
    assert f"recovered promotions  {ID}" in well.stdout
    assert "team/web could not be read" in badly.stdout
    assert re.search(rf"v1 +{DIGEST[:19]} +gone", badly.stdout)


def test_a_run_that_is_under_way_is_waited_for(run: Run, api: FakeApi) -> None:
    """By Retry-After, like all that passes with time."""
    api.answer("POST /reconcile", problem("reconcile_running", 409), 409, retry_after="30")
    api.answer("POST /reconcile", {"settled": [], "finished": 0, "waiting": 0, "drifted": [], "failures": []})

    assert run("reconcile").exit_code == 0
    assert len(api.asked) == 2
