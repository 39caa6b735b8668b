"""Following a promotion whose record is not what this version of the command line knows."""

from __future__ import annotations

from tests.cli.conftest import ID, FakeApi, Run, record


def test_an_outcome_of_a_newer_service_ends_the_wait(run: Run, api: FakeApi) -> None:
    """Only WAITING and running go on; without --timeout the command would ask for ever."""
    api.answer(f"GET /promotions/{ID}", record("REJECTED"))

    ended = run("status", ID, "--timeout", "60s")

    assert ended.exit_code == 4
    assert len(api.asked) == 1
