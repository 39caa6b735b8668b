"""The complexity of wildcards: the measure of EventBridge's matcher, and what AWS accepted and refused."""

from __future__ import annotations

import itertools
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.policy.complexity import REFUSED_FROM, SAFE, complexity, of_globs

STACKS = [f"*:stack/{name}/*" for name in ("Api", "Web", "Jobs", "Monitoring")]


def score(*wildcards: str) -> int:
    """Return the complexity without a limit."""
    return complexity([[wildcard] for wildcard in wildcards], most=1000)


@pytest.mark.parametrize(
    ("wildcards", "expected", "refused"),
    [
        (STACKS[:3], 9, False),
        (STACKS, 12, True),
        (["*:*:*:*:*:event-bus/*"], 11, True),
        (["arn:aws:events:us-east-1:*:event-bus/*"], 3, False),
        (["/Users/*/dir/dir/dir/dir/dir/doc.txt"], 7, False),
    ],
)
def test_the_limit_fits_what_aws_accepted_and_refused(
    wildcards: list[str], expected: int, *, refused: bool
) -> None:
    """The limit lies between the highest score that was deployed and the lowest that was refused."""
    assert score(*wildcards) == expected
    assert (complexity([[wildcard] for wildcard in wildcards]) >= REFUSED_FROM) is refused


def test_a_safe_score_is_not_refused() -> None:
    """The policy's limit is the highest score that was deployed."""
    assert SAFE < REFUSED_FROM


@pytest.mark.parametrize(
    ("globs", "expected"),
    [
        (["team/web", "team/*", "*"], 0),  # a name, and prefixes
        (["team/*/web"], 2),
        (["team/**/web"], 2),
        (["*-api"], 2),
        (["a/*-x", "b/*-x"], 2),
        (["a/*-x", "a/*-y"], 4),
        ([f"team-{number}/*-x" for number in range(9)], 9),  # all begin with `"team-`
    ],
)
def test_only_the_wildcards_of_globs_count(globs: list[str], expected: int) -> None:
    """A glob whose only star is at the end is a prefix, which adds nothing."""
    assert of_globs(globs) == expected


def test_the_arn_before_a_name_makes_no_difference() -> None:
    """Inspector names repositories by ARN, so one division of the globs serves both kinds of events."""
    arn = "arn:aws:ecr:eu-central-1:123456789012:repository/"
    for globs in (["*-api", "a*b*a"], [f"t{number}/*-{number}" for number in range(9)], ["e*c*r", "*rep*"]):
        assert of_globs(globs) == of_globs([arn + glob for glob in globs])


@given(st.lists(st.text(alphabet="ab*", max_size=5).filter(lambda it: "**" not in it), max_size=3, unique=True))
def test_the_score_is_the_highest_number_of_prefixes_that_a_text_matches(wildcards: list[str]) -> None:
    """The test counts the prefixes one by one, for every short text."""
    quoted = [f'"{wildcard}"' for wildcard in wildcards]
    prefixes = [glob[:length] for glob in quoted for length in range(1, len(glob) + 1)]
    matchers = [re.compile(re.escape(prefix).replace(r"\*", ".*")) for prefix in prefixes]
    letters = (letters for length in range(8) for letters in itertools.product("ab", repeat=length))
    texts = [text for word in letters for text in (f'"{"".join(word)}', f'"{"".join(word)}"')]

    highest = max((sum(bool(it.fullmatch(text)) for it in matchers) for text in texts), default=0)

    assert score(*wildcards) == highest


def test_measuring_is_fast_for_any_policy() -> None:
    """Above the limit the exact score is not measured."""
    begun = time.process_time()

    assert complexity([["*a*b" * 60]] * 9, most=SAFE + 1) == SAFE + 1
    assert of_globs(["ab" * 60 + "*" + "ab" * 3] * 9) <= SAFE
    assert time.process_time() - begun < 2
