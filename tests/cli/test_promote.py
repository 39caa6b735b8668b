"""`promote` and `rollback`: what is asked for, and what the user sees of the answer."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.conftest import DIGEST, ID, OTHER, FakeApi, Run, problem, promoted

FINDING = {
    "code": "finding",
    "detail": "linux/arm64: CVE-2026-1234 in openssl is CRITICAL, 0 allowed; fixed in 3.0.2",
    "rule": "prod-by-pipeline",
    "platform": "linux/arm64",
    "imageDigest": DIGEST,
    "vulnerability": "CVE-2026-1234",
    "package": "openssl",
    "severity": "CRITICAL",
    "fixedIn": "3.0.2",
}


@pytest.mark.parametrize(
    ("line", "body"),
    [
        (("team/web", "build-42"), {"source": {"imageTag": "build-42"}}),
        (
            ("team/web", "build-42", "--to", "prod", "--to", "v1"),
            {"source": {"imageTag": "build-42"}, "imageTags": ["prod", "v1"]},
        ),
        (("team/web", DIGEST), {"source": {"imageDigest": DIGEST}}),
        (
            ("team/web", f"staging@{DIGEST}", "--dry-run"),
            {"source": {"imageTag": "staging", "imageDigest": DIGEST}, "dryRun": True},
        ),
        (
            ("123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/web", "build-42"),
            {"registryId": "123456789012", "source": {"imageTag": "build-42"}},
        ),
        (
            ("team/web", "build-42", "--registry-id", "123456789012"),
            {"registryId": "123456789012", "source": {"imageTag": "build-42"}},
        ),
        (
            ("team/web", "build-42", "--expect", f"prod={OTHER}", "--expect", "v1=none"),
            {"source": {"imageTag": "build-42"}, "expectedDigests": {"prod": OTHER, "v1": None}},
        ),
        (("team/web", "build-42", "--wait"), {"source": {"imageTag": "build-42"}, "wait": True}),
        (
            ("team/web", "build-42", "--expires", "2h"),
            {"source": {"imageTag": "build-42"}, "wait": {"seconds": 7200}},
        ),
    ],
)
def test_the_command_line_is_the_request(
    run: Run, api: FakeApi, line: tuple[str, ...], body: dict[str, Any]
) -> None:
    """In the API's own names; what is not said is left to the service."""
    api.answer("POST /promotions", promoted())

    assert run("promote", *line).exit_code == 0
    assert api.asked[0].document == {"repositoryName": "team/web"} | body


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ((), "Missing argument 'REPOSITORY'"),
        (("team/web",), "Missing argument 'SOURCE'"),
        (("team/web:build-42", "prod"), "is not the name of a repository"),
        (("team/web", "sha256:abc"), "is not a whole digest"),
        (("team/web", "staging@sha256:abc"), "a whole digest"),
        (("team/web", "x", "--expect", "prod"), "TAG=none"),
        (("team/web", "x", "--expires", "soon"), "30m, 24h or 14d"),
        (("team/web", "x", "--dry-run", "--wait"), "A dry run does not wait"),
        (("team/web", "x", "--idempotency-key", "a b"), "without spaces"),
        (("team/web", "x", "--query", "images[.x"), "jmespath.org"),
        (("team/web", "x", "--no-such-option"), "No such option"),
    ],
)
def test_a_wrong_command_line_sends_nothing(run: Run, api: FakeApi, line: tuple[str, ...], words: str) -> None:
    """Exit code 2, and one line that says what is wrong."""
    ended = run("promote", *line)

    assert (ended.exit_code, ended.stdout, api.asked) == (2, "", [])
    assert words in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_the_table_shows_what_moved_from_where_to_where(run: Run, api: FakeApi) -> None:
    """Without color, and nothing is cut, where nobody looks at a terminal."""
    api.answer("POST /promotions", promoted())

    ended = run("promote", "team/web", "build-42")

    assert ended.stdout == (
        "outcome    tag    from                  to\n"
        "───────────────────────────────────────────────────────────\n"
        "PROMOTED   prod   sha256:b2b2b2b2b2b2   sha256:a1a1a1a1a1a1\n"
        "\n"
        f"promotion  {ID}\n"
        "rule       prod-by-pipeline\n"
    )
    assert ended.stderr == ""


