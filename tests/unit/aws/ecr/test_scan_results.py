"""DescribeImageScanFindings' answers, read."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from promoter.aws.ecr.scan_results import read, read_pages
from promoter.domain.findings import Finding, Scan
from promoter.domain.gate import Exemption

DONE = datetime(2026, 11, 2, tzinfo=UTC)


def answer(status: str | None = "COMPLETE", **results: Any) -> dict[str, Any]:
    """Return the answer of a scan that ended; `imageScanCompletedAt=None` leaves the time out."""
    members = {"imageScanCompletedAt": DONE} | results
    shown = {name: value for name, value in members.items() if value is not None}
    return {"imageScanStatus": {"status": status} if status else {}, "imageScanFindings": shown}


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
    assert read(answer(findings=[BASIC])) == Scan("COMPLETE", (Finding("CVE-1", "HIGH", ("openssl",)),), DONE)


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

    assert read_pages(pages) == Scan("COMPLETE", (Finding("CVE-1", "HIGH", ("openssl",)),) * 2, DONE)


UNFINISHED = {  # as the AWS CLI printed it seconds after a push: aws/aws-sdk#289
    "imageScanFindings": {"findings": []},
    "imageScanStatus": {"status": "COMPLETE", "description": "The scan was completed successfully."},
}
WATCHED = {  # and so under continuous scanning, before the first scan: aws/aws-cli#6759
    "imageScanFindings": {"findings": []},
    "imageScanStatus": {"status": "ACTIVE", "description": "Continuous scan is selected for image."},
}


@pytest.mark.parametrize(
    "response",
    [
        {},
        answer(None),
        answer(findingSeverityCounts={"CRITICAL": 1}),
        answer(findings=[], findingSeverityCounts={"CRITICAL": 1}),
        answer("ACTIVE", findings=[BASIC], findingSeverityCounts={"HIGH": 1, "LOW": 1}),
        answer("ACTIVE"),
        answer(),
        UNFINISHED,
        WATCHED,
        answer(findings=[BASIC], findingSeverityCounts={"HIGH": 1}, imageScanCompletedAt=None),
        answer(findings=[], findingSeverityCounts={}, imageScanCompletedAt="soon"),
        answer("ACTIVE", enhancedFindings=[], findingSeverityCounts={}, imageScanCompletedAt=None),
        {"imageScanStatus": {"status": "ACTIVE"}},
        {"imageScanStatus": {"status": "COMPLETE"}, "imageScanFindings": None},
        {"imageScanStatus": {"status": "COMPLETE"}, "imageScanFindings": "findings"},
    ],
)
def test_an_answer_that_does_not_add_up_proves_nothing(response: dict[str, Any]) -> None:
    """No status; finished without saying when; nothing listed or counted; more counted than listed."""
    assert read(response).status == "INCOMPLETE_ANSWER"


@pytest.mark.parametrize(
    "results", [{"findings": []}, {"enhancedFindings": []}, {"findingSeverityCounts": {}}, {"findings": [BASIC]}]
)
def test_a_finished_scan_is_told_by_its_end_and_by_one_of_its_lists(results: dict[str, Any]) -> None:
    """It says when it ended, and lists no findings or counts none, by whichever scanner: that is clean."""
    assert read(answer(**results)) == Scan("COMPLETE", read(answer(**results)).findings, DONE)


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


def test_the_end_of_a_scan_is_read_as_the_command_line_prints_it() -> None:
    """Seconds, or ISO 8601."""
    for written in (DONE.timestamp(), DONE.isoformat()):
        assert read(answer(findings=[], imageScanCompletedAt=written)).completed_at == DONE


def test_what_a_scanner_says_is_cut_where_it_has_no_end() -> None:
    """Names come out of the image; a reason has to fit into records and events. Whoever reads it sees the cut."""
    endless = "x" * 300_000
    package = {"name": endless, "fixedInVersion": endless}
    details = {"vulnerabilityId": endless, "vulnerablePackages": [package] * 3}
    enhanced = {"severity": endless, "packageVulnerabilityDetails": details}
    basic = {"name": endless, "severity": endless, "attributes": [{"key": "package_name", "value": endless}]}

    scan = read(answer(endless, enhancedFindings=[enhanced], findings=[basic]))

    assert scan.status is not None
    for finding in scan.findings:
        told = [scan.status, finding.id, finding.severity, *finding.packages, finding.fixed_in or "…"]
        assert all(len(text) <= 100 and text.endswith("…") for text in told)


def test_a_finding_in_many_packages_names_some() -> None:
    """An exception still holds for each of them."""
    finding = Finding("CVE-1", "HIGH", tuple(f"p{n}" for n in range(1, 9)))

    assert finding.package == "p1, p2, p3, p4, p5 and 3 more"
    assert Exemption("CVE-1", date(2026, 12, 31), "r", "p8").covers(finding, date(2026, 12, 31))
