"""Which tests are end to end, and which share a process, and what is slow to start, when several run the tests."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("tests", derandomize=True, deadline=None)
settings.load_profile("tests")  # the same examples each time, however busy the machine is

SHARED = ("e2e", "adapters", "infra")
"""The folders whose tests share a process: with a local AWS each, or with the CDK, which is slow to warm up."""

OF_THEIR_OWN = ("tests/e2e/test_openapi.py", "tests/e2e/test_tokens.py")
"""End-to-end tests that deploy once more, to run beside the others: one would take a minute of them otherwise."""

LONGEST_FIRST = ("e2e", "adapters", *OF_THEIR_OWN, "infra")
"""In which order to begin: what takes longest must not be left for the end."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the end-to-end tests. Begin with what takes longest, where several processes share the work."""
    for item in items:
        if item.nodeid.startswith("tests/e2e/"):
            item.add_marker(pytest.mark.e2e)
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: [*LONGEST_FIRST, scope(item.nodeid)].index(scope(item.nodeid)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep in one process what shares a local AWS or the CDK, and else each file.

    Not by `--dist=loadgroup`, which pytest 9.2 breaks without a word (pytest-xdist issue 1386).
    """
    from xdist.scheduler import LoadScopeScheduling

    config.option.loadscopereorder = False
    scheduling = LoadScopeScheduling(config, log)
    scheduling._split_scope = scope
    return scheduling


def scope(nodeid: str) -> str:
    """Return what a test has to share a process with: its folder, if that is SHARED, or its file."""
    file = nodeid.partition("::")[0]
    folder = file.split("/")[1]
    return folder if folder in SHARED and file not in OF_THEIR_OWN else file


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
