"""Tags that a rule names in a pattern, and that nobody has moved for long."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from promoter.domain.model import Head, Rota
from promoter.promotion.dependencies import Dependencies
from promoter.promotion.drift_checks import Drifts
from tests.support.ledgers import dependencies, runs
from tests.support.policies import policy, rule
from tests.support.registries import InMemoryRegistry
from tests.unit.promotion.test_drift_checks import NOW, head_of

PATTERNS = ["^prod$", "prod|canary", "^(canary|prod)$", "(?:canary|prod)", r"prod\-eu|prod"]


def rota_of(head: Head, *patterns: str) -> Rota | None:
    here: Dependencies = dependencies(
        policy(rule(to=[], to_matching=list(patterns))), InMemoryRegistry(), now=lambda: NOW
    )
    return Drifts(here, runs(here), lambda _: None)._rota(head, None)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_tag_that_a_pattern_spells_out_is_compared_for_good(pattern: str) -> None:
    """`to_matching: [prod]` names it as `to: [prod]` does.

    Put once, it would be compared for a week and then no longer: who moves it on the eighth day is never found.
    """
    old = replace(head_of("prod"), moved_at=NOW - timedelta(days=30))

    assert rota_of(old, pattern) is Rota.MOVING


def test_a_tag_of_many_that_a_pattern_admits_is_not() -> None:
    """There is one for every build: they would crowd out the others."""
    old = replace(head_of("v17"), moved_at=NOW - timedelta(days=30))

    assert rota_of(old, r"^v\d+$", "prod") is None
