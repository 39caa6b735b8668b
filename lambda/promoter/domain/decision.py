"""The decision on a promotion: what the policy says to it, and its gate to the image. Pure.

The service and `make explain` call the same functions, so that an explanation never differs from what is done.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from promoter.domain.errors import Frozen, GateRefused, NotAllowed, Refusal, ScanPending
from promoter.domain.findings import Evidence
from promoter.domain.gate import PENDING
from promoter.domain.model import Promotion, Reason, Repository, Trigger
from promoter.domain.policy import Policy
from promoter.domain.records import MORE
from promoter.domain.rule import Freeze, Rule, matches, rule_reason

MOST_REASONS = 50
"""Reasons of one refusal that are listed, so that it fits into a log record, an item and an event."""

WITH_TIME = frozenset({PENDING, "unsigned", "soaking"})
"""Reasons that pass with time: a promotion that may wait waits for them instead of being refused."""


class Decision(NamedTuple):
    """A promotion that the policy admits: by this rule, onto these tags."""

    promotion: Promotion
    rule: Rule
    image_tags: tuple[str, ...]


def decide(
    promotion: Promotion,
    policy: Policy,
    *,
    now: datetime,
    freezes: Sequence[Freeze] = (),
    operators: Sequence[str] = (),
) -> Decision:
    """Return by which rule and onto which tags the promotion goes. Raises NotAllowed, InvalidRequest or Frozen.

    `freezes` are those that operators set, `operators` the globs on callers of the setting. The source's digest
    must be known where `needing_digest` names a rule.
    """
    decision = admit(promotion, policy, operators=operators)
    if frozen := freeze_of(decision, policy, now=now, freezes=freezes):
        raise frozen
    return decision


def admit(promotion: Promotion, policy: Policy, *, operators: Sequence[str] = ()) -> Decision:
    """Return by which rule and onto which tags the promotion goes, freezes aside. Raises as `decide` does."""
    if promotion.undoes:
        image_tags = promotion.image_tags or ()
        rule = rollback_rule(
            promotion.rule,
            promotion.repository,
            promotion.caller,
            policy=policy,
            operators=operators,
            is_override=promotion.is_override,
        )
    else:
        rule, image_tags = policy.admit(promotion)
    return Decision(promotion, rule, image_tags)


def freeze_of(
    decision: Decision, policy: Policy, *, now: datetime, freezes: Sequence[Freeze] = ()
) -> Frozen | None:
    """Return the freeze that is in the way of a promotion; an operator's override passes it."""
    if decision.promotion.is_override:
        return None
    return policy.freeze_of(decision.rule, decision.promotion, now=now, stops=freezes)


def needing_digest(promotion: Promotion, policy: Policy) -> Sequence[Rule]:
    """Return the rules that make tags of a digest that is not known yet. Raises NotAllowed where none serves."""
    if promotion.source.image_digest or promotion.undoes:
        return ()
    return [rule for rule in policy.serving(promotion) if rule.needs_digest]


def by_rule(promotion: Promotion, policy: Policy) -> Iterator[Promotion]:
    """Yield the promotions that a scan asks for: one by each rule that serves it. Raises NotAllowed for none."""
    for rule in policy.serving(promotion):
        yield replace(promotion, rule=rule.name)


def rollback_rule(
    name: str | None,
    repository: Repository,
    caller: str | None,
    *,
    policy: Policy,
    operators: Sequence[str],
    is_override: bool,
) -> Rule:
    """Return the rule by which a promotion is taken back that rule `name` had admitted. Raises NotAllowed.

    The rule's `callers` may roll back. If the rule names none, operators may, or everybody if the setting
    `operators` is empty too. An operator's override works under a freeze, and without the rule.
    """
    require_rollback_operator(name, caller, policy=policy, operators=operators, is_override=is_override)
    rule = _named(name, policy)
    if is_override:
        return rule or _former(name)
    if rule is None:
        raise NotAllowed(f"Rule {name}, by which it was promoted, is no longer in the policy.")
    if not rule.reaches(repository, registry_id=policy.registry_id):
        raise NotAllowed(f"Rule {name} no longer covers repository {repository.name}.")
    if objection := rule.caller_objection(caller):
        raise NotAllowed(
            f"Rule {name} does not let this caller roll back.", reasons=(rule_reason(rule, objection),)
        )
    return rule


def require_rollback_operator(
    name: str | None, caller: str | None, *, policy: Policy, operators: Sequence[str], is_override: bool
) -> None:
    """Raise NotAllowed for others than operators where only they may take back what rule `name` admitted.

    That is so for an override, and where the rule names no `callers`.
    """
    rule = _named(name, policy)
    if is_override or (operators and rule is not None and rule.callers is None):
        require_operator(caller, operators)


def require_operator(caller: str | None, operators: Sequence[str]) -> None:
    """Raise NotAllowed for a caller whom the setting `operators` does not name."""
    if not any(matches(caller or "", glob) for glob in operators):
        raise NotAllowed(f"Caller {caller} is not an operator. The setting operators lists them.")


def judge(rule: Rule, evidence: Evidence, *, may_wait: bool, now: datetime) -> Refusal | None:
    """Return why the rule's gate does not let the image pass; None: it does, or the rule has no gate."""
    reasons = rule.gate.judge(evidence, now=now) if rule.gate else ()
    return _refusal([replace(each, rule=rule.name) for each in reasons], may_wait=may_wait) if reasons else None


def _refusal(reasons: Sequence[Reason], *, may_wait: bool) -> Refusal:
    """Return ScanPending if every reason passes with time, GateRefused otherwise."""
    yet_to_come = WITH_TIME if may_wait else {PENDING}
    listed = tuple(reasons[:MOST_REASONS])
    if left := len(reasons) - len(listed):
        listed += (Reason(MORE, f"and {left} more reasons that are not listed", rule=reasons[0].rule),)
    final = [reason for reason in reasons if reason.code not in yet_to_come]
    if not final:
        return ScanPending(f"{reasons[0].sentence}: try again when it is done", reasons=listed)
    more = f" and {len(final) - 1} more reasons" if len(final) > 1 else ""
    return GateRefused(f"{final[0].sentence}{more}", reasons=listed)


def _named(name: str | None, policy: Policy) -> Rule | None:
    return next((rule for rule in policy.rules if rule.name == name), None)


def _former(name: str | None) -> Rule:
    """Return a rule that is no longer in the policy, as far as a rollback needs it."""
    return Rule(name or "none", Trigger.REQUEST, None, (), None, (), (), None, None)
