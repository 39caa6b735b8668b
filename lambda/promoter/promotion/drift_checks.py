"""Compares the heads of the ledger with the registry: a tag that is elsewhere, or gone, has drifted.

Heads are compared in rounds, repository by repository: one call reads up to a hundred tags, and nothing is
written about a tag that is where it was. Tags that move are compared in every run. A tag that was put once is
compared once a day for a week: every build adds one, and nobody moves it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby

from promoter.domain.errors import NotAllowed
from promoter.domain.model import ImageId, Manifest
from promoter.domain.ports import Found, Missing, ReconcileRuns, Registry
from promoter.domain.records import GONE, Head, Rota, Round
from promoter.promotion.dependencies import Dependencies
from promoter.promotion.recovery import read_or_missing
from promoter.promotion.time_shares import Step

EVERY = {Rota.MOVING: timedelta(), Rota.ONCE: timedelta(days=1)}
"""How far apart the rounds of a rota begin, at least."""

KEPT = timedelta(days=7)
"""How long a tag that was put once is compared."""


@dataclass
class Drifts:
    """The comparisons of one run; each tag that is found elsewhere is reported to `found`."""

    dependencies: Dependencies
    runs: ReconcileRuns
    found: Callable[[Head], None]
    whole: datetime | None = field(default=None, init=False)
    _listed: bool = field(default=False, init=False)
    _open: int = field(default=0, init=False)

    def steps(self, rota: Rota, start: datetime) -> Iterator[Step]:
        """Yield the comparisons of a rota: the rest of a round, and all of one that begins in this run.

        The next run continues where this one ends.
        """
        at = self.runs.round(rota)
        if rota is Rota.MOVING:
            self.whole = at.whole or at.began or self.dependencies.now()
        while at.after or at.began is None or at.began <= start - EVERY[rota]:
            if not at.after:
                at = replace(at, began=self.dependencies.now())
            for key, heads in self._repositories(rota, at.after):
                yield self._step(heads, rota)
                at = replace(at, after=key)
                self.runs.keep_round(rota, at)
            at = Round(began=at.began, whole=at.began)
            self.runs.keep_round(rota, at)
            if at.began and at.began >= start:
                self._listed = self._listed or rota is Rota.MOVING
                return

    @property
    def complete(self) -> bool:
        """Whether this run has compared every tag that moves or had drifted."""
        return self._listed and not self._open

    def interval(self) -> timedelta | None:
        """Return the longest time between two comparisons of a tag that moves, up to now; None: not known."""
        return self.dependencies.now() - self.whole if self.whole else None

    def _repositories(self, rota: Rota, after: str | None) -> Iterator[tuple[str, Sequence[Head]]]:
        """Yield heads of one repository at a time, each time with the key of the last."""
        while page := self.dependencies.heads.listed(rota, after):
            for _, group in groupby(page, key=lambda listed: listed[1].repository):
                keys, heads = zip(*group, strict=True)
                after = keys[-1]
                yield keys[-1], heads

    def _step(self, heads: Sequence[Head], listed: Rota) -> Step:
        self._open += listed is Rota.MOVING
        return partial(self._compare, heads, listed)

    def _compare(self, heads: Sequence[Head], listed: Rota) -> None:
        """Compare heads of one repository."""
        for head, digest in self._digests(heads).items():
            self._judge(head, digest, listed)
        self._open -= listed is Rota.MOVING

    def _judge(self, head: Head, digest: str | None, listed: Rota) -> None:
        """Note what is new about a head. Report a tag that is elsewhere in every run, and a deleted tag once."""
        drift = head.drift if digest is None else digest if digest != head.image_digest else None
        heads = self.dependencies.heads
        if digest and drift not in (None, GONE) and heads.adopt(head, digest):
            return
        rota = self._rota(head, drift)
        is_new = (drift, rota) != (head.drift, listed)
        if is_new and not heads.note(head, drift=drift, rota=rota):
            return
        if digest and drift and (drift != GONE or head.drift != GONE):
            self.found(replace(head, drift=drift))

    def _digests(self, heads: Sequence[Head]) -> Mapping[Head, str | None]:
        """Return where the tags are: GONE for one that is not there, None where that is not known.

        The function has no right to read a repository that no rule covers any longer.
        """
        repository = heads[0].repository
        try:
            self.dependencies.policy.require_repository(repository)
        except NotAllowed:
            return dict.fromkeys(heads)
        tag_ids = {head: ImageId(image_tag=head.image_tag) for head in heads}
        answers = read_or_missing(self.dependencies, repository, list(tag_ids.values()))
        return {head: _digest(answers[tag_id]) for head, tag_id in tag_ids.items()}

    def _rota(self, head: Head, drift: str | None) -> Rota | None:
        """Return in which rota a head is compared: None for one that was put once and is old."""
        if head.moving or drift not in (None, GONE) or self._is_named(head):
            return Rota.MOVING
        return Rota.ONCE if self.dependencies.now() - head.moved_at < KEPT else None

    def _is_named(self, head: Head) -> bool:
        """Say whether a rule names the tag itself. No tag holds a placeholder: it is written out in `to`."""
        policy = self.dependencies.policy
        return any(
            head.image_tag in (*rule.to, *_spelled_out(rule.to_matching))
            and rule.reaches(head.repository, registry_id=policy.registry_id)
            for rule in policy.rules
        )


def _spelled_out(patterns: Iterable[re.Pattern[str]]) -> Iterator[str]:
    """Yield the alternatives of patterns such as `^(prod|canary)$`; those that are not tags match no tag."""
    for pattern in patterns:
        yield from pattern.pattern.replace("\\", "").strip("^$").strip("()").removeprefix("?:").split("|")


def _digest(answer: Found) -> str | None:
    if isinstance(answer, Manifest):
        return answer.digest
    return GONE if isinstance(answer, Missing) else None


def read_tags(heads: Sequence[Head], registry: Registry) -> Sequence[tuple[Head, Found]]:
    """Return the heads of one repository, each with what the registry says of its tag now."""
    if not heads:
        return ()
    tag_ids = [ImageId(image_tag=head.image_tag) for head in heads]
    answers = registry.read(heads[0].repository, tag_ids)
    return [(head, answers[tag_id]) for head, tag_id in zip(heads, tag_ids, strict=True)]
