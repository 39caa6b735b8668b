"""The decision: who may take a promotion back, and what a gate's reasons amount to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from promoter.domain.decision import by_rule, decide, judge, needing_digest
from promoter.domain.errors import Frozen, GateRefused, NotAllowed, ScanPending
from promoter.domain.findings import Evidence
from promoter.domain.model import ImageId, Promotion, Reason, Source, Trigger, Wait
from promoter.domain.rule import Freeze
from tests.support.policies import gate, policy, rule
from tests.support.registries import REPOSITORY

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DIGEST = "sha256:" + "1" * 64
EVERYONE = policy(rule(name="prod", callers=None, to_matching=[".*"]))
RELEASERS = policy(rule(name="prod", callers=["rel-*"], to_matching=[".*"]))


def rollback(caller: str | None = "ann", **members: Any) -> Promotion:
    return Promotion(
        "p-9",
        Trigger.REQUEST,
        REPOSITORY,
        Source(ImageId(image_digest=DIGEST)),
        ("prod",),
        caller=caller,
        rule="prod",
        undoes="p-1",
        **members,
    )


def request(tag: str = "build-7", **members: Any) -> Promotion:
    return Promotion("p-1", Trigger.REQUEST, REPOSITORY, Source(ImageId(tag)), ("prod",), **members)


@pytest.mark.parametrize(
    ("rules", "operators", "caller", "allowed"),
    [
        (EVERYONE, (), "ann", True),
        (EVERYONE, ("bob",), "ann", False),
        (EVERYONE, ("a*",), "ann", True),
        (EVERYONE, ("a*",), None, False),
        (RELEASERS, (), "ann", False),
        (RELEASERS, (), "rel-1", True),
        (RELEASERS, ("bob",), "rel-1", True),
        (RELEASERS, ("bob",), "bob", False),
    ],
)
def test_a_rollback_is_for_the_rules_callers_or_else_for_operators(
    rules: Any, operators: tuple[str, ...], caller: str | None, allowed: bool
) -> None:
    """A rule that names no callers leaves it to operators, and to everyone where there are none."""
    if allowed:
        assert decide(rollback(caller), rules, now=NOW, operators=operators).image_tags == ("prod",)
    else:
        with pytest.raises(NotAllowed):
            decide(rollback(caller), rules, now=NOW, operators=operators)


@pytest.mark.parametrize("operators", [(), ("bob",)])
def test_nobody_overrides_who_is_not_a_named_operator(operators: tuple[str, ...]) -> None:
    """Also where the setting names nobody, and where the rule itself lets the caller roll back."""
    with pytest.raises(NotAllowed, match="not an operator"):
        decide(rollback("rel-1", override="incident"), RELEASERS, now=NOW, operators=operators)


def test_an_operator_overrides_a_freeze_and_a_rule_that_is_gone() -> None:
    """Nobody else goes past either of them."""
    frozen = Freeze(NOW - timedelta(hours=1), None, "incident 7", None, None)
    gone = policy(rule(name="renamed"))

    assert decide(rollback(override="bad image"), gone, now=NOW, freezes=[frozen], operators=["ann"]).rule.name
    with pytest.raises(NotAllowed, match="no longer in the policy"):
        decide(rollback(), gone, now=NOW, operators=["ann"])
    with pytest.raises(Frozen, match="incident 7"):
        decide(rollback(), EVERYONE, now=NOW, freezes=[frozen], operators=["ann"])


def test_an_override_belongs_to_rollbacks() -> None:
    """A request is frozen, and admitted by a rule, whatever it brings along."""
    frozen = Freeze(NOW - timedelta(hours=1), None, "incident 7", None, None)

    with pytest.raises(Frozen):
        decide(request(override="now"), EVERYONE, now=NOW, freezes=[frozen], operators=["*"])
    with pytest.raises(NotAllowed):
        decide(request(override="now"), policy(rule(callers=["rel-*"])), now=NOW, operators=["*"])


def test_a_scan_goes_by_every_rule_that_serves_it() -> None:
    """Each is a promotion of its own."""
    rules = policy(
        rule(on="scan", name="one", to=["a"], source="build-.*"),
        rule(on="scan", name="two", to=["b"], source=".*"),
    )
    scan = Promotion("p-1", Trigger.SCAN, REPOSITORY, Source(ImageId("build-7", DIGEST)))

    assert [decide(each, rules, now=NOW).image_tags for each in by_rule(scan, rules)] == [("a",), ("b",)]


def test_a_rule_that_makes_tags_of_the_digest_needs_it() -> None:
    """Until it is known no tag can be told; a rollback knows its images."""
    rules = policy(rule(name="pinned", to=["v-{digest}"]))

    assert [each.name for each in needing_digest(request(), rules)] == ["pinned"]
    assert not needing_digest(rollback(), rules)


def test_reasons_that_pass_with_time_do_not_refuse_a_promotion_that_may_wait() -> None:
    """It waits for a signature. Another one is refused, because its caller can send it again."""
    signed, open_to_all = policy(rule(gate=gate(signed=True)), rule()).rules

    assert isinstance(judge(signed, Evidence(signed=False), may_wait=True, now=NOW), ScanPending)
    refusal = judge(signed, Evidence(signed=False), may_wait=False, now=NOW)
    assert isinstance(refusal, GateRefused)
    assert refusal.reasons == (Reason("unsigned", refusal.reasons[0].sentence, rule=signed.name),)
    assert judge(signed, Evidence(signed=True), may_wait=False, now=NOW) is None
    assert judge(open_to_all, Evidence(), may_wait=False, now=NOW) is None


@pytest.mark.parametrize(
    ("trigger", "wait", "may_wait"),
    [
        (Trigger.SCAN, None, True),
        (Trigger.REQUEST, None, False),
        (Trigger.REQUEST, Wait(NOW + timedelta(days=1)), True),
    ],
)
def test_events_may_wait_and_requests_that_ask_for_it(
    trigger: Trigger, wait: Wait | None, *, may_wait: bool
) -> None:
    """Without `wait` a request is answered at once, as ever."""
    assert Promotion("p-1", trigger, REPOSITORY, Source(ImageId("a")), wait=wait).may_wait is may_wait
