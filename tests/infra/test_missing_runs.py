"""When the alarm that no run of reconcile has ended goes off, by how CloudWatch evaluates silence."""

from __future__ import annotations

import pytest

from tests.infra.test_alarms import alarms_of, watched

BEYOND = 3
"""Periods at which CloudWatch looks beside those of an alarm: two in the user guide's examples, or more."""


@pytest.mark.parametrize("minutes", [2, 15, 59, 60, 720, 1000, 1440])
def test_missing_runs_are_told_soon_after_twice_the_interval(minutes: int) -> None:
    """Data points that are there are evaluated before any is taken for missing, also some from before the window.

    CloudWatch reads more periods than the alarm names, its "evaluation range", and what it finds in them counts
    (CloudWatch user guide, "Configuring how CloudWatch alarms treat missing data"). With periods as long as the
    interval, reconcile is dead for four or five intervals until it is told: for days with an interval of a day.
    """
    alarm = alarms_of(watched(minutes=minutes))["ReconcileMissing"]

    told_after = (alarm["EvaluationPeriods"] + BEYOND) * alarm["Period"]
    assert alarm["EvaluationPeriods"] * alarm["Period"] >= 2 * minutes * 60
    assert told_after <= 2.5 * minutes * 60 + 180
