"""How complex EventBridge finds wildcards: its matcher's measure, and what AWS is known to take and to refuse."""

from __future__ import annotations

import itertools
import re
import time

import pytest
from hypothesis import given, settings
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
def test_what_aws_was_seen_to_take_and_to_refuse(wildcards: list[str], expected: int, *, refused: bool) -> None:
    """The limit lies between the highest score that deployed and the lowest that did not."""
    assert score(*wildcards) == expected
    assert (complexity([[wildcard] for wildcard in wildcards]) >= REFUSED_FROM) is refused


def test_what_is_safe_is_not_refused() -> None:
    """We stay at what was seen to deploy."""
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
        ([f"team-{number}/*-x" for number in range(9)], 9),  # `"team-` begins each
    ],
)
def test_repository_globs_cost_what_their_wildcards_do(globs: list[str], expected: int) -> None:
    """A glob that ends in its only star is a prefix, which costs nothing."""
    assert of_globs(globs) == expected


def test_the_arn_before_a_name_makes_no_difference() -> None:
    """Inspector names repositories by ARN; the same division serves both."""
    arn = "arn:aws:ecr:eu-central-1:123456789012:repository/"
    for globs in (["*-api", "a*b*a"], [f"t{number}/*-{number}" for number in range(9)], ["e*c*r", "*rep*"]):
        assert of_globs(globs) == of_globs([arn + glob for glob in globs])


@settings(derandomize=True, deadline=None)
@given(st.lists(st.text(alphabet="ab*", max_size=5).filter(lambda it: "**" not in it), max_size=3, unique=True))
def test_no_text_matches_more_beginnings(wildcards: list[str]) -> None:
    """And one matches as many: counted one by one, for every short text."""
    quoted = [f'"{wildcard}"' for wildcard in wildcards]
    beginnings = [glob[:length] for glob in quoted for length in range(1, len(glob) + 1)]
    matchers = [re.compile(re.escape(beginning).replace(r"\*", ".*")) for beginning in beginnings]
    letters = (letters for length in range(8) for letters in itertools.product("ab", repeat=length))
    texts = [text for word in letters for text in (f'"{"".join(word)}', f'"{"".join(word)}"')]

    highest = max((sum(bool(it.fullmatch(text)) for it in matchers) for text in texts), default=0)

    assert score(*wildcards) == highest


def test_measuring_takes_no_time() -> None:
    """Whatever a policy holds; beyond the limit it is not measured how far."""
    begun = time.process_time()

    assert complexity([["*a*b" * 60]] * 9, most=SAFE + 1) == SAFE + 1
    assert of_globs(["ab" * 60 + "*" + "ab" * 3] * 9) <= SAFE
    assert time.process_time() - begun < 2
