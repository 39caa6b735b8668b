"""Every alarm has a runbook, and whoever is woken finds it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.infra.conftest import JWT, Synthesize, Template

PROJECT = Path(__file__).parents[2]
OPERATIONS = PROJECT / "docs" / "operations"
RUNBOOKS = OPERATIONS / "runbooks"
PAGES = sorted(page for page in RUNBOOKS.glob("*.md") if page.name != "index.md")


def alarms_of(template: Template) -> dict[str, dict[str, Any]]:
    """Return the properties of every alarm of the stack by the name it has in the code."""
    found = template.find_resources("AWS::CloudWatch::Alarm")
    return {re.sub(r"^Alarms|[0-9A-F]{8}$", "", name): resource["Properties"] for name, resource in found.items()}


@pytest.fixture(scope="module")
def every_alarm(synthesize: Synthesize) -> Template:
    """The template of a stack that has all the alarms there can be."""
    return synthesize(**JWT)


def runbook_of(alarm: dict[str, Any]) -> Path:
    """Return the page that the last word of an alarm's description names."""
    return PROJECT / str(alarm["AlarmDescription"].rpartition(" ")[2])


def table(page: Path, first: str) -> list[list[str]]:
    """Return the rows of the table whose first heading this is."""
    lines = page.read_text().partition(f"| {first} |")[2].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" |")] for line in lines]


def names(cell: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", cell))


def reached_from(page: Path) -> set[Path]:
    """Return the pages below docs/operations to which links lead from a page, over any number of pages."""
    seen, left = {page}, [page]
    while left:
        for target in links(left.pop()):
            if target not in seen:
                seen.add(target)
                left.append(target)
    return seen


def links(page: Path) -> Iterator[Path]:
    for name in re.findall(r"\]\(([^)#\s]+\.md)", page.read_text()):
        target = (page.parent / name).resolve()
        if target.is_relative_to(OPERATIONS) and target.exists():
            yield target


def test_every_alarm_leads_to_a_runbook_that_names_it(every_alarm: Template) -> None:
    """The alarm's mail names a page that is there, and the page says that it is for this alarm."""
    for name, alarm in alarms_of(every_alarm).items():
        page = runbook_of(alarm)
        assert page in PAGES, name
        (line,) = re.findall(r"^Alarms?: (.*)$", page.read_text(), re.MULTILINE)
        assert name in names(line), page.name


def test_no_runbook_names_an_alarm_that_is_not_in_the_stack(every_alarm: Template) -> None:
    """Or one that leads to another page."""
    leads = {name: runbook_of(alarm) for name, alarm in alarms_of(every_alarm).items()}

    for page in PAGES:
        for line in re.findall(r"^Alarms?: (.*\.) The commands", page.read_text(), re.MULTILINE):
            assert names(line) == {name for name, target in leads.items() if target == page}, page.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_runbook_has_its_three_parts(page: Path) -> None:
    """In the order in which they are read at night: what it means, what to check, what to do."""
    assert re.findall(r"^## (.+)$", page.read_text(), re.MULTILINE) == ["Meaning", "Check", "Fix"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_runbook_is_one_step_from_the_index(page: Path) -> None:
    """Of the runbooks, which is one step from the index of operations."""
    assert page in set(links(RUNBOOKS / "index.md"))
    assert RUNBOOKS / "index.md" in set(links(OPERATIONS / "index.md"))


def test_every_page_of_operations_is_reached_from_its_index() -> None:
    """No page is left that nobody links to."""
    assert reached_from(OPERATIONS / "index.md") == set(OPERATIONS.rglob("*.md"))


def test_the_index_leads_from_each_alarm_to_its_runbook(every_alarm: Template) -> None:
    """Whoever knows only the alarm's name finds the same page as the mail names."""
    found = {
        name: (RUNBOOKS / re.findall(r"\((.+)\)", link)[0]).resolve()
        for cell, link in table(RUNBOOKS / "index.md", "alarm | runbook")
        for name in names(cell)
    }

    assert found == {name: runbook_of(alarm) for name, alarm in alarms_of(every_alarm).items()}


def test_every_alarm_is_in_the_table_of_alarms(template: Template, every_alarm: Template) -> None:
    """With when it goes off; and no alarm that does not exist. The number is that of the default settings."""
    told = [name for cell, *_ in table(OPERATIONS / "monitoring.md", "alarm") for name in sorted(names(cell))]

    assert sorted(told) == sorted(alarms_of(every_alarm))
    assert (
        f"The stack has {len(alarms_of(template))} CloudWatch alarms."
        in (OPERATIONS / "monitoring.md").read_text()
    )
