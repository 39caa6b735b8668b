"""Options and variables with mistakes: exit code 2, one line, and nothing is sent."""

from __future__ import annotations

import pytest

from tests.cli.conftest import FakeApi, Run, promoted

ASK = ("promote", "team/web", "build-42")


@pytest.mark.parametrize(
    "url",
    [
        "http://[::1",
        "https://host:99999",
        "https://host:abc",
        "https://host:0",
        "https://ho st",
        "https://host\nx-other: 1",
        "https://",
        "https://:443",
        "https://host?",
        "https://host/#",
        "https://host\\path",
        "host",
        "file:///etc/passwd",
    ],
)
def test_what_is_not_an_address_is_told(run: Run, api: FakeApi, url: str) -> None:
    """Whatever is wrong with it."""
    ended = run(*ASK, "--api-url", url)

    assert (ended.exit_code, api.asked) == (2, [])
    assert "is not the address of an API" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_password_in_the_address_is_not_shown(run: Run) -> None:
    """Logs would keep it, and nobody would use it."""
    ended = run(*ASK, "--api-url", "https://user:the-password@host", "--debug")

    assert ended.exit_code == 2
    assert "without a user or a password" in ended.stderr
    assert "the-password" not in ended.stderr


@pytest.mark.parametrize("promotion_id", ["", ".", ".."])
@pytest.mark.parametrize("command", ["status", "rollback", "cancel"])
def test_a_promotion_id_that_would_name_another_route_is_not_sent(
    run: Run, api: FakeApi, command: str, promotion_id: str
) -> None:
    """Such as a variable of the shell that is not set."""
    ended = run(command, promotion_id)

    assert (ended.exit_code, api.asked) == (2, [])
    assert "is not a promotionId" in ended.stderr


@pytest.mark.parametrize(
    "line",
    [
        ("list", "team/web", "--since", "1000000d"),
        ("list", "team/web", "--until", "999999999d"),
        ("freeze", "why", "--until", "9999999d"),
    ],
)
def test_a_time_in_no_year_is_told(run: Run, api: FakeApi, line: tuple[str, ...]) -> None:
    """Years have four digits."""
    ended = run(*line)

    assert (ended.exit_code, api.asked) == (2, [])
    assert "is too long" in ended.stderr


@pytest.mark.parametrize("option", ["--cli-read-timeout", "--cli-connect-timeout"])
def test_time_limits_are_those_of_the_aws_cli(run: Run, api: FakeApi, option: str) -> None:
    """Whole seconds; 0 means that there is no limit."""
    api.answer("POST /promotions", promoted())

    assert run(*ASK, option, "0").exit_code == 0
    for wrong in ("-1", "0.5", "nan", "1e9"):
        assert run(*ASK, option, wrong).exit_code == 2
    assert len(api.asked) == 1


def test_a_query_that_is_nested_too_deeply_is_told(run: Run, api: FakeApi) -> None:
    """Before anything is sent."""
    ended = run(*ASK, "--query", f"{'(' * 5000}a{')' * 5000}")

    assert (ended.exit_code, api.asked) == (2, [])
    assert "nested too deeply" in ended.stderr


def test_a_home_of_nobody_is_a_file_that_is_not_there(run: Run, api: FakeApi) -> None:
    """`~name` of a user whom this machine does not know stays as it is, as in the AWS CLI."""
    line = ("put-image", "--repository-name", "team/web", "--image-tag", "prod")

    ended = run(*line, "--image-manifest", "file://~nobody-has-this-name/manifest.json")

    assert (ended.exit_code, api.asked) == (2, [])
    assert "cannot be read" in ended.stderr