def test_color_is_for_who_wants_it(run: Run, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """--color on, also into a file."""
    monkeypatch.setenv("TERM", "xterm-256color")
    api.answer("POST /promotions", promoted())

    assert "\x1b[" in run("promote", "team/web", "build-42", "--color", "on").stdout
    assert "\x1b[" not in run("promote", "team/web", "build-42").stdout


def test_a_finding_that_refuses_is_named(run: Run, api: FakeApi) -> None:
    """In the line on stderr and, with the others, in a table. Exit code 3."""
    more = FINDING | {"vulnerability": "CVE-2026-2", "package": "zlib", "fixedIn": None}
    document = problem("gate_refused", 422, FINDING["detail"], reasons=[FINDING, more])
    api.answer("POST /promotions", document, 422)

    ended = run("promote", "team/web", "build-42")

    assert ended.exit_code == 3
    assert ended.stderr == (
        f"ecr-promoter: gate_refused: {FINDING['detail']}. "
        f"Fix the image, or add an exception to the rule's gate. (promotion {ID})\n"
    )
    assert ended.stdout == (
        "platform      severity   finding         package   fixed in\n"
        "───────────────────────────────────────────────────────────\n"
        "linux/arm64   CRITICAL   CVE-2026-1234   openssl   3.0.2\n"
        "linux/arm64   CRITICAL   CVE-2026-2      zlib      -\n"
    )


def test_programs_get_the_problem_as_data(run: Run, api: FakeApi) -> None:
    """With --output json the whole problem document is on stdout. A query gets none of it."""
    document = problem("gate_refused", 422, reasons=[FINDING])
    api.answer("POST /promotions", document, 422)

    assert run("promote", "team/web", "build-42", "--output", "json").document == document
    assert run("promote", "team/web", "build-42", "--query", "outcome").stdout == ""


def test_a_failure_tells_which_tags_were_put_before_it(run: Run, api: FakeApi) -> None:
    """Whoever reads it must know what is half done. Exit code 4."""
    api.answer("POST /promotions", problem("tag_immutable", 409, images=promoted()["images"]), 409)

    ended = run("promote", "team/web", "build-42")

    assert ended.exit_code == 4
    assert "Put before it: prod." in ended.stderr
    assert "PROMOTED   prod" in ended.stdout


def test_an_answer_can_be_queried_as_with_the_aws_cli(run: Run, api: FakeApi) -> None:
    """By JMESPath; JSON unless --output says otherwise."""
    api.answer("POST /promotions", promoted())
    digest = ("--query", "images[0].imageId.imageDigest")

    assert run("promote", "team/web", "build-42", *digest).stdout == f'"{DIGEST}"\n'
    assert run("promote", "team/web", "build-42", *digest, "--output", "text").stdout == f"{DIGEST}\n"
    assert run("promote", "team/web", "build-42", "--query", "images[].outcome", "--output", "yaml").stdout == (
        "- PROMOTED\n"
    )


def test_a_promotion_is_rolled_back_by_its_id(run: Run, api: FakeApi) -> None:
    """All its tags, or those that are named."""
    api.answer(f"POST /promotions/{ID}/rollback", promoted(undoes=ID))

    ended = run("rollback", ID)
    assert (ended.exit_code, api.asked[0].document) == (0, {})
    assert f"undoes     {ID}" in ended.stdout
    run("rollback", ID, "--tag", "prod", "--override", "release 7 deletes data")
    assert api.asked[1].document == {"imageTags": ["prod"], "override": {"reason": "release 7 deletes data"}}


def test_a_tag_is_rolled_back_from_where_its_head_is(run: Run, api: FakeApi) -> None:
    """The user sees from which image; if the tag moves in between, the service refuses."""
    api.answer("GET /heads", {"heads": [{"imageTag": "prod", "imageDigest": DIGEST}]})
    api.answer("POST /rollback", promoted(undoes=ID))

    ended = run("rollback", "team/web", "prod")

    assert ended.exit_code == 0
    assert api.asked[1].document == {"repositoryName": "team/web", "imageTag": "prod", "expectedDigest": DIGEST}
    assert "taking team/web:prod back from sha256:a1a1a1a1a1a1" in ended.stderr


def test_a_tag_is_rolled_back_from_the_image_that_the_user_names(run: Run, api: FakeApi) -> None:
    """Without asking for the head."""
    api.answer("POST /rollback", problem("tag_changed", 412), 412)

    assert run("rollback", "team/web", "prod", "--from", OTHER).exit_code == 3
    assert api.asked[0].document["expectedDigest"] == OTHER


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ((ID, "--from", DIGEST), "Name the tag too"),
        (("team/web", "prod", "--tag", "prod"), "named already"),
    ],
)
def test_the_two_ways_to_roll_back_are_not_mixed(run: Run, line: tuple[str, ...], words: str) -> None:
    """Nobody rolls back something else than what was meant."""
    ended = run("rollback", *line)

    assert ended.exit_code == 2
    assert words in ended.stderr


def test_a_tag_without_a_head_cannot_be_rolled_back(run: Run, api: FakeApi) -> None:
    """Exit code 3, with the command that lists the tags."""
    api.answer("GET /heads", {"heads": []})

    ended = run("rollback", "team/web", "prod")

    assert ended.exit_code == 3
    assert "`ecr-promoter heads team/web`" in ended.stderr
