"""Who we are to the API: signatures that AWS would accept, and tokens that nobody else sees."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import FakeApi, Run, promoted, record, waiting

ASK = ("promote", "team/web", "build-42", "--to", "prod")


def test_a_request_is_signed_for_the_api(run: Run, api: FakeApi) -> None:
    """With SigV4, over body and query, as botocore computes it again from what arrived."""
    api.answer("POST /promotions", promoted()).answer("GET /heads", {"heads": []})

    assert run(*ASK).exit_code == 0
    assert run("heads", "team/web", "a+b").exit_code == 0

    assert [each.is_signed for each in api.asked] == [True, True]
    assert api.asked[1].query["imageTag"] == "a+b"


def test_the_region_of_an_api_of_api_gateway_is_in_its_name() -> None:
    """A signature for another Region would not be accepted, whatever the user's own is."""
    from ecr_promoter.api.address import region_of

    assert region_of("https://abc123.execute-api.eu-west-1.amazonaws.com/stage") == "eu-west-1"
    assert region_of("https://promoter.example.com") is None


def test_a_profile_signs(run: Run, api: FakeApi, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By --profile, with its credentials and its Region."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.delenv(name)
    (tmp_path / "credentials").write_text("[work]\naws_access_key_id = AKIDOTHER\naws_secret_access_key = other\n")
    (tmp_path / "config").write_text("[profile work]\nregion = us-west-2\n")
    api.answer("GET /freeze", {"freezes": []})

    assert run("freeze", "--profile", "work").exit_code == 0
    assert "Credential=AKIDOTHER/" in api.asked[0].headers["authorization"]
    assert "/us-west-2/execute-api/" in api.asked[0].headers["authorization"]


@pytest.mark.parametrize(
    ("line", "words"), [((), "aws sso login"), (("--profile", "nobody"), "aws configure list-profiles")]
)
def test_without_credentials_the_user_learns_how_to_get_them(
    run: Run, api: FakeApi, monkeypatch: pytest.MonkeyPatch, line: tuple[str, ...], words: str
) -> None:
    """Exit code 2, one line, and nothing was sent."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    ended = run(*ASK, *line)

    assert (ended.exit_code, api.asked) == (2, [])
    assert words in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_token_of_the_environment_is_sent(run: Run, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in GitLab CI, whose `id_tokens` are variables. No AWS credentials are needed."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("ECR_PROMOTER_TOKEN", "a.job.token")
    api.answer("POST /promotions", promoted())

    assert run(*ASK).exit_code == 0
    assert api.asked[0].headers["authorization"] == "Bearer a.job.token"


def test_a_github_job_gets_its_own_token(run: Run, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --token: from the address that GitHub gives to the job, for the audience of the API."""
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", f"{api.url}/token?v=2")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "the-jobs-secret")
    api.answer("GET /token", {"value": "github.job.token"}).answer("POST /promotions", promoted())

    assert run(*ASK, "--token", "--audience", "our promoter").exit_code == 0

    asked, sent = api.asked
    assert asked.query == {"v": "2", "audience": "our promoter"}
    assert asked.headers["authorization"] == "bearer the-jobs-secret"
    assert sent.headers["authorization"] == "Bearer github.job.token"


def test_a_token_that_has_expired_is_renewed(run: Run, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """GitHub's are good for minutes, and a promotion may wait for hours."""
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", f"{api.url}/token?v=2")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "the-jobs-secret")
    api.answer("GET /token", {"value": "first"}).answer("GET /token", {"value": "second"})
    api.answer("POST /promotions", waiting("scan_pending"), 202)
    path = f"GET /promotions/{waiting()['promotionId']}"
    api.answer(path, {"message": "Unauthorized"}, 401).answer(path, record())

    assert run(*ASK, "--token", "--wait").exit_code == 0
    assert api.asked[-1].headers["authorization"] == "Bearer second"


@pytest.mark.parametrize("answer", [{}, {"value": None}, []])
def test_without_a_token_the_user_learns_what_the_job_needs(
    run: Run, api: FakeApi, monkeypatch: pytest.MonkeyPatch, answer: object
) -> None:
    """Both where there is no CI system and where it gives none."""
    assert "id-token: write" in run(*ASK, "--token").stderr

    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", f"{api.url}/token?v=2")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "the-jobs-secret")
    api.answer("GET /token", answer)
    ended = run(*ASK, "--token")

    assert ended.exit_code == 2
    assert "id-token: write" in ended.stderr


def test_a_token_is_not_sent_in_the_clear(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads it on the way could promote with it."""
    monkeypatch.setenv("ECR_PROMOTER_TOKEN", "a.job.token")

    ended = run(*ASK, "--api-url", "http://promoter.example.com")

    assert ended.exit_code == 2
    assert "over https only" in ended.stderr


def test_debug_shows_no_secret(run: Run, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs of CI systems are read by many."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "the-session-token")
    api.answer("POST /promotions", promoted())
    signed = run(*ASK, "--debug").stderr
    monkeypatch.setenv("ECR_PROMOTER_TOKEN", "a.job.token")
    with_token = run(*ASK, "--debug").stderr

    assert "POST" in signed
    assert "(secret)" in signed
    for secret in ("the-session-token", "a.job.token", "Signature="):
        assert secret not in signed + with_token


@pytest.mark.parametrize(
    "secret", ["the-secret\nx-other: 1", "the-secret\r\n\r\nx", "the-secret→"], ids=["line", "lines", "not latin"]
)
@pytest.mark.parametrize("variable", ["ECR_PROMOTER_TOKEN", "AWS_SESSION_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"])
def test_a_secret_that_cannot_be_sent_is_not_shown(
    run: Run, api: FakeApi, monkeypatch: pytest.MonkeyPatch, variable: str, secret: str
) -> None:
    """A secret that was stored with a newline is common. The HTTP client's error repeats it, ours does not."""
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", f"{api.url}/token")
    monkeypatch.setenv(variable, secret)
    line = (*ASK, "--token") if variable.startswith("ACTIONS") else ASK

    ended = run(*line, "--debug")

    assert (ended.exit_code, api.asked) == (2, [])
    assert "Set it again" in ended.stderr
    assert "the-secret" not in ended.stderr


def test_a_secret_is_not_shown_to_who_looks_for_the_api_either(
    run: Run, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CloudFormation is asked by boto3, whose error repeats it too."""
    monkeypatch.delenv("ECR_PROMOTER_API_URL")
    monkeypatch.setenv("AWS_ENDPOINT_URL", api.url)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "the-secret\n")

    ended = run(*ASK, "--debug")

    assert (ended.exit_code, api.asked) == (2, [])
    assert "the-secret" not in ended.stderr


@pytest.mark.parametrize(("status", "exit_code"), [(0, 4), (500, 4), (503, 4), (403, 2), (404, 2)])
def test_a_token_that_github_does_not_give_is_told(
    run: Run, api: FakeApi, monkeypatch: pytest.MonkeyPatch, status: int, exit_code: int
) -> None:
    """Exit code 4 where a retry may help; 2 where the job lacks the right."""
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", f"{api.url}/token")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "the-jobs-secret")
    api.answer("GET /token", {}, status)

    ended = run(*ASK, "--token")

    assert ended.exit_code == exit_code
    assert "GitHub" in ended.stderr
    assert "bug" not in ended.stderr


EXPIRED = (
    '{"Version": 1, "AccessKeyId": "a", "SecretAccessKey": "the-secret", "SessionToken": "the-secret", '
    '"Expiration": "2020-01-01T00:00:00Z"}'
)


@pytest.mark.parametrize(("prints", "words"), [(EXPIRED, "still expired"), ("the-secret", "AWS files")])
def test_credentials_of_a_process_that_are_no_use_are_told(
    run: Run, api: FakeApi, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, prints: str, words: str
) -> None:
    """Exit code 2, one line, without what the process printed."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    (tmp_path / "printed").write_text(prints)
    (tmp_path / "config").write_text(f"[default]\ncredential_process = cat {tmp_path / 'printed'}\n")

    ended = run(*ASK, "--debug")

    assert (ended.exit_code, api.asked) == (2, [])
    assert words in ended.stderr
    assert "the-secret" not in ended.stderr


@pytest.mark.parametrize(
    ("variables", "config"),
    [
        ({"AWS_ENDPOINT_URL": "not a URL"}, ""),
        ({"AWS_REGION": "not a region"}, ""),
        ({}, "this is not a file of settings"),
        ({"AWS_DEFAULTS_MODE": "none"}, ""),
    ],
)
def test_a_mistake_in_the_settings_of_aws_is_told(
    run: Run, api: FakeApi, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variables: dict[str, str], config: str
) -> None:
    """Exit code 2: nothing was sent."""
    (tmp_path / "config").write_text(config)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    ended = run("diff", "team/web", "prod", "staging")

    assert (ended.exit_code, api.asked) == (2, [])
    assert "Correct the options, the environment or the AWS files" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_an_answer_that_is_not_of_aws_is_told(run: Run, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that wants a login answers in place of CloudFormation."""
    monkeypatch.delenv("ECR_PROMOTER_API_URL")
    monkeypatch.setenv("AWS_ENDPOINT_URL", api.url)
    api.answer("POST /", "<html>Log in")

    ended = run(*ASK)

    assert ended.exit_code == 4
    assert "not an answer of AWS" in ended.stderr
