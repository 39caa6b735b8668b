"""The formats: JSON, YAML and text are held to the libraries that read or write them elsewhere."""

from __future__ import annotations

import io
from typing import Any

import awscli.text
import pytest
import yaml as pyyaml
from hypothesis import given
from hypothesis import strategies as st

from ecr_promoter.output import tables, text, yaml
from tests.cli.conftest import FakeApi, Run, promoted

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.floats(-9e9, 9e9)
)
WORDS = st.sampled_from(
    ["yes", "NO", "null", "1e3", "0x1", "2026-11-24", "12:30:45", "a: b", "- a", "=", "<<", "~", ""]
)
DOCUMENTS = st.recursive(
    SCALARS | WORDS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abcXYZ1 -:", max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)
PLAIN = st.text("abc\u00e9 ", max_size=5) | st.integers() | st.booleans() | st.none()
ANSWERS = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(PLAIN, max_size=3)
        | st.lists(st.lists(PLAIN, max_size=3), max_size=3)
        | st.lists(st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=3), max_size=3)
        | st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(DOCUMENTS)
def test_yaml_is_read_back_as_it_was(document: Any) -> None:
    """By another library. Nothing becomes a date, a number or a truth value that was a text."""
    assert pyyaml.safe_load(yaml.dump(document)) == document


@given(ANSWERS)
def test_text_is_that_of_the_aws_cli(document: Any) -> None:
    """Byte for byte."""
    theirs = io.StringIO()
    awscli.text.format_text(document, theirs)

    assert text.dump(document) == theirs.getvalue()


@pytest.mark.parametrize(
    ("query", "lines"),
    [
        ("images[].{tag: imageId.imageTag, was: previousDigest}", ["tag    was", "", "prod   sha256:b2"]),
        ("{a: outcome, b: rule}", ["a  PROMOTED", "b  prod-by-pipeline"]),
        ("images[].outcome", ["PROMOTED"]),
        ("outcome", ["PROMOTED"]),
        ("nothing", ["-"]),
    ],
)
def test_a_query_can_be_shown_as_a_table(run: Run, api: FakeApi, query: str, lines: list[str]) -> None:
    """Whatever it selects. Digests are whole, as the user asked for them."""
    api.answer("POST /promotions", promoted())

    shown = run("promote", "team/web", "x", "--query", query, "--output", "table").stdout.splitlines()

    assert "".join(shown).replace("─", "").replace("\n", "").startswith("".join(lines))


@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        ("2026-11-24T10:00:00.123456+01:00", "2026-11-24 09:00:00Z"),
        ("yesterday", "yesterday"),
        (None, None),
    ],
)
def test_moments_are_in_utc(moment: str | None, shown: str | None) -> None:
    """What is not a moment is shown as it is."""
    assert tables.moment(moment) == shown


def test_an_answer_that_the_terminal_cannot_show_is_escaped(
    run: Run, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A half of a surrogate pair in a text of others ends no command."""
    api.answer("POST /promotions", promoted(rule="\ud800"))

    ended = run("promote", "team/web", "x", "--output", "json")

    assert ended.exit_code == 0
    assert "\\ud800" in ended.stdout
