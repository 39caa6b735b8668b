"""Reads promotions.yaml, reports every mistake with its line, and compiles the policy for the function."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from infra.policy import subjects
from infra.policy.conflicts import conflicts, unreachable
from infra.policy.document import PolicyError, parse
from infra.policy.freeze import FreezeModel
from infra.policy.gate import ExpiredError
from infra.policy.model import PolicyModel, RuleModel
from infra.policy.shape import Mistake, Place
from infra.policy.text import shown

__all__ = ["PolicyError", "PolicyFile", "read"]


@dataclass(frozen=True)
class PolicyFile:
    """A policy without mistakes. `warnings` are lines about expired exceptions, which do not stop a deployment."""

    model: PolicyModel
    warnings: tuple[str, ...] = ()

    @property
    def rules(self) -> list[RuleModel]:
        """The rules in the order of the file."""
        return self.model.rules

    def compiled(self) -> dict[str, Any]:
        """Return the plain JSON that promoter.domain.policy.load reads."""
        return self.model.compiled()


def read(
    path: Path,
    *,
    account: str | None = None,
    today: date | None = None,
    deploying: bool = False,
    tokens: bool = False,
) -> PolicyFile:
    """Read and check a policy. Raises PolicyError with all mistakes.

    `account` is the account to deploy to, if it is known. A rule that names it as `registry` is returned without
    `registry`. `today` (UTC) decides which exceptions have expired. An expired exception is a mistake, but only a
    warning for a deployment (`deploying`): the function counts the finding again anyway, and a rollback must not
    wait for a new policy. `tokens`: an API takes tokens too (`authorization: jwt`), so that `callers` must keep
    strangers out.
    """
    document = parse(path)
    mistakes: list[Mistake] = list(document.mistakes)
    expired: list[Mistake] = []
    try:
        PolicyModel.model_validate(document.values, context={"today": today or datetime.now(UTC).date()})
    except ValidationError as error:
        for item in error.errors(include_url=False):
            over = isinstance(item.get("ctx", {}).get("error"), ExpiredError)
            (expired if over else mistakes).append((_place(item["loc"]), _sentence(item)))
    damaged = [place for place, _ in mistakes]
    mistakes += _beyond_shape(document.values, damaged, account, deploying=deploying, tokens=tokens)
    if not deploying:
        mistakes += expired
    if mistakes:
        raise PolicyError("\n".join(document.lines(mistakes)))
    model = PolicyModel.model_validate(document.values)
    rules = [_without_own_account(rule, account) for rule in model.rules]
    return PolicyFile(model.model_copy(update={"rules": rules}), tuple(document.lines(expired)))


def _without_own_account(rule: RuleModel, account: str | None) -> RuleModel:
    own = rule.registry is not None and rule.registry == account
    return rule.model_copy(update={"registry": None}) if own else rule


def _beyond_shape(
    document: Any, damaged: list[Place], account: str | None, *, deploying: bool, tokens: bool
) -> Iterator[Mistake]:
    """Yield the mistakes beyond the shape of single values, for all entries that can be read at least in part."""
    if not isinstance(document, dict):
        return
    rules = _readable(document, "rules", RuleModel, damaged)
    freezes = _readable(document, "freeze", FreezeModel, damaged)
    names = {str(each.get("name")) for each in _entries(document, "rules").values()}
    found = [
        *((("rules", number, *place), text) for number, rule in rules.items() for place, text in rule.mistakes()),
        *conflicts(rules, account=account),
        *unreachable(rules, account=account, deploying=deploying),
        *(subjects.rule_mistakes(rules) if tokens else ()),
        *(
            (("freeze", number, *place), text)
            for number, freeze in freezes.items()
            for place, text in freeze.mistakes(names)
        ),
    ]
    # A key that is wrong is reported once: its absence causes no further mistakes.
    yield from ((place, text) for place, text in found if not any(place[:3] == bad[:3] for bad in damaged))


def _readable(
    document: dict[Any, Any], member: str, model: Callable[..., Any], damaged: list[Place]
) -> dict[int, Any]:
    """Return, by number, the entries that a model accepts, without their wrong keys if necessary."""
    readable = {}
    for number, entry in _entries(document, member).items():
        bad = {place[2] for place in damaged if place[:2] == (member, number) and len(place) > 2}
        if "from" in bad:
            continue  # without it the entry would mean something else
        try:
            readable[number] = model(**{key: value for key, value in entry.items() if key not in bad})
        except (ValidationError, TypeError):
            continue  # a required key is wrong
    return readable


def _entries(document: dict[Any, Any], member: str) -> dict[int, dict[str, Any]]:
    entries = document.get(member)
    return {
        at: each for at, each in enumerate(entries if isinstance(entries, list) else ()) if isinstance(each, dict)
    }


def _place(loc: tuple[str | int, ...]) -> Place:
    """Return the place without the step that Pydantic adds for the key of a mapping."""
    return tuple(step for step in loc if step != "[key]")


def _sentence(item: Any) -> str:
    """Return a sentence that says what to do about one of Pydantic's errors."""
    match item["type"]:
        case "extra_forbidden":
            return "is not a key of a policy: check its spelling"
        case "missing":
            return "is missing: add it"
        case "value_error":
            return str(item["ctx"]["error"])
    return f"{item['msg'][0].lower()}{item['msg'][1:]}, got {shown(item['input'])}"
