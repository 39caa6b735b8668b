"""Puts right what events and crashes left behind: a bit at each run, beginning where it is needed the longest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

from promoter.errors import Frozen, NotAllowed, PromoterError
from promoter.model import GONE, Head, ImageId, Manifest, Outcome, Promotion, Repository, Unreadable, Watch
from promoter.ports import Watches
from promoter.promote import admit, attempt
from promoter.settle import look, settle
from promoter.turn import Course
from promoter.world import World

T = TypeVar("T")
R = TypeVar("R")

AT_ONCE = 100  # of each kind, at most, in one run; as many tags as one BatchGetImage can name
PATIENCE = timedelta(minutes=10)
"""How old a watch has to be to be looked at: before that its events are on their way."""


@dataclass(frozen=True)
class Reconciled:
    """What a run did: promotions it settled, watches it ended, tags it found elsewhere; `failures` are told.

    `stale` is how many promotions were to be settled, whether it came to them or not.
    """

    stale: int = 0
    settled: tuple[str, ...] = ()
    finished: int = 0
    waiting: int = 0
    drifted: tuple[Head, ...] = ()
    failures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reconciler:
    """`wishes` makes promotions of a watch, as the event would have that never came; `promote` carries one out.

    `in_time` says whether there is time for one more step.
    """

    world: World
    watches: Watches
    wishes: Callable[[Watch], Iterable[Promotion]]
    promote: Callable[[Promotion], object]
    in_time: Callable[[], bool]

    def run(self) -> Reconciled:
        """Settle stale intents, finish watches, look for drift. What fails is left for the next run."""
        failures: list[str] = []
        stale = self.world.ledger.abandoned(limit=AT_ONCE)
        settled = self._each(stale, self._settle, failures)
        old = self.watches.oldest(self.world.now() - PATIENCE, limit=AT_ONCE)
        looked_at = self._each(old, self._revisit, failures)
        heads = self._each(by_repository(self.world.ledger.stalest_heads(limit=AT_ONCE)), self._drifted, failures)
        return Reconciled(
            stale=len(stale),
            settled=tuple(settled),
            finished=looked_at.count(True),
            waiting=looked_at.count(False),
            drifted=tuple(head for group in heads for head in group),
            failures=tuple(failures),
        )

    def _each(self, entries: Iterable[T], step: Callable[[T], R], failures: list[str]) -> list[R]:
        done = []
        for entry in entries:
            if not self.in_time():
                break
            try:
                done.append(step(entry))
            except PromoterError as error:
                failures.append(error.detail)
        return done

    def _settle(self, promotion_id: str) -> str:
        settle(promotion_id, self.world)
        return promotion_id

    def _revisit(self, watch: Watch) -> bool:
        """Carry out what the watch waits for, if it can be now; say whether the watch is done with."""
        in_the_way = [error for wish in self.wishes(watch) if (error := self._in_the_way(wish))]
        if in_the_way:
            self.watches.touch(watch, extend=any(will_end(error) for error in in_the_way))
        else:
            self.watches.remove(watch)
        return not in_the_way

    def _in_the_way(self, wish: Promotion) -> PromoterError | None:
        """Carry the wish out, and return what it still waits for.

        Look first, without a trace: what still waits, and what is there already, is not recorded at each run.
        """
        try:
            rule, _ = admit(wish, self.world)
            planned = attempt(replace(wish, rule=rule.name, dry_run=True), Course(), self.world)
            if planned.outcome is Outcome.UNCHANGED:
                return None
        except PromoterError as error:
            if waits(error):
                return error
        answer = self.promote(wish)
        return answer if isinstance(answer, PromoterError) and waits(answer) else None

    def _drifted(self, heads: Sequence[Head]) -> list[Head]:
        """Return those of one repository's heads that the registry has elsewhere.

        Where no rule is about the repository any longer there is no right to look: its heads stay as they are.
        """
        tag_ids = {head: ImageId(image_tag=head.image_tag) for head in heads}
        try:
            self.world.policy.require_repository(heads[0].repository)
        except NotAllowed:
            for head in heads:
                self.world.ledger.checked(head, drift=head.drift)
            return []
        try:
            answers = look(self.world, heads[0].repository, list(tag_ids.values()))
        except PromoterError:
            for head in heads:  # or they would be the stalest for ever, and nothing else be looked at
                self.world.ledger.checked(head, drift=head.drift)
            raise
        drifted = []
        for head, tag_id in tag_ids.items():
            found = answers[tag_id]
            if isinstance(found, Unreadable):  # where it is cannot be told: that is no drift
                self.world.ledger.checked(head, drift=head.drift)
                continue
            digest = found.digest if isinstance(found, Manifest) else GONE
            drift = digest if digest != head.image_digest else None
            if drift and self.world.ledger.adopt(head, digest):
                continue
            if self.world.ledger.checked(head, drift=drift) and drift:
                drifted.append(replace(head, drift=drift))
        return drifted


def waits(error: PromoterError) -> bool:
    """Say whether what is in a wish's way passes."""
    return error.retryable or isinstance(error, Frozen)


def will_end(error: PromoterError) -> bool:
    """Say whether it is certain to pass, however long that takes: a freeze, or soak time."""
    return isinstance(error, Frozen) or any(reason.code == "soaking" for reason in error.reasons)


def by_repository(heads: Iterable[Head]) -> list[list[Head]]:
    """Group heads, so that one read answers for a repository."""
    groups: dict[Repository, list[Head]] = {}
    for head in heads:
        groups.setdefault(head.repository, []).append(head)
    return list(groups.values())
