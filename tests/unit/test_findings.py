"""DescribeImageScanFindings' answers, read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from promoter.findings import read, read_pages
from promoter.model import Finding, Scan


def answer(status: str | None = "COMPLETE", **results: Any) -> dict[str, Any]:
    return {"imageScanStatus": {"status": status} if status else {}, "imageScanFindings": results}


BASIC = {
    "name": "CVE-1",
    "severity": "HIGH",
    "attributes": [{"key": "package_name", "value": "openssl"}, {"key": "package_version", "value": "3"}],
}
ENHANCED = {
    "severity": "CRITICAL",
    "status": "ACTIVE",
    "fixAvailable": "PARTIAL",
    "firstObservedAt": datetime(2026, 11, 1, tzinfo=UTC),
    "packageVulnerabilityDetails": {
        "vulnerabilityId": "CVE-2",
        "vulnerablePackages": [
            {"name": "openssl", "fixedInVersion": "3.0.2"},
            {"name": "libssl3", "fixedInVersion": "NotAvailable"},
        ],
    },
}


def test_a_basic_finding_says_nothing_of_fixes() -> None:
    """So whether there is one stays unknown."""
    assert read(answer(findings=[BASIC])) == Scan("COMPLETE", (Finding("CVE-1", "HIGH", ("openssl",)),))


def test_an_enhanced_finding_tells_all() -> None:
    """Packages, fixes, age."""
    (finding,) = read(answer("ACTIVE", enhancedFindings=[ENHANCED])).findings

    assert finding == Finding(
        "CVE-2", "CRITICAL", ("openssl", "libssl3"), "3.0.2", datetime(2026, 11, 1, tzinfo=UTC), fixable=True
    )


@pytest.mark.parametrize(("fix", "fixable"), [("YES", True), ("PARTIAL", True), ("NO", False), (None, None)])
def test_whether_there_is_a_fix(fix: str | None, *, fixable: bool | None) -> None:
    """A partial fix is one; silence is not "no"."""
    (finding,) = read(answer("ACTIVE", enhancedFindings=[ENHANCED | {"fixAvailable": fix}])).findings

    assert finding.fixable is fixable


@pytest.mark.parametrize(("status", "counts"), [("ACTIVE", 1), ("SUPPRESSED", 1), ("CLOSED", 0)])
def test_closed_findings_do_not_count(status: str, counts: int) -> None:
    """What a suppression rule hides does: exceptions belong into the policy, with a reason and an end."""
    assert len(read(answer("ACTIVE", enhancedFindings=[ENHANCED | {"status": status}])).findings) == counts


def test_all_pages_count_under_the_first_ones_status() -> None:
    """Counts cover all pages and stand on each."""
    pages = [answer(findings=[BASIC], findingSeverityCounts={"HIGH": 2})] * 2

    assert read_pages(pages) == Scan("COMPLETE", (Finding("CVE-1", "HIGH", ("openssl",)),) * 2)


@pytest.mark.parametrize(
    "response",
    [
        {},
        answer(None),
        answer(findingSeverityCounts={"CRITICAL": 1}),
        answer(findings=[], findingSeverityCounts={"CRITICAL": 1}),
        answer("ACTIVE", findings=[BASIC], findingSeverityCounts={"HIGH": 1, "LOW": 1}),
        answer("ACTIVE"),
        answer(imageScanCompletedAt=1793491200),
        {"imageScanStatus": {"status": "ACTIVE"}},
        {"imageScanStatus": {"status": "COMPLETE"}, "imageScanFindings": None},
        {"imageScanStatus": {"status": "COMPLETE"}, "imageScanFindings": "findings"},
    ],
)
def test_an_answer_that_does_not_add_up_proves_nothing(response: dict[str, Any]) -> None:
    """Without a status, finished without anything found or counted, or with more counted than listed."""
    assert read(response).status == "INCOMPLETE_ANSWER"


@pytest.mark.parametrize(
    "results", [{"findings": []}, {"enhancedFindings": []}, {"findingSeverityCounts": {}}, {"findings": [BASIC]}]
)
def test_a_finished_scan_is_told_by_one_of_its_members(results: dict[str, Any]) -> None:
    """No findings and none counted, by whichever scanner: that is clean."""
    assert read(answer(**results)).status == "COMPLETE"


@pytest.mark.parametrize("status", ["PENDING", "FAILED", "IMAGE_ARCHIVED", "SOMETHING_NEW"])
def test_a_scan_that_is_not_finished_has_nothing_to_show(status: str) -> None:
    """Its status is told as it is."""
    assert read({"imageScanStatus": {"status": status}}) == Scan(status)


@pytest.mark.parametrize("entry", [{}, {"firstObservedAt": "yesterday"}, {"packageVulnerabilityDetails": None}])
def test_a_finding_with_gaps_still_counts(entry: dict[str, Any]) -> None:
    """What AWS leaves out is unknown, and the finding is there."""
    (finding,) = read(answer("ACTIVE", enhancedFindings=[entry])).findings

    assert (finding.severity, finding.package, finding.first_observed_at) == ("unknown", "unknown", None)


@pytest.mark.parametrize(
    "text", ["2026-11-01T00:00:00+00:00", "2026-11-01T00:00:00Z", "2026-11-01T00:00:00", 1793491200]
)
def test_times_are_read_as_the_command_line_prints_them(text: Any) -> None:
    """ISO 8601 with or without a zone, or seconds."""
    (finding,) = read(answer("ACTIVE", enhancedFindings=[ENHANCED | {"firstObservedAt": text}])).findings

    assert finding.first_observed_at == datetime(2026, 11, 1, tzinfo=UTC)
