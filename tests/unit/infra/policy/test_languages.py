"""Whether two patterns of a policy match a common text: none is ever missed."""

from __future__ import annotations

import itertools
import re
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.policy import languages
from promoter.domain.templates import render

TEXTS = ["".join(letters) for length in range(5) for letters in itertools.product("ab1-.", repeat=length)]
ATOMS = [
    "a",
    "b",
    "-",
    r"\d",
    r"\w",
    ".",
    "[ab]",
    "[^a]",
    r"[\w.-]",
    r"\.",
    "[]a]",
    "(?!a).",
    r"(?<=a).",
    "^",
    "$",
]
PATTERNS = st.recursive(
    st.tuples(st.sampled_from(ATOMS), st.sampled_from(["", "*", "+", "?", "{2}", "{0,2}", "*?", "++"])).map(
        "".join
    ),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.tuples(inner, inner).map("|".join),
        inner.map("(?:{})*".format),
    ),
    max_leaves=6,
).filter(languages._is_whole)
GLOBS = st.text(alphabet="ab1-.*", max_size=6)


@given(PATTERNS, PATTERNS)
def test_two_patterns_that_match_the_same_text_meet(one: str, other: str) -> None:
    """That holds for any of Python's regular expressions."""
    both = [text for text in TEXTS if re.fullmatch(one, text) and re.fullmatch(other, text)]

    if both:
        assert languages.meet(languages.of(one), languages.of(other)), both[0]


@given(GLOBS, GLOBS)
def test_two_globs_that_match_the_same_name_meet(one: str, other: str) -> None:
    """`*` matches any characters, or none."""
    both = [text for text in TEXTS if fnmatchcase(text, one) and fnmatchcase(text, other)]

    if both:
        assert languages.meet(languages.of_glob(one), languages.of_glob(other)), both[0]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"^build-\d+$", r"^tested-\d+$"),
        (r"v\d+\.\d+", r"v\d+\.\d+\.\d+"),
        (r"(?P<a>x|y)-1", "[^xy].*"),
        ("release", "releases"),
        (r"\Aa\Z", "b"),
    ],
)
def test_patterns_without_a_common_text_do_not_meet(one: str, other: str) -> None:
    """A policy is not refused without a reason."""
    assert not languages.meet(languages.of(one), languages.of(other))


@pytest.mark.parametrize(
    ("one", "other", "meets"),
    [("team/*", "solo", False), ("team/*", "*-api", True), ("a*b", "a*c", False), ("web", "web", True)],
)
def test_globs_meet_if_a_name_matches_both(one: str, other: str, *, meets: bool) -> None:
    """`team/*` and `*-api` both match team/x-api."""
    assert languages.meet(languages.of_glob(one), languages.of_glob(other)) is meets


@pytest.mark.parametrize(
    ("template", "source", "tag", "meets"),
    [
        ("{version}", r"build-(?P<version>\d+(\.\d+)*)", "1.2", True),
        ("{version}", r"build-(?P<version>\d+(\.\d+)*)", "build-1", False),
        ("x-{tag}", "^a|b$", "x-b", True),
        ("x-{tag}", "^a|b$", "x-c", False),
        ("{digest}", None, "0123456789ab", True),
        ("{digest}", None, "latest", False),
        ("{date}", None, "20261123", True),
        ("{name}", r"(?P<name>[)]\)x)", ")", False),
        ("{name}", "(?P<name>a)?b", "", True),
        ("{name}", "(?i)(?P<name>release)", "RELEASE", True),
        ("{name}", "(?i:(?P<name>release))", "RELEASE", True),
        ("{name}", "(?x)(?P<name>a b)", "ab", True),
        ("{name}", "(?=x)(?P<name>a)", "b", True),
    ],
)
def test_a_template_stands_for_the_tags_that_it_can_make(
    template: str, source: str | None, tag: str, *, meets: bool
) -> None:
    """The patterns of its groups count where they are exact, so that {version} does not stand for any tag."""
    language = languages.of_template(template, source, ["web"])

    assert languages.meet(language, languages.of_text(tag)) is meets


@given(st.from_regex(r"build-(?P<n>[0-9a-c]{1,3})(?:-(?P<os>linux|mac))?", fullmatch=True))
def test_a_tag_that_a_template_makes_is_in_its_language(source_tag: str) -> None:
    """That holds for every source tag."""
    source = r"^build-(?P<n>[0-9a-c]{1,3})(?:-(?P<os>linux|mac))?$"
    match = re.fullmatch(source, source_tag)
    assert match

    made = render("v{n}.{os}-{tag}", match.groupdict(default="") | {"tag": source_tag})

    language = languages.of_template("v{n}.{os}-{tag}", source, ["web"])
    assert languages.meet(language, languages.of_text(made))
