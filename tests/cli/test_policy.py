"""`policy check` and `policy explain` are the make targets' code, run in the clone."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ecr_promoter.commands import policy
from infra.policy.explain import arguments
from tests.cli.conftest import Run
from tests.cli.test_help import find

CLONE = Path(__file__).parents[2]


def run_in(clone: Path, *line: str, capfd: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    from ecr_promoter.__main__ import main

    capfd.readouterr()
    exit_code = main([*line, "--clone", str(clone)])
    printed = capfd.readouterr()
    return exit_code, printed.out, printed.err


def test_a_policy_is_checked(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The clone's own, or a file; exit code 3 with line and column for a mistake."""
    (tmp_path / "wrong.yaml").write_text("rules:\n  - {name: a, on: never}\n")

    exit_code, printed, _ = run_in(CLONE, "policy", "check", capfd=capfd)
    assert (exit_code, "no mistakes" in printed) == (0, True)
    exit_code, _, told = run_in(CLONE, "policy", "check", str(tmp_path / "wrong.yaml"), capfd=capfd)
    assert exit_code == 3
    assert "wrong.yaml:2:" in told


def test_a_policy_explains_what_it_would_decide(capfd: pytest.CaptureFixture[str]) -> None:
    """Exit code 3 where it would refuse."""
    question = ("policy", "explain", "--repository", "team/web", "--tag", "build-42", "--put", "prod")

    exit_code, printed, _ = run_in(CLONE, *question, capfd=capfd)

    assert exit_code == 3
    assert "not_allowed" in printed


def test_the_options_are_the_make_targets() -> None:
    """None is missing, and none is made up."""
    theirs = {name for action in arguments(datetime.now(UTC))._actions for name in action.option_strings}
    ours = {name for param in find(("policy", "explain")).params for name in param.opts}

    assert theirs - {"-h", "--help"} == ours - {"--clone"}


def test_options_reach_the_target_as_they_were_given() -> None:
    """Also values that look like options, and several of a kind."""
    options = {"policy": "p.yaml", "put": ("a", "--b"), "signed": True, "tag": None, "signed_by": (), "on": "scan"}

    assert policy.arguments(options) == ["--policy=p.yaml", "--put=a", "--put=--b", "--signed", "--on=scan"]


def test_outside_a_clone_the_user_learns_that_one_is_needed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wheel has no part of the policy's compiler."""
    monkeypatch.chdir(tmp_path)

    ended = run("policy", "check")

    assert ended.exit_code == 2
    assert "is not a clone of ecr-promoter" in ended.stderr
    assert "ECR_PROMOTER_CLONE" in ended.stderr


def test_a_clone_is_found_from_a_folder_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """As git does."""
    monkeypatch.chdir(CLONE / "docs" / "reference")

    assert policy.find(None) == CLONE.resolve()


def test_a_clone_that_is_not_set_up_says_how(run: Run, tmp_path: Path) -> None:
    """One command."""
    (tmp_path / "infra" / "policy").mkdir(parents=True)
    (tmp_path / "infra" / "policy" / "explain.py").touch()

    ended = run("policy", "check", "--clone", str(tmp_path))

    assert ended.exit_code == 2
    assert "Run `make setup` there" in ended.stderr


def test_a_policy_that_is_not_there_is_wrong_use(run: Run, tmp_path: Path) -> None:
    """Exit code 2, as for `policy explain`. 3 is for mistakes in a policy."""
    ended = run("policy", "check", str(tmp_path / "none.yaml"), "--clone", str(CLONE))

    assert ended.exit_code == 2
    assert "none.yaml is not a file" in ended.stderr


def test_a_python_that_cannot_be_run_says_how_to_make_one(run: Run, tmp_path: Path) -> None:
    """Such as the rest of a clone that was moved to another machine."""
    for name in (policy.MARK, policy.PYTHON):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()

    ended = run("policy", "check", str(tmp_path / policy.MARK), "--clone", str(tmp_path))

    assert ended.exit_code == 2
    assert "Run `make setup` there" in ended.stderr


@pytest.mark.parametrize(
    "option",
    [("--age", "1e300"), ("--age", "999999999"), ("--at", "0001-01-01T00:00:00+14:00"), ("--findings", "{deep}")],
)
def test_a_question_that_cannot_be_asked_is_wrong_use(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], option: tuple[str, str]
) -> None:
    """Exit code 2, and no traceback: 3 would say that the policy refuses."""
    deep = tmp_path / "deep.json"
    deep.write_text("[" * 100_000)
    name, value = option

    line = ("policy", "explain", "--repository", "team/web", "--tag", "build-42", name, value.format(deep=deep))
    exit_code, printed, told = run_in(CLONE, *line, capfd=capfd)

    assert (exit_code, printed) == (2, "")
    assert told
    assert "Traceback" not in told
