"""One word for each idea: the glossary is true, and private words do not come back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
REFERENCE = ("api", "errors", "events", "gate", "ledger", "policy", "promotions")
DESCRIBED = ("lambda", "infra", *(f"docs/reference/{page}.md" for page in REFERENCE))
RETIRED = {
    "wish(es)?": "promotion",
    "World": "Dependencies",
    "Course": "AttemptState",
    "Look": "Plan",
    "Turn|turnEnds": "Lease, leaseEnds",
    "Watch|watches|DeferredPromotion": "WaitingPromotions, or WakeUp",
    "EcrFindings": "EcrImageFacts",
    "TakenBackError": "RolledBack",
    "AT_ONCE": "a name for the limit",
}
PROSE = re.compile(r'"(?:[^"\\]|\\.)*"|#.*')
"""Comments and texts; in these a sentence may begin with Turn or Watch."""


def texts(folder: str) -> Iterator[str]:
    path = PROJECT / folder
    for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
        yield file.read_text()


def terms() -> list[list[str]]:
    """Return the rows of the glossary's table."""
    lines = (PROJECT / "docs" / "glossary.md").read_text().splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" |")] for line in lines if line.startswith("| ")][1:]


def test_the_glossary_is_in_order() -> None:
    """Who looks a word up finds it, and once."""
    names = [row[0] for row in terms()]

    assert len(names) > 30
    assert names == sorted(set(names))


def test_each_name_of_the_glossary_is_somewhere() -> None:
    """In the code, or in the description of the API or of the table."""
    described = "\n".join(text for folder in DESCRIBED for text in texts(folder))

    for term, _, names in terms():
        for name in re.findall(r"`([^`]+)`", names):
            assert name.removesuffix("…").removesuffix("[]") in described, f"{term}: nothing is called {name}"


@pytest.mark.parametrize("word", RETIRED)
def test_a_private_word_does_not_come_back(word: str) -> None:
    """The glossary has the standard word."""
    for folder in ("lambda", "infra", "local", "bench", "cli"):
        for text in texts(folder):
            code = text if "wish" in word else PROSE.sub("", text)
            found = re.search(rf"\b({word})\b", code, re.IGNORECASE if "wish" in word else 0)
            assert not found, f"say {RETIRED[word]}, not {found.group() if found else word}"
