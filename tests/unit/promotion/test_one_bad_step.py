"""A step of reconcile that meets what nobody has thought of."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from promoter.domain.errors import PromoterError
from promoter.promotion.time_shares import Step, Work, share_time

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def shared(*kinds: Work) -> list[str]:
    """Carry out all steps, and return what failed."""
    failures: list[PromoterError] = []
    share_time(kinds, in_time=lambda _: True, now=lambda: NOW, failed=failures.append)
    return [failure.detail for failure in failures]


def broken() -> None:
    raise KeyError("digest")


def test_an_unexpected_error_does_not_keep_the_other_steps_from_being_done() -> None:
    """An item of the table that somebody changed by hand, or a mistake of ours, would end every run at its place.

    Nothing behind it would be settled, finished or compared any more, and no run would tell what it did.
    """
    done: list[str] = []
    kinds = (
        Work("broken", iter([broken, lambda: done.append("behind it")]), timedelta()),
        Work("other", iter([lambda: done.append("of another kind")]), timedelta()),
    )

    assert shared(*kinds) == ["KeyError: 'digest'"]
    assert sorted(done) == ["behind it", "of another kind"]


def test_a_kind_that_cannot_be_listed_does_not_end_the_others() -> None:
    """For example a head without its digest, on the page that has to be read next."""
    done: list[str] = []

    def unlisted() -> Iterator[Step]:
        raise ValueError("no head")
        yield broken

    assert shared(
        Work("unlisted", unlisted(), timedelta()),
        Work("other", iter([lambda: done.append("done")]), timedelta()),
    ) == ["ValueError: no head"]
    assert done == ["done"]
