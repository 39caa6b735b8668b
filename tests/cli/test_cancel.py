"""`cancel`: what the service answers, as an exit code and a line."""

from __future__ import annotations

from tests.cli.conftest import ID, FakeApi, Run, problem, record

ROUTE = f"DELETE /promotions/{ID}"


def test_a_promotion_that_is_cancelled_is_shown(run: Run, api: FakeApi) -> None:
    """With what became of it."""
    by = "It was cancelled by arn:aws:iam::123456789012:user/ann."
    api.answer(ROUTE, record("REFUSED", code="cancelled", detail=by, images=None))

    ended = run("cancel", ID)

    assert ended.exit_code == 0
    assert by in ended.stdout


def test_a_promotion_that_has_ended_cannot_be_cancelled(run: Run, api: FakeApi) -> None:
    """Exit code 3: nothing was cancelled, and a retry does not help."""
    api.answer(ROUTE, problem("not_waiting", 409, f"Promotion {ID} has ended as PROMOTED."), 409)

    ended = run("cancel", ID)

    assert (ended.exit_code, len(api.asked)) == (3, 1)
    assert "has ended as PROMOTED" in ended.stderr
    assert "`ecr-promoter status` shows how it ended" in ended.stderr


def test_a_promotion_that_is_carried_out_is_asked_for_again(run: Run, api: FakeApi) -> None:
    """It has ended a moment later, or waits again."""
    api.answer(ROUTE, problem("tag_busy", 409, "It is moving tags."), 409, retry_after="1")
    api.answer(ROUTE, record("REFUSED", code="cancelled", detail="It was cancelled.", images=None))

    assert run("cancel", ID).exit_code == 0
    assert len(api.asked) == 2


def test_only_the_requester_and_operators_may_cancel(run: Run, api: FakeApi) -> None:
    """Exit code 3, with what decides about it."""
    api.answer(ROUTE, problem("not_allowed", 403, "Caller arn:x is not an operator."), 403)

    ended = run("cancel", ID)

    assert ended.exit_code == 3
    assert "is not an operator" in ended.stderr
