"""`make explain` and the function decide alike: whatever the policy, the image and the caller."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from infra.policy.explain import Question, Verdict, explain
from promoter.domain.answers import Answer, NotPromoted, Waiting
from promoter.domain.decision import by_rule, needing_digest
from promoter.domain.errors import NotAllowed
from promoter.domain.findings import Evidence, Finding, Scan, Subject
from promoter.domain.model import ImageId, Promotion, Repository, Source, Trigger
from promoter.domain.policy import Policy
from promoter.promotion.promote import promote
from tests.support.ledgers import dependencies
from tests.support.policies import ACCOUNT, gate, policy, rule
from tests.support.registries import InMemoryRegistry, KnownImageFacts, manifest

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
IMAGE = manifest('{"layers": []}')
PROFILE = "arn:aws:signer:eu-west-1:123456789012:/signing-profiles/release"
CALLERS = [None, "arn:aws:sts::123456789012:assumed-role/deploy/1", "github:acme/web:ref:refs/heads/main"]

gates = st.builds(
    gate,
    findings=st.sampled_from([None, {"CRITICAL": 0}, {"CRITICAL": 0, "HIGH": 1}]),
    fixable_only=st.booleans(),
    max_scan_age=st.sampled_from([None, 86400]),
    signed=st.sampled_from([True, False]),
    signing_profiles=st.sampled_from([[PROFILE], []]),
    soak=st.sampled_from([0, 0, 3600]),
)
rules = st.builds(
    rule,
    name=st.sampled_from(["prod", "staging", "canary"]),
    on=st.sampled_from(["scan", "request"]),
    repositories=st.sampled_from([["team/*"], ["team/web"], ["team/*", "x"], ["other/*"]]),
    to=st.sampled_from([["prod"], ["{tag}-ok"], ["prod", "prod-{date}"], ["v-{digest}"], []]),
    to_matching=st.sampled_from([["prod|rc-.*"], [".*"], []]),
    callers=st.sampled_from([None, ["*"], ["arn:aws:sts::*", "github:*"], ["github:acme/*"]]),
    gate=gates | st.none(),
    **{"from": st.sampled_from([None, "build-(?P<number>[0-9]+)", ".*", "rc-.*"])},
)
freezes = st.fixed_dictionaries(
    {
        "from": st.just((NOW - timedelta(days=1)).timestamp()),
        "to": st.sampled_from([(NOW + timedelta(days=day)).timestamp() for day in (-0.5, 1)]),
        "reason": st.just("holidays"),
        "rules": st.sampled_from([None, ["prod"]]),
        "repositories": st.sampled_from([None, ["team/*"], ["other/*"]]),
    }
)
policies = st.builds(
    lambda rules, freeze: policy(*rules, freeze=freeze),
    st.lists(rules, min_size=1, max_size=3, unique_by=lambda each: each["name"]),
    st.lists(freezes, max_size=1),
)
scans = st.builds(
    Scan,
    st.sampled_from([None, "COMPLETE", "ACTIVE", "IN_PROGRESS", "FAILED"]),
    st.lists(
        st.builds(
            Finding, st.just("CVE-1"), st.sampled_from(["CRITICAL", "HIGH", "LOW"]), st.just(("openssl",)),
            fixable=st.sampled_from([None, True, False]),
        ),
        max_size=3,
    ).map(tuple),
    st.sampled_from([None, NOW - timedelta(minutes=5), NOW - timedelta(days=2)]),
)  # fmt: skip
promotions = st.builds(
    Promotion,
    st.just("p-1"),
    st.sampled_from(Trigger),
    st.just(Repository(ACCOUNT, "team/web")),
    st.sampled_from([ImageId("build-7"), ImageId("build-7", IMAGE.digest)]).map(Source),
    st.sampled_from([None, ("prod",), ("prod",), ("prod", "rc-1"), ("nightly",)]),
    caller=st.sampled_from(CALLERS[::-1]),
    asked_at=st.just(NOW),
)


@settings(max_examples=500)
@given(
    rules=policies,
    asked=promotions,
    scan=scans,
    signed=st.booleans(),
    by_profile=st.booleans(),
    age=st.sampled_from([timedelta(minutes=10), timedelta(days=3)]),
)
def test_explain_never_differs_from_the_function(
    rules: Policy, asked: Promotion, scan: Scan, signed: bool, by_profile: bool, age: timedelta
) -> None:
    """The same rule and tags, or the same code with the same reasons."""
    signers = frozenset({PROFILE} if by_profile else set())
    image_facts = KnownImageFacts(
        {IMAGE.digest: scan},
        signatures={IMAGE.digest} if signed else set(),
        profiles={IMAGE.digest: set(signers)} if signers else {},
        pushes={IMAGE.digest: NOW - age},
    )
    known = Evidence((Subject(IMAGE.digest, "image", scan, NOW - age),), signed or by_profile, NOW - age)
    carried_out = by_function(rules, asked, image_facts)
    if carried_out is None:
        return  # explain asks for the digest, which only the registry knows

    explained = list(explain(rules, Question(asked, known, signers, NOW)))

    assert [of_explain(each) for each in explained] == [of_function(answer) for answer in carried_out]


def of_explain(verdict: Verdict) -> object:
    if verdict.refusal:
        return (verdict.refusal.code, verdict.refusal.detail, verdict.refusal.reasons)
    return verdict.decision and (verdict.decision.rule.name, verdict.decision.image_tags)


def of_function(answer: Answer) -> object:
    if isinstance(answer, NotPromoted):
        return (answer.error.code, answer.error.detail, answer.error.reasons)
    assert not isinstance(answer, Waiting), "a dry run waits"
    return (answer.rule, tuple(move.image_tag for move in answer.moves))


def by_function(rules: Policy, asked: Promotion, image_facts: KnownImageFacts) -> list[Answer] | None:
    """Return what the function answers, by each rule for a scan; None: it reads the registry for a tag's name."""
    try:
        if needing_digest(asked, rules):
            return None
        each_asked: Any = list(by_rule(asked, rules)) if asked.trigger is Trigger.SCAN else [asked]
    except NotAllowed as refusal:
        return [NotPromoted(refusal)]
    here = dependencies(rules, InMemoryRegistry({"build-7": IMAGE}), image_facts, now=lambda: NOW)
    return [promote(replace(promotion, dry_run=True), here) for promotion in each_asked]
