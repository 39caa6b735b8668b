"""Mistakes between rules: repeated names, two rules for one tag, cycles of scan rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter

from infra.policy import languages
from infra.policy.languages import Language
from infra.policy.model import RuleModel
from infra.policy.shape import Mistake, Place
from infra.policy.text import shown

Rules = Mapping[int, RuleModel]
"""The rules by their number in the file, without those that cannot be read at all."""


def conflicts(rules: Rules, *, account: str | None) -> Iterator[Mistake]:
    """Yield the mistakes between rules. `account`, if known, is the registry of a rule without `registry`."""
    yield from same_names(rules)
    yield from same_tags(rules, account=account)
    yield from cycles(rules, account=account)


def same_names(rules: Rules) -> Iterator[Mistake]:
    """Yield each name that an earlier rule has."""
    seen: set[str] = set()
    for number, rule in rules.items():
        if rule.name in seen:
            yield ("rules", number, "name"), f"another rule is named {rule.name}: names must be unique"
        seen.add(rule.name)


def same_tags(rules: Rules, *, account: str | None) -> Iterator[Mistake]:
    """Yield each tag of a rule that an earlier rule with the same trigger may put in a repository of both.

    A tag has one rule for a trigger and repository, so that the policy says in one place what the tag means. The
    order of rules never decides.
    """
    tags = {number: list(_tags(rule)) for number, rule in rules.items()}
    for number, rule in rules.items():
        earlier = {at: other for at, other in rules.items() if at < number and other.on == rule.on}
        rivals = [(at, other) for at, other in earlier.items() if _share_repositories(rule, other, account)]
        for place, text, language in tags[number]:
            for at, other in rivals:
                if any(languages.meet(language, theirs) for _, _, theirs in tags[at]):
                    message = f"rule {other.name} may put {shown(text)} too, in repositories of both rules"
                    remedy = "a tag has one rule: merge the rules, or use other tags"
                    yield ("rules", number, *place), f"{message}; {remedy}"


def cycles(rules: Rules, *, account: str | None) -> Iterator[Mistake]:
    """Yield each cycle of scan rules once, at its first rule: each tag would trigger the next rule without end."""
    scans = {number: rule for number, rule in rules.items() if rule.on == "scan"}
    follows = {
        number: {before for before, other in scans.items() if _feeds(other, rule, account)}
        for number, rule in scans.items()
    }
    while cycle := _cycle(follows):
        start = cycle.index(min(cycle))
        names = [scans[number].name for number in [*cycle[start:], *cycle[: start + 1]]]
        remedy = "put tags that from of these rules does not match"
        yield ("rules", cycle[start], "to"), f"starts an endless cycle, {' -> '.join(names)}: {remedy}"
        follows[cycle[0]].discard(cycle[-1])


def unreachable(rules: Rules, *, account: str | None, deploying: bool) -> Iterator[Mistake]:
    """Yield the scan rules for accounts whose events do not reach `account`, which `make policy` does not know.

    The default event bus receives only events of its own account. For others its policy must allow them, and a
    rule in the other account must send them (Amazon EventBridge user guide, "Sending and receiving events between
    AWS accounts").
    """
    for number, rule in rules.items():
        if rule.on == "request" or rule.registry in (None, account):
            continue
        if account is not None:
            message = (
                f"scans of account {rule.registry} send no events to {account}, so the rule would never apply"
            )
            remedy = "deploy there too, or use on: request"
            yield ("rules", number, "registry"), f"{message}: {remedy}"
        elif deploying:
            message = "might not be the account to deploy to, and scans of other accounts send no events there"
            remedy = "leave registry out, or deploy with credentials, so that CDK_DEFAULT_ACCOUNT is set"
            yield ("rules", number, "registry"), f"{message}: {remedy}"


def _cycle(follows: Mapping[int, set[int]]) -> list[int]:
    try:
        TopologicalSorter(follows).prepare()
    except CycleError as error:
        return list(error.args[1][:-1])
    return []


def _feeds(rule: RuleModel, then: RuleModel, account: str | None) -> bool:
    source = languages.of(then.from_) if then.from_ is not None else languages.EVERYTHING
    return any(languages.meet(language, source) for _, _, language in _tags(rule)) and _share_repositories(
        rule, then, account
    )


def _tags(rule: RuleModel) -> Iterator[tuple[Place, str, Language]]:
    """Yield the tags that a rule may put: the place in the rule, the text there, and the possible tags."""
    for number, template in enumerate(rule.to):
        if not rule.unknown_names(template):
            yield ("to", number), template, languages.of_template(template, rule.from_, rule.repositories)
    for number, pattern in enumerate(rule.to_matching):
        yield ("to_matching", number), pattern, languages.of(pattern)


def _share_repositories(one: RuleModel, other: RuleModel, account: str | None) -> bool:
    return (one.registry or account) == (other.registry or account) and any(
        _overlap(mine, theirs) for mine in one.repositories for theirs in other.repositories
    )


@cache
def _overlap(one: str, other: str) -> bool:
    head, other_head = one.split("*", maxsplit=1)[0], other.split("*", maxsplit=1)[0]
    if not (head.startswith(other_head) or other_head.startswith(head)):
        return False
    return languages.meet(languages.of_glob(one), languages.of_glob(other))
