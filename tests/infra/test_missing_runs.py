"""How soon the alarm for missing runs of reconcile is raised, given how CloudWatch evaluates missing data."""

from __future__ import annotations

import pytest

from tests.infra.test_alarms import alarms_of, watched

BEYOND = 3
"""Periods that CloudWatch reads in addition to those of an alarm; the user guide's examples have two."""


@pytest.mark.parametrize("minutes", [2, 15, 59, 60, 720, 1000, 1440])
def test_missing_runs_raise_an_alarm_soon_after_twice_the_interval(minutes: int) -> None:
    """CloudWatch evaluates existing data points, also some before the window, before it treats any as missing.

    It reads more periods than the alarm names, its "evaluation range", and their data points count (CloudWatch
    user guide, "Configuring how CloudWatch alarms treat missing data"). With periods as long as the interval, the
    alarm would be raised after four or five intervals without a run: after days, if the interval is a day.
    """
    alarm = alarms_of(watched(minutes=minutes))["ReconcileMissing"]

    raised_after = (alarm["EvaluationPeriods"] + BEYOND) * alarm["Period"]
    assert alarm["EvaluationPeriods"] * alarm["Period"] >= 2 * minutes * 60
    assert raised_after <= 2.5 * minutes * 60 + 180
