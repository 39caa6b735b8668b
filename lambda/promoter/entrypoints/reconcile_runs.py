"""Runs of reconcile, on schedule or on request: one at a time, and each with an end."""

from __future__ import annotations

import uuid
from datetime import timedelta

from promoter import telemetry, wiring
from promoter.domain.errors import PromoterError, ReconcileRunning
from promoter.domain.ports import ReconcileRuns
from promoter.entrypoints import service
from promoter.promotion.reconcile import Reconciled, Reconciler
from promoter.settings import RunSettings

ON_REQUEST = timedelta(seconds=25)
"""How long the caller of `POST /reconcile` waits: API Gateway answers 504 after 30 s."""

LATE = timedelta(seconds=30)
"""How much longer than a run its lease lasts, for a last step whose calls to AWS are slow."""


def on_schedule() -> Reconciled | None:
    """Reconcile for as long as the schedule allows; None: another run is under way and does the work."""
    try:
        return _run(RunSettings.read().time, "schedule")
    except ReconcileRunning as running:
        telemetry.logger.info("reconcile skipped", reason=running.detail)
        return None


def on_request() -> Reconciled:
    """Reconcile for as long as a caller waits. Raises ReconcileRunning."""
    return _run(ON_REQUEST, "request")


def _run(time: timedelta, trigger: str) -> Reconciled:
    dependencies, runs, holder = wiring.dependencies(), wiring.reconcile_runs(), uuid.uuid4().hex
    end = dependencies.now() + time
    if not runs.begin(holder, end + LATE):
        raise ReconcileRunning("Another run of reconcile is under way. Try again when it has ended.")
    try:
        done = Reconciler(
            dependencies=dependencies,
            runs=runs,
            resume=service.resume,
            in_time=lambda longest: dependencies.now() + longest <= end,
        ).run()
        telemetry.report_reconciled(done, trigger=trigger)
    finally:
        _end(holder, runs)
    return done


def _end(holder: str, runs: ReconcileRuns) -> None:
    try:
        runs.end(holder)
    except PromoterError as error:  # the lease ends by itself
        telemetry.logger.warning("the lease of the run was not given back", detail=error.detail)
