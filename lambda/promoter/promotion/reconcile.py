"""Finishes what crashes and lost events left behind: some of each kind of work in each run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from promoter.domain.answers import Answer, NotPromoted, Waiting
from promoter.domain.errors import PromoterError, error_of
from promoter.domain.model import Outcome, Promotion, Repository
from promoter.domain.ports import ReconcileRuns
from promoter.domain.records import Head, Rota
from promoter.domain.waiting import WITHIN_SECONDS, is_certain
from promoter.promotion.dependencies import Dependencies
from promoter.promotion.drift_checks import Drifts
from promoter.promotion.recovery import recover
from promoter.promotion.time_shares import Step, Work, share_time

MOST_FAILURES = 50  # that the log and the answer list
CALLS = timedelta(seconds=3)
"""How long the calls of a step take, unless AWS is slow. The lease of a run outlasts the run by more than this."""


@dataclass(frozen=True)
class Reconciled:
    """What a run did: promotions it recovered, waiting promotions it ended, tags it found elsewhere.

    `stale` is how many interrupted promotions it found, `failed` how many steps failed, `failures` why the first
    of them did, `unfinished` the kinds of work that it had too little time for. `interval` is the longest time
    between two comparisons of a tag that moves, `longest_wait` the age of the oldest promotion that was tried and
    waits for what may never come. `compared_all`: every tag that moves was compared, so that a tag
    that is not in `drifted` has not drifted.
    """

    stale: int = 0
    settled: tuple[str, ...] = ()
    finished: int = 0
    waiting: int = 0
    drifted: tuple[Head, ...] = ()
    failures: tuple[str, ...] = ()
    failed: int = 0
    unfinished: tuple[str, ...] = ()
    interval: timedelta | None = field(default=None, compare=False)
    longest_wait: timedelta = field(default=timedelta(), compare=False)
    compared_all: bool = field(default=True, compare=False)


@dataclass
class Tally:
    """What a run has done until now."""

    stale: int = 0
    settled: list[str] = field(default_factory=list)
    tried: list[bool] = field(default_factory=list)
    drifted: dict[tuple[Repository, str], Head] = field(default_factory=dict)
    failures: dict[str, None] = field(default_factory=dict)
    failed: int = 0
    longest_wait: timedelta = timedelta()

    def found(self, head: Head) -> None:
        """Remember a tag that is elsewhere; one that was compared twice is listed once."""
        self.drifted[head.repository, head.image_tag] = head

    def fail(self, error: PromoterError) -> None:
        """Count a failure; the same text is listed once."""
        self.failed += 1
        if len(self.failures) < MOST_FAILURES:
            self.failures[error.detail] = None


@dataclass(frozen=True)
class Reconciler:
    """`resume` tries a promotion that waits; `in_time` says if there is time for a step that takes so long."""

    dependencies: Dependencies
    runs: ReconcileRuns
    resume: Callable[[str], tuple[Promotion, Answer] | None]
    in_time: Callable[[timedelta], bool]

    def run(self) -> Reconciled:
        """Recover stale intents, try what waits, look for drift: each in its share of the time.

        The next run does what failed or what there was no time for.
        """
        tally, start = Tally(), self.dependencies.now()
        heads = Drifts(self.dependencies, self.runs, tally.found)
        promotion_time = 2 * self.dependencies.patience + CALLS
        kinds = (
            Work("stale intents", self._stale(tally), CALLS),
            Work("heads of tags that move", heads.steps(Rota.MOVING, start), CALLS),
            Work("waiting promotions", self._waiting(tally), promotion_time),
            Work("heads of tags put once", heads.steps(Rota.ONCE, start), CALLS),
        )
        unfinished = share_time(kinds, in_time=self.in_time, now=self.dependencies.now, failed=tally.fail)
        return Reconciled(
            stale=tally.stale,
            settled=tuple(tally.settled),
            finished=tally.tried.count(True),
            waiting=tally.tried.count(False),
            drifted=tuple(tally.drifted.values()),
            failures=tuple(tally.failures),
            failed=tally.failed,
            unfinished=unfinished,
            interval=heads.interval(),
            longest_wait=tally.longest_wait,
            compared_all=heads.complete,
        )

    def _stale(self, tally: Tally) -> Iterator[Step]:
        for promotion_id in self.dependencies.ledger.abandoned():
            tally.stale += 1
            yield partial(self._recover, promotion_id, tally)

    def _recover(self, promotion_id: str, tally: Tally) -> None:
        recover(promotion_id, self.dependencies)
        tally.settled.append(promotion_id)

    def _waiting(self, tally: Tally) -> Iterator[Step]:
        """Yield a step for each waiting promotion whose next try is due; the try moves it on."""
        for promotion_id in self.dependencies.waiting.due(self.dependencies.now()):
            yield partial(self._resume, promotion_id, tally)

    def _resume(self, promotion_id: str, tally: Tally) -> None:
        """Try a promotion that waits."""
        resumed = self.resume(promotion_id)
        if resumed is None:
            return
        promotion, answer = resumed
        if isinstance(answer, Waiting):
            for each in answer.record.reasons:
                if each.code in WITHIN_SECONDS:
                    tally.fail(error_of(each.code)(each.sentence))
            if not is_certain(answer.record):
                tally.longest_wait = max(tally.longest_wait, self.dependencies.now() - promotion.asked_at)
        elif isinstance(answer, NotPromoted) and answer.error.retryable:
            tally.fail(answer.error)
        tally.tried.append(answer.outcome not in (Outcome.WAITING, Outcome.FAILED))
