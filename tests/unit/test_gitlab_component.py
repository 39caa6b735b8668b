"""The CI/CD component of GitLab: what its job asks for, and what it tells later jobs, whatever it is given."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import snippets
from tests.support.gitlab import BASH, COMPONENT, INPUT, SH, Ended, component, job, run
from tests.support.runners import answering, asked

DIGEST, BEFORE = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
ROLE = "arn:aws:iam::123456789012:role/deployer"
PROMOTED = {
    "promotionId": "6c1f",
    "outcome": "PROMOTED",
    "images": [{"imageId": {"imageDigest": DIGEST, "imageTag": "prod"}, "imageManifest": "{}"}],
}
REFUSED = {"code": "gate_refused", "status": 422, "detail": "No.", "promotionId": "6c1f", "reasons": []}


def promote(folder: Path, answer: Any = PROMOTED, *, code: int = 0, told: str = "", **others: Any) -> Ended:
    """Run the job with a command line that answers so, and keeps its arguments."""
    given = {"repository": "team/web", "source": "staging"} | others
    return run(folder, answering(folder, answer, code=code, told=told), **given)


def environment(folder: Path) -> dict[str, str]:
    """Return the variables that the command line got."""
    variables: dict[str, str] = json.loads((folder / "environment.json").read_text())
    return variables


def test_inputs_reach_scripts_by_the_environment_only() -> None:
    """In the text of a script, an input could be a command. Each input is used."""
    inputs, jobs = component()
    (made,) = jobs.values()

    assert not INPUT.search("".join(made["script"]))
    assert set(INPUT.findall(json.dumps(jobs))) == inputs.keys()


def test_each_input_says_what_it_is() -> None:
    """GitLab shows the descriptions in its catalog."""
    inputs, _ = component()

    assert all(spec["description"] for spec in inputs.values())
    assert [name for name, spec in inputs.items() if "default" not in spec] == ["repository", "source", "from"]


def test_the_job_is_where_the_pipeline_wants_it() -> None:
    """A component must fit into the stages and names of others."""
    inputs = {"repository": "team/web", "source": "staging", "from": "ecr-promoter"}
    _, jobs = component()

    made = job(stage="release", image="registry.example/uv", audience="promoter", **inputs)

    assert (made["stage"], made["image"]) == ("release", "registry.example/uv")
    assert made["id_tokens"] == {"PROMOTER_ID_TOKEN": {"aud": "promoter"}}
    assert list(jobs) == ["$[[ inputs.job-name ]]"]


@pytest.mark.parametrize("shell", [BASH, SH], ids=["bash", "sh"])
def test_the_inputs_are_the_arguments(tmp_path: Path, shell: Sequence[str]) -> None:
    """Lists are separated by spaces or lines. What is left out is not said. A runner may have no bash."""
    promote(tmp_path, shell=shell)
    assert asked(tmp_path) == ["promote", "--output=json", "--", "team/web", "staging"]

    promote(
        tmp_path,
        shell=shell,
        to="prod\nv1.4.0  latest",
        expect=f"prod={BEFORE} v1.4.0=none",
        dry_run=True,
        wait=True,
        timeout="30m",
        idempotency_key="web-7",
        api_url="https://api.example",
        stack="Promoter",
        aws_region="eu-west-1",
    )

    assert asked(tmp_path) == [
        "promote",
        "--output=json",
        "--dry-run",
        "--wait",
        "--to=prod",
        "--to=v1.4.0",
        "--to=latest",
        f"--expect=prod={BEFORE}",
        "--expect=v1.4.0=none",
        "--timeout=30m",
        "--idempotency-key=web-7",
        "--api-url=https://api.example",
        "--stack=Promoter",
        "--region=eu-west-1",
        *("--", "team/web", "staging"),
    ]


def test_an_input_may_name_variables_of_the_pipeline(tmp_path: Path) -> None:
    """Such as the commit that was built."""
    promote(tmp_path, source="build-$CI_COMMIT_SHORT_SHA")

    assert asked(tmp_path)[-1] == "build-0a1b2c3d"


HOSTILE = ["--debug", "$(touch hacked)", "`touch hacked`", "; touch hacked #", '"; touch hacked; "', "* ?", "a\nb"]


@pytest.mark.parametrize("shell", [BASH, SH], ids=["bash", "sh"])
@pytest.mark.parametrize("text", HOSTILE)
def test_no_input_is_a_command_an_option_or_a_pattern(tmp_path: Path, text: str, shell: Sequence[str]) -> None:
    """It is one argument, in its place."""
    others: dict[str, Any] = {"role_to_assume": text, "from": text, "to": re.sub(r"\s", "_", text)}
    promote(tmp_path, shell=shell, repository=text, source=text, idempotency_key=text, api_url=text, **others)

    arguments = asked(tmp_path)
    assert arguments[arguments.index("--") + 1 :] == [text, text]
    assert {f"--idempotency-key={text}", f"--api-url={text}", f"--to={others['to']}"} <= set(arguments)
    assert environment(tmp_path)["AWS_ROLE_ARN"] == text
    assert not (tmp_path / "hacked").exists()


def test_what_moved_is_there_for_later_jobs(tmp_path: Path) -> None:
    """As variables, and as an artifact with the whole answer, which the log shows too."""
    ended = promote(tmp_path)

    assert ended.code == 0
    assert ended.variables == {
        "PROMOTER_OUTCOME": "PROMOTED",
        "PROMOTER_CODE": "",
        "PROMOTER_PROMOTION_ID": "6c1f",
        "PROMOTER_DIGEST": DIGEST,
    }
    assert ended.answer["images"] == [{"imageId": {"imageDigest": DIGEST, "imageTag": "prod"}}]
    assert json.loads(ended.log) == ended.answer


@pytest.mark.parametrize(
    ("answer", "code", "outcome"),
    [(REFUSED, 3, "REFUSED"), (REFUSED, 4, "FAILED"), (PROMOTED | {"outcome": "WAITING"}, 5, "WAITING")],
)
def test_the_job_fails_as_the_command_does(tmp_path: Path, answer: Any, code: int, outcome: str) -> None:
    """With its exit code, for `allow_failure: exit_codes`. What it told is in the log."""
    ended = promote(tmp_path, answer, code=code, told="ecr-promoter: No.\n")

    assert (ended.code, ended.variables["PROMOTER_OUTCOME"]) == (code, outcome)
    assert "ecr-promoter: No.\n" in ended.log
    assert ended.answer["promotionId"] == "6c1f"


@pytest.mark.parametrize("printed", ["", "no JSON", "[]", "null"])
def test_a_command_without_an_answer_fails_the_job(tmp_path: Path, printed: str) -> None:
    """Nothing of an earlier job is left in its place."""
    promote(tmp_path)

    ended = promote(tmp_path, printed, code=2, told="ecr-promoter: There is no token to send.\n")

    assert (ended.code, ended.answer) == (2, {})
    assert "There is no token to send." in ended.log
    assert set(ended.variables.values()) == {""}


@pytest.mark.parametrize(
    "answer",
    [{"images": [7]}, {"images": 7}, {"images": [{"imageId": "x"}]}, {"code": 7}, {"promotionId": "x" * 9000}],
)
def test_an_answer_of_a_newer_service_does_not_break_the_report(tmp_path: Path, answer: Any) -> None:
    """The exit code stays that of the command line, and the variables are small enough for GitLab."""
    ended = promote(tmp_path, PROMOTED | answer)

    assert ended.code == 0
    assert "Traceback" not in ended.log
    assert ended.variables["PROMOTER_OUTCOME"] == "PROMOTED"
    assert (tmp_path / "ecr-promoter.env").stat().st_size < 5000


def test_the_command_line_writes_utf8(tmp_path: Path) -> None:
    """Its answer is read as UTF-8, whatever the locale of the image is. An answer in another is not read."""
    assert promote(tmp_path).code == 0
    assert environment(tmp_path)["PYTHONIOENCODING"] == "utf-8"

    (tmp_path / "bytes").write_bytes(b'{"outcome": "\xe9"}')
    ended = run(tmp_path, f'#!/bin/sh\ncat "{tmp_path}/bytes"\n', repository="team/web", source="staging")
    assert (ended.code, ended.answer) == (0, {})


@pytest.mark.parametrize("shell", [BASH, SH], ids=["bash", "sh"])
def test_a_missing_uvx_fails_the_job(tmp_path: Path, shell: Sequence[str]) -> None:
    """With the exit code of what could not be carried out. The log says what is missing."""
    ended = run(
        tmp_path,
        "#!/bin/sh\necho uvx: not found >&2\nexit 127\n",
        shell=shell,
        repository="team/web",
        source="staging",
    )

    assert (ended.code, ended.answer) == (4, {})
    assert "uvx" in ended.log


def test_no_file_of_the_job_stands_in_for_a_module(tmp_path: Path) -> None:
    """Earlier jobs may have left some."""
    (tmp_path / "json.py").write_text("raise SystemExit('taken')")

    ended = run(tmp_path, "#!/bin/sh\necho '{}'\nexit 3\n", repository="team/web", source="staging")

    assert ended.code == 3
    assert "taken" not in ended.log


def test_an_answer_cannot_write_to_the_variables_or_command_the_log(tmp_path: Path) -> None:
    """New lines and escapes in it are neither."""
    evil = "x\nPROMOTER_OUTCOME=PROMOTED\x1b[2J\u202e"

    ended = promote(tmp_path, REFUSED | {"promotionId": evil, "detail": evil, "code": evil}, code=3)

    assert ended.variables["PROMOTER_OUTCOME"] == "REFUSED"
    assert len(ended.variables) == 4
    assert ended.log.isascii()
    assert "\x1b" not in ended.log


def test_the_token_is_no_argument(tmp_path: Path) -> None:
    """It reaches the command line by the environment. GitLab itself masks it in the log."""
    ended = promote(tmp_path, audience="promoter")

    assert environment(tmp_path)["ECR_PROMOTER_TOKEN"] == "token for promoter"
    assert "AWS_ROLE_ARN" not in environment(tmp_path)
    assert "token for" not in " ".join(asked(tmp_path)) + ended.log + str(ended.answer)


@pytest.mark.parametrize("shell", [BASH, SH], ids=["bash", "sh"])
def test_a_role_is_assumed_with_the_token(tmp_path: Path, shell: Sequence[str]) -> None:
    """AWS's own libraries do it. Other credentials of the project do not stand in the way."""
    others = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_PROFILE": "other", "ECR_PROMOTER_TOKEN": "other"}
    keeper = f"""#!/bin/sh
stat -c %a "$AWS_WEB_IDENTITY_TOKEN_FILE" > {tmp_path}/mode
cat "$AWS_WEB_IDENTITY_TOKEN_FILE" > {tmp_path}/token
env > {tmp_path}/env
"""
    run(
        tmp_path,
        keeper,
        environment=others | {"TMPDIR": str(tmp_path)},
        shell=shell,
        repository="team/web",
        source="staging",
        role_to_assume=ROLE,
    )

    assert (tmp_path / "token").read_text() == "token for ecr-promoter"
    assert (tmp_path / "mode").read_text() == "600\n"
    known = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())
    assert (known["AWS_ROLE_ARN"], known["AWS_ROLE_SESSION_NAME"]) == (ROLE, "gitlab-42")
    assert not others.keys() & known.keys()
    assert not os.path.exists(known["AWS_WEB_IDENTITY_TOKEN_FILE"])  # noqa: PTH110 - a text of the environment


def test_the_page_includes_the_component_where_gitlab_finds_it(tmp_path: Path) -> None:
    """As the name of its file in `templates/`, with inputs that it has."""
    block = yaml.safe_load(snippets.snippets("promote-from-gitlab-ci")["include"])
    (included,) = block.pop("include")
    name, later = block

    assert included["component"].partition("@")[0].endswith(f"/ecr-promoter/{COMPONENT.stem}")
    assert COMPONENT.parent.name == "templates"
    promote(tmp_path, **snippets.gitlab_inputs() | snippets.gitlab_inputs("wait"))
    assert asked(tmp_path)[2:5] == ["--wait", "--to=prod", "--timeout=45m"]
    assert [name] == block[later]["needs"] == [component()[0]["job-name"]["default"]]
    assert "$PROMOTER_DIGEST" in block[later]["script"]


def test_the_page_lists_the_variables_of_later_jobs(tmp_path: Path) -> None:
    """All of them."""
    page = (snippets.HOW_TO / "promote-from-gitlab-ci.md").read_text()

    assert set(re.findall(r"^\| `(PROMOTER_\w+)` \|", page, re.MULTILINE)) == promote(tmp_path).variables.keys()
