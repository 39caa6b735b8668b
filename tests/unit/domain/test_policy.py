"""Which rule admits what; tables over pure functions."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promoter.domain.errors import InvalidRequest, NotAllowed
from promoter.domain.model import ImageId, Promotion, Repository, Source, Trigger
from promoter.domain.policy import matches
from promoter.entrypoints import image_events
from tests.support.policies import ACCOUNT, policy, rule

DIGEST = "sha256:" + "0123456789ab" + "0" * 52


def promotion(tag: str | None = "build-42", *, repository: str = "team/web", **members: Any) -> Promotion:
    defaults: dict[str, Any] = {
        "promotion_id": "p",
        "trigger": Trigger.REQUEST,
        "repository": Repository(ACCOUNT, repository),
        "source": Source(ImageId(tag, DIGEST)),
        "asked_at": datetime(2026, 12, 31, 23, 30, tzinfo=UTC),
    }
    return Promotion(**(defaults | members))


@pytest.mark.parametrize(
    ("glob", "repository", "covered"),
    [
        ("team/web", "team/web", True),
        ("team/web", "team/web2", False),
        ("team/*", "team/web", True),
        ("team/*", "team/sub/web", True),  # as IAM's wildcard, from which the function's rights are made
        ("team/*", "team", False),
        ("*", "anything", True),
        ("team/*", "steam/web", False),
    ],
)
def test_a_repository_glob_covers_what_iam_would(glob: str, repository: str, *, covered: bool) -> None:
    """`*` stands for any characters, slashes included; everything else for itself."""
    rules = policy(rule(repositories=[glob]))

    if covered:
        assert rules.admit(promotion(repository=repository))[1] == ("prod",)
    else:
        with pytest.raises(NotAllowed):
            rules.admit(promotion(repository=repository))


@settings(derandomize=True)
@given(st.text("a*b", max_size=12), st.text("ab*", max_size=8))
def test_a_glob_is_a_text_with_gaps(text: str, glob: str) -> None:
    """As the regular expression says that has `.*` for each `*`."""
    pattern = ".*".join(re.escape(part) for part in glob.split("*"))

    assert matches(text, glob) is (re.fullmatch(pattern, text) is not None)


def test_no_glob_takes_long() -> None:
    """A caller may list promotions by one: with backtracking this one would not end."""
    assert not matches("a" * 100_000, "*" + "a*" * 1000 + "b")
    assert matches("a" * 100_000 + "\nb", "*" + "a*" * 1000 + "b")


@pytest.mark.parametrize(
    ("pattern", "tag", "admitted"),
    [
        (None, "anything", True),
        (None, None, True),
        (r"build-\d+", "build-42", True),
        (r"build-\d+", "build-42-dirty", False),
        (r"build-\d+", "my-build-42", False),
        (r"^build-\d+$", "build-42", True),
        (r"build|test-\d+", "test-x", False),
        (r"build-\d+", None, False),
    ],
)
def test_from_has_to_match_the_whole_source_tag(pattern: str | None, tag: str | None, *, admitted: bool) -> None:
    """A part of the tag is not enough, and a source without a tag matches no pattern."""
    rules = policy(rule(**{"from": pattern}))

    if admitted:
        rules.admit(promotion(tag))
    else:
        with pytest.raises(NotAllowed) as caught:
            rules.admit(promotion(tag))
        assert caught.value.reasons[0].rule == "prod-by-pipeline"


def test_templates_are_filled_from_the_source() -> None:
    """Named groups, the tag, the digest's first 12 digits, and the date in UTC, wherever the caller's clock is."""
    rules = policy(
        rule(**{"from": r"build-(?P<n>\d+)(?P<rest>-.*)?", "to": ["v{n}{rest}", "{tag}.{digest}.{date}"]})
    )
    in_tokyo = datetime(2027, 1, 1, 8, 30, tzinfo=timezone(timedelta(hours=9)))

    _, tags = rules.admit(promotion(asked_at=in_tokyo))

    assert tags == ("v42", "build-42.0123456789ab.20261231")


def test_templates_that_agree_make_one_tag() -> None:
    """A tag is put once, however many templates make it."""
    assert policy(rule(to=["prod", "prod"])).admit(promotion())[1] == ("prod",)


def test_a_template_that_makes_no_tag_of_this_source_refuses() -> None:
    """Better no promotion than a tag that nobody can pull."""
    rules = policy(rule(**{"from": "(?P<a>.*)", "to": ["{a}{a}"]}))

    with pytest.raises(NotAllowed) as caught:
        rules.admit(promotion("x" * 100))
    (reason,) = caught.value.reasons
    assert (reason.rule, "is not a tag" in reason.sentence) == ("prod-by-pipeline", True)


DOUBLED = {"from": "(?P<a>.*)", "to": ["{a}{a}"]}


@pytest.mark.parametrize("asked", [None, ("prod",)])
@pytest.mark.parametrize("trigger", [*Trigger])
def test_what_makes_no_tag_is_the_objection_of_its_rule_alone(
    trigger: Trigger, asked: tuple[str, ...] | None
) -> None:
    """Another rule that serves the source goes by it, for requests and for events."""
    rules = policy(rule(name="doubles", on=trigger, **DOUBLED), rule(name="serves", on=trigger))
    asking = promotion("x" * 100, trigger=trigger, image_tags=asked)

    assert [each.name for each in rules.serving(asking)] == ["serves"]
    assert rules.admit(asking)[0].name == "serves"


def test_an_event_is_served_by_the_rules_whose_templates_make_tags() -> None:
    """Each rule is a promotion of its own; where none makes a tag, the event is ignored with the reason."""
    doubles, serves = rule(name="doubles", on="scan", **DOUBLED), rule(name="serves", on="scan", **{"from": ".*"})
    scanned = image_events.ImageEvent(
        "e-1",
        Repository(ACCOUNT, "team/web"),
        DIGEST,
        ("x" * 100,),
        datetime(2026, 11, 23, tzinfo=UTC),
        is_scan=True,
    )

    promotions = image_events.promotions(scanned, policy(doubles, serves))
    ignored = image_events.promotions(scanned, policy(doubles))

    assert not isinstance(promotions, image_events.Ignored)
    assert [each.rule for each in promotions] == ["serves"]
    assert isinstance(ignored, image_events.Ignored)
    assert "is not a tag" in ignored.reason


def test_a_refusal_names_the_rule_whose_template_makes_no_tag() -> None:
    """Beside the reasons of the rules that serve the source but do not give these tags."""
    rules = policy(rule(name="doubles", **DOUBLED), rule(name="serves"))

    with pytest.raises(NotAllowed) as caught:
        rules.admit(promotion("x" * 100, image_tags=("latest",)))

    sentences = {reason.rule: reason.sentence for reason in caught.value.reasons}
    assert "is not a tag" in sentences["doubles"]
    assert "may not put latest" in sentences["serves"]


def test_a_template_of_the_digest_is_judged_once_the_digest_is_known() -> None:
    """A source named by tag only is looked up first, and only where a rule serves it."""
    rules = policy(rule(name="bare", to=["{digest}"]), rule(name="long", to=["{tag}-{digest}"]))

    by_tag = promotion("x" * 120, source=Source(ImageId("x" * 120)))
    assert [each.name for each in rules.serving(by_tag)] == ["bare", "long"]
    assert [each.name for each in rules.serving(promotion("x" * 120))] == ["bare"]


@pytest.mark.parametrize("tag", ["sha256-" + "a" * 64, "sha256-" + "a" * 64 + ".sig", "sha256-"])
@pytest.mark.parametrize("trigger", [*Trigger])
def test_no_rule_puts_a_tag_of_signatures(trigger: Trigger, tag: str) -> None:
    """Neither by `to` nor by `to_matching`: clients would take the image for a signature of another."""
    made = policy(rule(on=trigger, **{"from": ".*", "to": ["{tag}"]}))
    named = policy(rule(on=trigger, to=[], to_matching=[".*"]))

    with pytest.raises(NotAllowed, match="serves this source") as caught:
        made.admit(promotion(tag, trigger=trigger))
    assert tag in caught.value.reasons[0].sentence
    with pytest.raises(NotAllowed, match="No rule lets this caller put"):
        named.admit(promotion(trigger=trigger, image_tags=(tag,)))


def test_the_source_may_have_a_tag_of_signatures() -> None:
    """What is refused is to put one."""
    assert policy(rule()).admit(promotion("sha256-" + "a" * 64))[1] == ("prod",)


@pytest.mark.parametrize(
    ("asked", "admitted"),
    [
        (("prod",), True),
        (("v1.2.3",), True),
        (("prod", "v1.2.3"), True),
        (("prod", "latest"), False),
        (("v1.2.3-rc1",), False),
    ],
)
def test_a_caller_names_only_tags_that_the_rule_gives(asked: tuple[str, ...], *, admitted: bool) -> None:
    """`to` and `to_matching` together bound what may be named; one tag too many refuses all."""
    rules = policy(rule(to_matching=[r"v\d+\.\d+\.\d+"]))

    if admitted:
        assert rules.admit(promotion(image_tags=asked))[1] == asked
    else:
        with pytest.raises(NotAllowed, match=asked[-1]):
            rules.admit(promotion(image_tags=asked))


@pytest.mark.parametrize(
    ("callers", "caller", "admitted"),
    [
        (None, None, True),
        (["arn:aws:sts::*:assumed-role/deployer/*"], "arn:aws:sts::1:assumed-role/deployer/run-7", True),
        (["arn:aws:sts::*:assumed-role/deployer/*"], "arn:aws:sts::1:assumed-role/deployer2/run-7", False),
        (["arn:aws:iam::1:user/ann", "arn:aws:iam::1:user/bob"], "arn:aws:iam::1:user/bob", True),
        (["arn:aws:iam::1:user/ann"], "arn:aws:iam::1:user/Ann", False),
        (["*"], None, True),
        (["arn:*"], None, False),
    ],
)
def test_callers_are_matched_by_arn(callers: list[str] | None, caller: str | None, *, admitted: bool) -> None:
    """Globs over the ARN that API Gateway authenticated; case counts."""
    rules = policy(rule(callers=callers))

    if admitted:
        rules.admit(promotion(caller=caller))
    else:
        with pytest.raises(NotAllowed):
            rules.admit(promotion(caller=caller))


@pytest.mark.parametrize(
    ("registry", "asked", "covered"),
    [(None, ACCOUNT, True), (None, "999999999999", False), ("999999999999", "999999999999", True)],
)
def test_a_rule_serves_one_registry(registry: str | None, asked: str, *, covered: bool) -> None:
    """The function's own account, unless the rule names another."""
    rules = policy(rule(registry=registry))
    asking = promotion(repository="team/web")

    if covered:
        rules.admit(Promotion("p", Trigger.REQUEST, Repository(asked, "team/web"), asking.source))
    else:
        with pytest.raises(NotAllowed):
            rules.admit(Promotion("p", Trigger.REQUEST, Repository(asked, "team/web"), asking.source))


