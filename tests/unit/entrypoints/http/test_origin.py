"""The promotionId that a request gets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from promoter.domain.errors import InvalidRequest
from promoter.entrypoints.http.origin import is_promotion_id
from tests.unit.entrypoints.http.conftest import ORIGIN


def test_a_key_of_the_first_release_gives_the_same_id() -> None:
    """A pipeline that runs again after an upgrade finds its first answer."""
    assert ORIGIN.promotion_id() == "8bad3820-dab9-5ade-943f-9a8f8fe46983"


def test_a_key_gives_the_same_id_again() -> None:
    """Also in another session of the role."""
    assert replace(ORIGIN, caller="somebody else").promotion_id() == ORIGIN.promotion_id()


@pytest.mark.parametrize("change", [{"principal": "another"}, {"idempotency_key": "deploy-8"}])
def test_another_key_or_principal_gives_another_id(change: dict[str, str]) -> None:
    """Nobody learns the answer of somebody else's key."""
    assert replace(ORIGIN, **change).promotion_id() != ORIGIN.promotion_id()


def test_a_key_stands_for_its_subject() -> None:
    """A promotion, and the rollback of it, may have the same key."""
    subjects = ["", "p-1", "p-2", "123456789012/team/web:prod"]

    assert len({ORIGIN.promotion_id(subject) for subject in subjects}) == len(subjects)


def test_without_a_key_each_request_is_another() -> None:
    """Two equal requests are two promotions."""
    anonymous = replace(ORIGIN, idempotency_key=None)

    assert anonymous.promotion_id() != anonymous.promotion_id()


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "\n", "\ud800", "x" * 256, "deploy-7\n"])
def test_a_key_that_cannot_be_one_is_named(key: str) -> None:
    """It has 1 to 255 printable characters."""
    with pytest.raises(InvalidRequest, match="1 to 255 printable characters") as raised:
        replace(ORIGIN, idempotency_key=key).promotion_id()

    assert raised.value.field == "Idempotency-Key"


@pytest.mark.parametrize("text", ["p-1", "6c1f0f3e-8a51-4b7c-9a3c-0f5d9b1c2d3e", "x" * 64])
def test_what_can_be_a_promotion_id_is_looked_up(text: str) -> None:
    """Letters, digits and hyphens."""
    assert is_promotion_id(text)


@pytest.mark.parametrize("text", ["", "x" * 65, "a b", "a\n", "é", "a/b", "a.b", "\ud800", "%00"])
def test_nothing_else_is(text: str) -> None:
    """The table is not asked for it."""
    assert not is_promotion_id(text)
