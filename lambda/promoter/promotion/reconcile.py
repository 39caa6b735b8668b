"""Finishes what events and crashes left behind: some of each kind of work in each run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from promoter.domain.answers import Answer, NotPromoted
from promoter.domain.errors import Frozen, PromoterError
from promoter.domain.model import DeferredPromotion, Head, Outcome, Promotion, Repository, Rota
from promoter.domain.ports import DeferredPromotions, ReconcileRuns
from promoter.promotion.dependencies import Dependencies
from promoter.promotion.drift_checks import Drifts
from promoter.promotion.promote import rehearse
from promoter.promotion.recovery import recover
from promoter.promotion.time_shares import Step, Work, share_time

PAGE = 100  # deferred promotions that are read at once
MOST_FAILURES = 50  # that the log and the answer list
OLD_ENOUGH = timedelta(minutes=10)
"""A deferred promotion is tried once it has waited this long: before that its events may still arrive."""

CALLS = timedelta(seconds=3)
"""How long the calls of a step take, unless AWS is slow. The lease of a run outlasts the run by more than this."""


@dataclass(frozen=True)
class Reconciled:
    """What a run did: promotions it recovered, deferred promotions it ended, tags it found elsewhere.

    `stale` is how many interrupted promotions it found, `failed` how many steps failed, `failures` why the first
    of them did, `unfinished` the kinds of work that it had too little time for. `interval` is the longest time
    between two comparisons of a tag that moves. `compared_all`: every tag that moves was compared, so that a tag
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
    """`promotions` returns the promotions of a deferred one whose event never came; `promote` carries one out.

    `in_time` says whether there is time for a step that takes so long.
    """

    dependencies: Dependencies
    runs: ReconcileRuns
    deferred_promotions: DeferredPromotions
    promotions: Callable[[DeferredPromotion], Iterable[Promotion]]
    promote: Callable[[Promotion], Answer]
    in_time: Callable[[timedelta], bool]

    def run(self) -> Reconciled:
        """Recover stale intents, finish deferred promotions, look for drift: each in its share of the time.

        The next run does what failed or what there was no time for.
        """
        tally, start = Tally(), self.dependencies.now()
        heads = Drifts(self.dependencies, self.runs, tally.found)
        promotion_time = 2 * self.dependencies.patience + CALLS
        kinds = (
            Work("stale intents", self._stale(tally), CALLS),
            Work("heads of tags that move", heads.steps(Rota.MOVING, start), CALLS),
            Work("deferred promotions", self._waiting(tally, start), promotion_time),
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
            compared_all=heads.complete,
        )

    def _stale(self, tally: Tally) -> Iterator[Step]:
        for promotion_id in self.dependencies.ledger.abandoned():
            tally.stale += 1
            yield partial(self._recover, promotion_id, tally)

    def _recover(self, promotion_id: str, tally: Tally) -> None:
        recover(promotion_id, self.dependencies)
        tally.settled.append(promotion_id)

    def _waiting(self, tally: Tally, start: datetime) -> Iterator[Step]:
        """Yield a step for each old deferred promotion. One that was tried is no longer among the oldest.

        One that failed still is: where those fill a page, the next page is larger.
        """
        seen, limit = set[DeferredPromotion](), PAGE
        while True:
            found = self.deferred_promotions.oldest(start - OLD_ENOUGH, limit=limit)
            fresh = [deferred for deferred in found if deferred not in seen]
            for deferred in fresh:
                yield partial(self._revisit, deferred, tally)
            seen.update(fresh)
            if len(found) < limit:
                return
            limit += 0 if fresh else PAGE

    def _revisit(self, deferred: DeferredPromotion, tally: Tally) -> None:
        """Carry out the deferred promotion and remove it, unless something is still in its way."""
        in_the_way = [error for promotion in self.promotions(deferred) if (error := self._in_the_way(promotion))]
        for error in in_the_way:
            if error.outcome is Outcome.FAILED:
                tally.fail(error)
        if in_the_way:
            self.deferred_promotions.touch(deferred, extend=any(will_end(error) for error in in_the_way))
        else:
            self.deferred_promotions.remove(deferred)
        tally.tried.append(not in_the_way)

    def _in_the_way(self, promotion: Promotion) -> PromoterError | None:
        """Carry the promotion out, and return what it still waits for.

        It is rehearsed first: what still waits, and what is there already, is not recorded at each run.
        """
        rehearsed = rehearse(promotion, self.dependencies)
        if rehearsed.outcome is Outcome.UNCHANGED:
            return None
        if isinstance(rehearsed, NotPromoted) and waits(rehearsed.error):
            return rehearsed.error
        answer = self.promote(promotion)
        return answer.error if isinstance(answer, NotPromoted) and waits(answer.error) else None


def waits(error: PromoterError) -> bool:
    """Say whether what is in a promotion's way passes with time."""
    return error.retryable or isinstance(error, Frozen)


def will_end(error: PromoterError) -> bool:
    """Say whether it is certain to pass, even if that takes long: a freeze, or soak time."""
    return isinstance(error, Frozen) or any(reason.code == "soaking" for reason in error.reasons)
