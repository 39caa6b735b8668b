"""How the program finds the API."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.cli.conftest import FakeApi, Run

STACKS = """<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStacksResult>
<Stacks><member><StackName>EcrPromoter</StackName><CreationTime>2026-11-24T10:00:00Z</CreationTime>
<StackStatus>CREATE_COMPLETE</StackStatus><Outputs>{outputs}</Outputs></member></Stacks></DescribeStacksResult>
</DescribeStacksResponse>"""
OUTPUT = "<member><OutputKey>{name}</OutputKey><OutputValue>{value}</OutputValue></member>"
MISSING = """<ErrorResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><Error><Type>Sender</Type>
<Code>ValidationError</Code><Message>Stack with id {name} does not exist</Message></Error></ErrorResponse>"""


@pytest.fixture
def aws(api: FakeApi, run: Run, monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    """The fake server as CloudFormation too; the environment names no API."""
    monkeypatch.delenv("ECR_PROMOTER_API_URL")
    monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDFORMATION", api.url)
    return api.answer("GET /freeze", {"freezes": []})


def outputs(**values: str) -> str:
    return STACKS.format(outputs="".join(OUTPUT.format(name=name, value=value) for name, value in values.items()))


@pytest.mark.parametrize(("line", "stack"), [((), "EcrPromoter"), (("--stack", "Another"), "Another")])
def test_the_stack_knows_where_the_api_is(aws: FakeApi, run: Run, line: Sequence[str], stack: str) -> None:
    """By its output ApiUrl; the stack has its usual name unless the user names another."""
    aws.answer("POST /", outputs(TableName="t", ApiUrl=aws.url))

    assert run("freeze", *line).exit_code == 0
    assert f"StackName={stack}" in aws.asked[0].body.decode()
    assert aws.routes() == ["POST /", "GET /freeze"]


def test_a_token_goes_to_the_api_for_tokens(aws: FakeApi, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stack has one for each kind of caller."""
    monkeypatch.setenv("ECR_PROMOTER_TOKEN", "a.b.c")
    aws.answer("POST /", outputs(ApiUrl=aws.url, TokenApiUrl=f"{aws.url}/tokens"))

    run("freeze")
    assert aws.routes() == ["POST /", "GET /tokens/freeze"]


def test_a_stack_without_an_api_for_tokens_is_named(
    aws: FakeApi, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token is sent nowhere."""
    monkeypatch.setenv("ECR_PROMOTER_TOKEN", "a.b.c")
    aws.answer("POST /", outputs(ApiUrl=aws.url))

    refused = run("freeze")

    assert refused.exit_code == 2
    assert "takes no tokens. Deploy it with authorization jwt." in refused.stderr
    assert aws.routes() == ["POST /"]


def test_the_environment_spares_the_question(aws: FakeApi, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipeline needs no right on CloudFormation. Options go before the environment."""
    monkeypatch.setenv("ECR_PROMOTER_API_URL", f"{aws.url}/")
    aws.answer("POST /", outputs(ApiUrl=aws.url))

    run("freeze")
    assert aws.routes() == ["GET /freeze"]
    run("freeze", "--api-url", f"{aws.url}/elsewhere")
    assert aws.routes()[1:] == ["GET /elsewhere/freeze"]
    run("freeze", "--stack", "EcrPromoter")
    assert aws.routes()[2:] == ["POST /", "GET /freeze"]


@pytest.mark.parametrize(
    ("status", "answer", "words"),
    [
        (
            400,
            MISSING.format(name="EcrPromoter"),
            "There is no stack EcrPromoter in eu-central-1. Name the API with",
        ),
        (200, outputs(TableName="t"), "has no output ApiUrl: it is not an ecr-promoter."),
        (200, outputs(ApiUrl="ftp://x"), "ftp://x is not the address of an API."),
    ],
)
def test_where_there_is_no_api_the_user_learns_how_to_name_it(
    aws: FakeApi, run: Run, status: int, answer: str, words: str
) -> None:
    """Exit code 2: nothing was asked for."""
    aws.answer("POST /", answer, status)

    ended = run("freeze")

    assert ended.exit_code == 2
    assert words in ended.stderr


def test_without_a_region_the_user_is_asked_for_the_api(
    aws: FakeApi, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first thing that happens to who has set up nothing."""
    monkeypatch.delenv("AWS_REGION")

    ended = run("promote", "team/web", "build-42")

    assert ended.exit_code == 2
    assert "ECR_PROMOTER_API_URL" in ended.stderr
