"""Long walks through what can happen to two tags."""

from __future__ import annotations

import pytest

from local.aws import LocalAws
from tests.adapters.walks import walk


@pytest.mark.parametrize("number", range(8))
def test_what_must_always_hold_does_so_on_a_long_walk(local_aws: LocalAws, number: int) -> None:
    """After each of forty steps; the same walks at every run."""
    walk(local_aws, number, steps=40)
