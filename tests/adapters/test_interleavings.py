"""Promotions, rollbacks, freezes, crashes and reconcile in any order."""

from __future__ import annotations

import pytest

from local.aws import LocalAws
from tests.adapters.interleavings import explore


@pytest.mark.parametrize("seed", [1, 2])
def test_a_hundred_interleavings(local_aws: LocalAws, seed: int) -> None:
    """What must always hold does so after every step; the same examples at every run."""
    explore(local_aws, seed, examples=100)
