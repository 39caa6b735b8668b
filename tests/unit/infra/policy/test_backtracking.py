"""No pattern that the policy's check accepts takes long for a tag, whoever chose the tag."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.policy.backtracking import MOST_STEPS, most_steps
from infra.policy.file import PolicyError, read
from infra.policy.positions import TooLargeError
from promoter.domain.limits import LONGEST_TAG
from tests.support.backtracker import Backtracker, TooManyError

REFUSED = [
    r"^(a+)+$",
    r"\d*\d*\d*\d*\d*x",
    r"(a|a)*b",
    r"(a|b|ab)*c",
    r"(?:a?){50}a{50}",
    r"(?:a?){1000}",
    r"(?:|){30}a",
    r"(a*)*b",
    r"(.*)(.*)(.*)x",
    r"(\w+)\1+x",
    r"(?=(a+)+b).*",
    r"(?<!x)(?!(a|aa)+$).*",
    r"(?i:(ß|a|A|ss)*)b",
    r"(?:(?:a{1,100}){1,100}){1,100}",
    r"(a|b)*?(a|b)*?(a|b)*?c",
    r"(?>(a|aa)+)b",
    r"(x+x+)+y",
    r".{1,100}.{1,100}.{1,100}.{1,100}x",
]
ORDINARY = [
    r"^v\d+\.\d+\.\d+$",
    r"^build-(?P<build>\d+)$",
    r"^(?P<name>[a-z]+)-(?P<sha>[0-9a-f]{7,40})$",
    r".*",
    r"(main|release-.*)-\d+",
    r"[\w.-]{1,128}",
    r".{1,60}-.{1,60}",
    r"(?P<name>[\w.-]+)-(?P<branch>[\w.-]+)-(?P<n>\d+)",
    r"[a-z]\w*(-[a-z]\w*)*",
    r"(?!latest$)(?!.*-dirty$).*",
    r"(?i)release-.*",
    r"v?\d+(\.\d+)*(-[0-9a-z]+(\.[0-9a-z]+)*)?",
    r"v(0|[1-9]\d*)\.(0|[1-9]\d*)(-((0|[1-9]\d*|\d*[a-zA-Z-][\w-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][\w-]*))*))?",
]
ATTACKS = [(part * LONGEST_TAG)[:LONGEST_TAG] for part in ("a", "-", "1", "ab", "a-", "-1", "1.", "ab-", "aab")]
ATTACKS += [f"{text[:-1]}{end}" for text in ATTACKS for end in "x_"]

ATOMS = ["a", "b", "-", ".", "[ab]", r"\w", r"\d", "[a-]"]
PATTERNS = st.recursive(
    st.tuples(st.sampled_from(ATOMS), st.sampled_from(["", "", "*", "+", "?", "{2}", "{0,3}", "{2,}", "*?"])).map(
        "".join
    ),
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map("|".join).map("(?:{})".format),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{0,2}", "{2,3}", "+?"])).map(
            lambda it: f"({it[0]}){it[1]}"
        ),
        inner.map("(?:|{})".format),
        inner.map("(?!{})".format),
    ),
    max_leaves=6,
)


def mistakes(folder: Path, pattern: str) -> str:
    """Return the messages about a pattern in `from`, and in `to_matching` two lines below."""
    file = folder / "promotions.yaml"
    file.write_text(
        "rules:\n- name: r\n  on: request\n  repositories: [web]\n"
        f"  from: '{pattern}'\n  to: [prod]\n  to_matching: ['{pattern}']\n"
    )
    with pytest.raises(PolicyError) as caught:
        read(file)
    return str(caught.value)


@pytest.mark.parametrize("pattern", REFUSED)
def test_a_pattern_that_can_take_long_is_refused_with_line_and_remedy(tmp_path: Path, pattern: str) -> None:
    """Anybody who pushes or calls chooses a tag; no tag may keep the function busy."""
    printed = mistakes(tmp_path, pattern)

    assert "promotions.yaml:5:3: rules[0].from: " in printed
    assert "promotions.yaml:7:17: rules[0].to_matching[0]: " in printed
    assert "takes too long for some tags: " in printed or "is too large to check: write" in printed


@pytest.mark.parametrize("pattern", ORDINARY)
def test_an_ordinary_pattern_passes_and_is_fast(pattern: str) -> None:
    """Versions, builds and branches, with groups, counts and look-ahead, take milliseconds for the worst tag."""
    assert most_steps(pattern) <= MOST_STEPS
    compiled = re.compile(pattern)

    begun = time.process_time()
    for attack in ATTACKS:
        compiled.fullmatch(attack)

    assert time.process_time() - begun < 1


@settings(derandomize=True, deadline=None, max_examples=400)
@given(PATTERNS, st.text(alphabet="ab-1", max_size=9))
def test_no_match_takes_more_steps_than_the_bound(pattern: str, text: str) -> None:
    """A matcher that tries every way never reads more characters than the bound."""
    try:
        bound = most_steps(pattern, longest=len(text))
    except TooLargeError:
        return
    if bound <= MOST_STEPS:
        try:
            assert Backtracker(pattern, text, most=bound).run() <= bound
        except TooManyError:
            pytest.fail(f"more than {bound} steps")


@settings(derandomize=True, deadline=None, max_examples=200)
@given(PATTERNS)
def test_an_accepted_pattern_is_fast(pattern: str) -> None:
    """Python's own matcher is fast on the longest tags, also if they match except for their end."""
    try:
        if most_steps(pattern) > MOST_STEPS:
            return
    except TooLargeError:
        return
    compiled = re.compile(pattern)

    begun = time.process_time()
    for attack in ATTACKS:
        compiled.fullmatch(attack)

    assert time.process_time() - begun < 2


def test_the_bound_is_near_the_steps_of_simple_patterns() -> None:
    """A pattern without choices takes about a step a character; one free choice takes about the square of that."""
    assert most_steps(".*") < 10 * LONGEST_TAG
    assert LONGEST_TAG**2 < most_steps(".*-.*") < 5 * LONGEST_TAG**2
