"""The documentation agrees with itself and with the code."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from promoter.domain import errors

PROJECT = Path(__file__).parents[2]
PAGES = sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md")])
CODES = {
    kind.code: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.PromoterError) and hasattr(kind, "code")
}


def prose(page: Path) -> str:
    """Return a page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> Iterator[str]:
    """Yield the anchors that GitHub makes of a page's headings."""
    times = Counter[str]()
    for heading in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE):
        anchor = re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-")
        yield anchor if not times[anchor] else f"{anchor}-{times[anchor]}"
        times[anchor] += 1


def rows(page: str, heading: str) -> Iterator[list[str]]:
    """Yield the cells of the first table below a heading."""
    text = (PROJECT / page).read_text().partition(f"\n{heading}\n")[2]
    lines = text.partition("\n|")[2].partition("\n\n")[0].splitlines()
    for line in lines[2:]:
        yield [cell.strip() for cell in line.strip("|").split(" |")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_link_leads_to_a_page_and_a_heading_that_are_there(page: Path) -> None:
    """Links to other sites are not followed."""
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        name, _, anchor = link.partition("#")
        if ":" in name:
            continue
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in set(anchors(target)), link


def test_every_error_of_the_api_is_in_its_table() -> None:
    """With its status, and with when the call may be sent again."""
    told: dict[str, tuple[int, str]] = {}
    for codes, status, again, *_ in rows("docs/reference/errors.md", "## Errors"):
        told |= {code: (int(status), again) for code in re.findall(r"`(\w+)`", codes)}
    pauses = {
        code: f", after `Retry-After` ({kind.retry_after} s)" if kind.retry_after else ""
        for code, kind in CODES.items()
    }
    assert told == {
        code: (kind.http_status, f"yes{pauses[code]}" if kind.retryable else "no") for code, kind in CODES.items()
    }


def test_the_tree_of_errors_is_as_its_module_draws_it() -> None:
    """Class, status, code, and whether a retry may help."""
    drawn = re.findall(r"── (\w+) +(\d{3}) (\w+)( +retryable)?$", f"{errors.__doc__}", re.MULTILINE)
    assert {(name, int(status), code, bool(retryable)) for name, status, code, retryable in drawn} == {
        (kind.__name__, kind.http_status, code, kind.retryable) for code, kind in CODES.items()
    }


def test_every_setting_is_explained_with_its_default() -> None:
    """Those of cdk.json, and no others."""
    told: dict[str, str] = {}
    for names, default, *_ in rows("docs/operations/settings.md", "## All settings"):
        settings = re.findall(r"`(\w+)`", names)
        defaults = default.split(", ") if len(settings) > 1 else [default]
        told |= dict(zip(settings, (each.strip("`") for each in defaults), strict=True))
    deployed = json.loads((PROJECT / "cdk.json").read_text())["context"]
    assert told.keys() == deployed.keys()
    for name, default in deployed.items():
        expected = str(default) if default not in (None, []) else "none"
        assert told[name].partition(",")[0] == expected, name


def test_the_demo_is_shown_as_it_runs() -> None:
    """The headlines of its page are those of the program, in this order."""
    shown = re.findall(r"^\d+\. (.+)$", (PROJECT / "docs" / "start" / "demo.md").read_text(), re.MULTILINE)
    program = "\n".join(
        file.read_text() for file in sorted(PROJECT.glob("local/demo*/*.py")) or [PROJECT / "local" / "demo.py"]
    )

    assert shown
    assert [headline for headline in shown if headline not in program] == []
