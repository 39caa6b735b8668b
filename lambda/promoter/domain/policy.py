"""The policy: which promotions it admits, and onto which tags. Pure; compiled from promotions.yaml."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from promoter.domain import gate
from promoter.domain.errors import Frozen, InvalidRequest, NotAllowed
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


@dataclass(frozen=True)
class Freeze:
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


@dataclass(frozen=True)
class Policy:
    """All rules, in the order of the file. `registry_id` is the account the function runs in."""

    rules: tuple[Rule, ...]
    freezes: tuple[Freeze, ...]
    registry_id: str

    def check_not_frozen(
        self, rule: Rule, promotion: Promotion, *, now: datetime, stops: Sequence[Freeze] = ()
    ) -> None:
        """Raise Frozen while a freeze, of the policy or one of `stops`, holds for the rule and the promotion."""
        for freeze in (*self.freezes, *stops):
            if freeze.holds(rule, promotion, now):
                until = f"until {freeze.end:%Y-%m-%dT%H:%M:%SZ}" if freeze.end else "until it is lifted"
                by = f" (by {freeze.by})" if freeze.by else ""
                sentence = f"Rule {rule.name} is frozen {until}: {freeze.reason}{by}"
                raise Frozen(sentence, reasons=(Reason("frozen", sentence, rule=rule.name),))

    def serving(self, promotion: Promotion) -> tuple[Rule, ...]:
        """Return the rules that serve the promotion. Raises NotAllowed with each rule's reason where none does."""
        objections = self._objections(promotion)
        serving = tuple(rule for rule, objection in objections if objection is None)
        if not serving:
            raise NotAllowed(
                f"No {promotion.trigger} rule of the policy serves this source in repository "
                f"{promotion.repository.name}.",
                reasons=_reasons(objections),
            )
        return serving

    def _objections(self, promotion: Promotion) -> list[tuple[Rule, str | None]]:
        """Return each rule that covers the promotion, with why it does not serve it."""
        covering = [rule for rule in self.rules if rule.covers(promotion, registry_id=self.registry_id)]
        return [(rule, rule.objection(promotion)) for rule in covering]

    def require_repository(self, repository: Repository) -> None:
        """Raise NotAllowed for a repository that no rule covers."""
        if any(rule.reaches(repository, registry_id=self.registry_id) for rule in self.rules):
            return
        raise NotAllowed(f"No rule of the policy covers repository {repository.name}.")

    def admit(self, promotion: Promotion) -> tuple[Rule, tuple[str, ...]]:
        """Return the rule to go by and the tags to put.

        Raises NotAllowed where no rule admits the promotion as a whole, InvalidRequest where the request names
        no tags and more than one rule could choose them.
        """
        rules = self.serving(promotion)
        if promotion.image_tags is None:
            if len(rules) > 1:
                names = ", ".join(rule.name for rule in rules)
                text = f"Rules {names} all serve this source. Name the imageTags."
                raise InvalidRequest(text, field="imageTags")
            if not rules[0].to:
                raise InvalidRequest(f"Rule {rules[0].name} has no to. Name the imageTags.", field="imageTags")
            return rules[0], rules[0].own_tags(promotion)
        disallowed = {rule.name: rule.disallowed_tags(promotion) for rule in rules}
        for rule in rules:
            if not disallowed[rule.name]:
                return rule, promotion.image_tags
        raise NotAllowed(
            f"No rule lets this caller put {', '.join(promotion.image_tags)} on {promotion.repository.name}.",
            reasons=_reasons(
                (rule, objection or f"may not put {', '.join(disallowed[rule.name])}")
                for rule, objection in self._objections(promotion)
            ),
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


def load(document: Mapping[str, Any], *, registry_id: str) -> Policy:
    """Make a Policy of the compiled JSON (see infra/policy/file.py, which also checked it)."""
    return Policy(tuple(_rules(document["rules"])), tuple(_freezes(document["freeze"])), registry_id)


def _rules(entries: Sequence[Mapping[str, Any]]) -> Iterator[Rule]:
    for entry in entries:
        yield Rule(
            name=entry["name"],
            trigger=Trigger(entry["on"]),
            registry_id=entry["registry"],
            repositories=tuple(entry["repositories"]),
            source_tag=re.compile(entry["from"]) if entry["from"] is not None else None,
            to=tuple(entry["to"]),
            to_matching=tuple(re.compile(pattern) for pattern in entry["to_matching"]),
            callers=_tuple(entry["callers"]),
            gate=gate.load(entry["gate"]) if entry["gate"] is not None else None,
        )


def _freezes(entries: Sequence[Mapping[str, Any]]) -> Iterator[Freeze]:
    for entry in entries:
        yield Freeze(
            start=datetime.fromtimestamp(entry["from"], UTC),
            end=datetime.fromtimestamp(entry["to"], UTC),
            reason=entry["reason"],
            rules=_tuple(entry["rules"]),
            repositories=_tuple(entry["repositories"]),
        )


def _rendered(templates: Sequence[str], values: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(render(template, values) for template in templates))


def _tuple(values: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)


def _reasons(objections: Iterable[tuple[Rule, str | None]]) -> tuple[Reason, ...]:
    return tuple(rule_reason(rule, f"{objection}") for rule, objection in objections)


def rule_reason(rule: Rule, objection: str) -> Reason:
    """Return a rule's objection as a reason of a refusal."""
    return Reason("rule", f"{rule.name}: {objection}", rule=rule.name)