def test_a_rule_serves_one_trigger() -> None:
    """No pipeline calls a scan rule, and no scan fires a request rule."""
    rules = policy(rule(name="a", on="scan", to=["a"]), rule(name="b", on="request", to=["b"]))

    assert rules.admit(promotion(trigger=Trigger.SCAN))[1] == ("a",)
    assert rules.admit(promotion())[1] == ("b",)


def test_two_rules_that_serve_a_request_need_the_tags_named() -> None:
    """Which of them is meant is not guessed."""
    rules = policy(rule(name="one", to=["a"]), rule(name="two", to=["b"]))

    with pytest.raises(InvalidRequest, match="one, two"):
        rules.admit(promotion())
    assert rules.admit(promotion(image_tags=("b",)))[0].name == "two"


def test_a_rule_without_to_needs_the_tags_named() -> None:
    """`to_matching` alone says what may be put, not what is."""
    with pytest.raises(InvalidRequest, match="imageTags"):
        policy(rule(to=[], to_matching=["v.*"])).admit(promotion())


def test_every_rule_of_a_scan_fires() -> None:
    """Two scan rules that serve one image are two promotions."""
    rules = policy(rule(name="a", on="scan", to=["a"]), rule(name="b", on="scan", to=["b"]))

    assert [r.name for r in rules.serving(promotion(trigger=Trigger.SCAN))] == ["a", "b"]


@pytest.mark.parametrize("tag", ["1" * 129, "1" * 300, "1/1", "1\n"])
def test_what_is_not_a_tag_matches_no_pattern(tag: str) -> None:
    """An event may bring tags of 300 characters; the policy's check bounds the steps for 128."""
    with pytest.raises(NotAllowed) as caught:
        policy(rule(on="scan", **{"from": r"[\d/\n]+"})).admit(promotion(tag, trigger=Trigger.SCAN))

    assert "does not match" in caught.value.reasons[0].sentence


@pytest.mark.parametrize(
    ("glob", "text", "fits"),
    [
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("*ab*b*", "abb", True),
        ("*ab*ab", "abab", True),
        ("*ab*ab", "xab", False),
        ("a**b", "a\nb", True),
        ("", "", True),
        ("*", "", True),
        ("a.c", "abc", False),
    ],
)
def test_a_star_stands_for_any_characters(glob: str, text: str, *, fits: bool) -> None:
    """Also for none, for a line break, and more than once; nothing else has a meaning."""
    assert matches(text, glob) is fits
