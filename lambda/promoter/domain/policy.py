"""The policy: which promotions it admits, and onto which tags. Pure; compiled from promotions.yaml."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from promoter.domain import gate
from promoter.domain.errors import Frozen, InvalidRequest, NotAllowed
from promoter.domain.model import Promotion, Reason, Repository, Trigger
from promoter.domain.rule import Freeze, Rule, rule_reason


@dataclass(frozen=True)
class Policy:
    """All rules, in the order of the file. `registry_id` is the account the function runs in."""

    rules: tuple[Rule, ...]
    freezes: tuple[Freeze, ...]
    registry_id: str

    def freeze_of(
        self, rule: Rule, promotion: Promotion, *, now: datetime, stops: Sequence[Freeze] = ()
    ) -> Frozen | None:
        """Return the freeze, of the policy or one of `stops`, that holds for the rule and the promotion."""
        for freeze in (*self.freezes, *stops):
            if freeze.holds(rule, promotion, now):
                until = f"until {freeze.end:%Y-%m-%dT%H:%M:%SZ}" if freeze.end else "until it is lifted"
                by = f" (by {freeze.by})" if freeze.by else ""
                sentence = f"Rule {rule.name} is frozen {until}: {freeze.reason}{by}"
                return Frozen(sentence, reasons=(Reason("frozen", sentence, rule=rule.name, ends_at=freeze.end),))
        return None

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


def _tuple(values: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)


def _reasons(objections: Iterable[tuple[Rule, str | None]]) -> tuple[Reason, ...]:
    return tuple(rule_reason(rule, f"{objection}") for rule, objection in objections)
