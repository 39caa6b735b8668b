"""A rule of the policy: what it covers, onto which tags it promotes, and what it objects to. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from promoter.domain.gate import Gate
from promoter.domain.model import Promotion, Reason, Repository, Trigger
from promoter.domain.templates import is_promotable, is_tag, names_in, render


@dataclass(frozen=True)
class Rule:
    """One entry of the policy; None means no restriction, and for `registry_id` the function's own account."""

    name: str
    trigger: Trigger
    registry_id: str | None
    repositories: tuple[str, ...]
    source_tag: re.Pattern[str] | None
    to: tuple[str, ...]
    to_matching: tuple[re.Pattern[str], ...]
    callers: tuple[str, ...] | None
    gate: Gate | None

    @property
    def needs_digest(self) -> bool:
        """Whether the target tags are made of the source's digest."""
        return any("digest" in names_in(template) for template in self.to)

    def covers(self, promotion: Promotion, *, registry_id: str) -> bool:
        """Say whether the rule covers this trigger and repository; `registry_id` is the function's own."""
        return (
            promotion.trigger is self.trigger
            and promotion.rule in (None, self.name)
            and self.reaches(promotion.repository, registry_id=registry_id)
        )

    def reaches(self, repository: Repository, *, registry_id: str) -> bool:
        """Say whether the rule covers the repository; `registry_id` is the function's own."""
        return repository.registry_id == (self.registry_id or registry_id) and any(
            matches(repository.name, pattern) for pattern in self.repositories
        )

    def objection(self, promotion: Promotion) -> str | None:
        """Return why a rule that covers the promotion does not serve it; None: it does."""
        tag = promotion.source.image_id.image_tag
        if self.source_tag is not None:
            if tag is None:
                return f"needs a source tag that matches {self.source_tag.pattern}"
            if not (is_tag(tag) and self.source_tag.fullmatch(tag)):  # the policy's check counts on 128 characters
                return f"source tag {tag} does not match {self.source_tag.pattern}"
        elif tag is None and any("tag" in names_in(template) for template in self.to):
            return "needs a source tag: its target tags are made from it"
        return self.caller_objection(promotion.caller) or self._unmakeable(promotion)

    def caller_objection(self, caller: str | None) -> str | None:
        """Return why the rule does not serve the caller; None: it does."""
        if self.callers is not None and not any(matches(caller or "", glob) for glob in self.callers):
            return f"caller {caller} is not among its callers"
        return None

    def own_tags(self, promotion: Promotion) -> tuple[str, ...]:
        """Render `to` for a promotion that the rule serves, without repeats."""
        return _rendered(self.to, self._values(promotion))

    def disallowed_tags(self, promotion: Promotion) -> list[str]:
        """Return those of the tags asked for that this rule may not put."""
        own = self.own_tags(promotion)
        return [
            tag
            for tag in promotion.image_tags or ()
            if not is_promotable(tag)
            or (tag not in own and not any(pattern.fullmatch(tag) for pattern in self.to_matching))
        ]

    def _unmakeable(self, promotion: Promotion) -> str | None:
        """Return why a template makes no tag of the source; None: all make tags, as far as the digest is known."""
        known = [each for each in self.to if promotion.source.image_digest or "digest" not in names_in(each)]
        bad = [tag for tag in _rendered(known, self._values(promotion)) if not is_promotable(tag)]
        return (
            f"its to makes {bad[0]!r} of this source, which is not a tag that a promotion may put" if bad else None
        )

    def _values(self, promotion: Promotion) -> Mapping[str, str]:
        tag = promotion.source.image_id.image_tag or ""
        match = self.source_tag.fullmatch(tag) if self.source_tag else None
        groups = match.groupdict(default="") if match else {}
        return groups | {
            "repository": promotion.repository.name,
            "tag": tag,
            "digest": (promotion.source.image_digest or "").removeprefix("sha256:")[:12],
            "date": promotion.asked_at.astimezone(UTC).strftime("%Y%m%d"),
        }


class Freeze(NamedTuple):
    """A time in which rules promote nothing; None for `rules` or `repositories` means all.

    `end` None is until somebody lifts it; `by` is who set it, None for one of the policy.
    """

    start: datetime
    end: datetime | None
    reason: str
    rules: tuple[str, ...] | None
    repositories: tuple[str, ...] | None
    by: str | None = None

    def holds(self, rule: Rule, promotion: Promotion, now: datetime) -> bool:
        """Say whether the freeze stops this promotion by the rule now."""
        return (
            self.start <= now
            and (self.end is None or now < self.end)
            and (self.rules is None or rule.name in self.rules)
            and (
                self.repositories is None
                or any(matches(promotion.repository.name, glob) for glob in self.repositories)
            )
        )


def matches(text: str, glob: str) -> bool:
    """Say whether a glob matches the whole text; only `*` has a meaning, as in IAM. Takes linear time."""
    head, *parts = glob.split("*")
    if not parts:
        return text == glob
    *middle, tail = parts
    end = len(text) - len(tail)
    if len(head) > end or not (text.startswith(head) and text.endswith(tail)):
        return False
    at = len(head)
    for part in middle:  # the first match leaves the most room for the parts that follow
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def _rendered(templates: Sequence[str], values: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(render(template, values) for template in templates))


def rule_reason(rule: Rule, objection: str) -> Reason:
    """Return a rule's objection as a reason of a refusal."""
    return Reason("rule", f"{rule.name}: {objection}", rule=rule.name)
