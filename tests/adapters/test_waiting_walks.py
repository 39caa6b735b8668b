"""Long walks through what can happen to promotions that wait."""

from __future__ import annotations

import pytest

from local.aws import LocalAws
from tests.adapters.waiting_walks import walk


@pytest.mark.parametrize("number", range(4))
def test_each_waiting_promotion_ends_once_on_a_long_walk(local_aws: LocalAws, number: int) -> None:
    """After each of forty steps; the same walks at every run."""
    walk(local_aws, number, steps=40)
