"""Which tests are end to end, and which of them share a local AWS when several processes run the tests."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("tests", derandomize=True, deadline=None)
settings.load_profile("tests")  # the same examples each time, however busy the machine is

TESTS = Path(__file__).parent
LONGEST_FIRST = ("e2e", "adapters")
"""The folders whose tests share one local AWS each, in the order in which they should begin."""


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the end-to-end tests, and what stays in one process: a folder with one local AWS, or else a file."""
    for item in items:
        folder = item.path.relative_to(TESTS).parts[0]
        if folder == "e2e":
            item.add_marker(pytest.mark.e2e)
        item.add_marker(pytest.mark.xdist_group(folder if folder in LONGEST_FIRST else str(item.path)))
    if hasattr(config, "workerinput"):
        items.sort(key=begins)


def begins(item: pytest.Item) -> int:
    """Return the place of a test's folder in the queue: what takes longest must not be left for the end."""
    folder = item.path.relative_to(TESTS).parts[0]
    return LONGEST_FIRST.index(folder) if folder in LONGEST_FIRST else len(LONGEST_FIRST)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Report in UTF-8, also what a test prints of lone surrogates: pytest-xdist would break off there."""
    report = yield
    report.sections = [(name, encodable(text)) for name, text in report.sections]
    if report.failed and encodable(report.longreprtext) != report.longreprtext:
        report.longrepr = encodable(report.longreprtext)
    return report


def encodable(text: str) -> str:
    """Return a text with escapes for what UTF-8 cannot hold."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
