"""Image scans on the local AWS: ECR's answers and the events of both scanners."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.aws import LocalAws
from local.pusher import PushedImage, push_image
from tests.adapters.conftest import Control, Queue, assert_like_sample

FINDINGS = [
    {"id": "CVE-2026-1", "severity": "CRITICAL", "package": "openssl", "version": "3.0.1", "fixedIn": "3.0.2"},
    {"id": "CVE-2026-2", "severity": "LOW", "firstObservedAt": "2026-01-02T03:04:05Z"},
    {"id": "CVE-2026-3", "severity": "LOW"},
]


@pytest.fixture
def image(local_aws: LocalAws, repository: str) -> PushedImage:
    """Push an image with the tag v1."""
    return push_image(local_aws.registry, repository, "v1", seed="one")


@pytest.fixture
def scan(control: Control, repository: str, image: PushedImage) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Finish a scan of the image."""

    def finish(**members: Any) -> tuple[int, dict[str, Any]]:
        body = {"repositoryName": repository, "imageDigest": image.digest, "findings": FINDINGS, **members}
        return control("POST", "/scans", body)

    return finish


def test_an_image_that_was_not_scanned_has_no_findings(ecr: Any, repository: str, image: PushedImage) -> None:
    """ScanNotFoundException, or ImageNotFoundException if there is no image."""
    with pytest.raises(ClientError, match="ScanNotFoundException"):
        ecr.describe_image_scan_findings(repositoryName=repository, imageId={"imageTag": "v1"})
    with pytest.raises(ClientError, match="ImageNotFoundException"):
        ecr.describe_image_scan_findings(repositoryName=repository, imageId={"imageTag": "none"})


def test_a_basic_scan_answers_findings(ecr: Any, repository: str, image: PushedImage, scan: Any) -> None:
    """Status COMPLETE, `findings` with the package in their attributes, and only counts above zero."""
    assert scan(scanner="basic")[0] == 200
    answer = ecr.describe_image_scan_findings(repositoryName=repository, imageId={"imageDigest": image.digest})
    assert answer["imageScanStatus"]["status"] == "COMPLETE"
    found = answer["imageScanFindings"]
    assert found["findingSeverityCounts"] == {"CRITICAL": 1, "LOW": 2}
    assert "enhancedFindings" not in found
    assert (found["findings"][0]["name"], found["findings"][0]["severity"]) == ("CVE-2026-1", "CRITICAL")
    attributes = {entry["key"]: entry["value"] for entry in found["findings"][0]["attributes"]}
    assert attributes == {"package_name": "openssl", "package_version": "3.0.1"}


def test_an_enhanced_scan_answers_enhanced_findings(
    ecr: Any, repository: str, image: PushedImage, scan: Any
) -> None:
    """Status ACTIVE, because Amazon Inspector scans continuously. Each finding says whether there is a fix."""
    assert scan(scanner="enhanced")[1]["status"] == "ACTIVE"
    answer = ecr.describe_image_scan_findings(repositoryName=repository, imageId={"imageDigest": image.digest})
    assert answer["imageScanStatus"]["status"] == "ACTIVE"
    assert "findings" not in answer["imageScanFindings"]
    fixed, unfixed, _ = answer["imageScanFindings"]["enhancedFindings"]
    details = fixed["packageVulnerabilityDetails"]
    package = {"name": "openssl", "version": "3.0.1", "fixedInVersion": "3.0.2"}
    assert details["vulnerabilityId"] == "CVE-2026-1"
    assert package.items() <= details["vulnerablePackages"][0].items()
    assert (fixed["fixAvailable"], unfixed["fixAvailable"], fixed["status"]) == ("YES", "NO", "ACTIVE")
    assert "fixedInVersion" not in unfixed["packageVulnerabilityDetails"]["vulnerablePackages"][0]
    assert unfixed["firstObservedAt"].isoformat().startswith("2026-01-02")
    container = fixed["resources"][0]["details"]["awsEcrContainerImage"]
    assert (container["imageHash"], container["imageTags"]) == (image.digest, ["v1"])


def test_counts_cover_every_page(ecr: Any, repository: str, image: PushedImage, scan: Any) -> None:
    """Each page has a part of the findings, and the counts of all."""
    scan()
    pages = list(
        ecr.get_paginator("describe_image_scan_findings").paginate(
            repositoryName=repository, imageId={"imageTag": "v1"}, PaginationConfig={"PageSize": 2}
        )
    )
    assert [len(page["imageScanFindings"]["findings"]) for page in pages] == [2, 1]
    assert {str(page["imageScanFindings"]["findingSeverityCounts"]) for page in pages} == {
        "{'CRITICAL': 1, 'LOW': 2}"
    }


@pytest.mark.parametrize(
    "status", ["PENDING", "IN_PROGRESS", "FAILED", "UNSUPPORTED_IMAGE", "FINDINGS_UNAVAILABLE"]
)
def test_an_unfinished_scan_has_no_findings(
    ecr: Any, repository: str, image: PushedImage, scan: Any, status: str
) -> None:
    """Only the statuses COMPLETE and ACTIVE have findings."""
    scan(status=status)
    answer = ecr.describe_image_scan_findings(repositoryName=repository, imageId={"imageTag": "v1"})
    assert answer["imageScanStatus"]["status"] == status
    assert "imageScanFindings" not in answer


@pytest.mark.parametrize(("scanner", "status"), [("basic", "COMPLETE"), ("enhanced", "ACTIVE")])
def test_a_scan_may_report_its_end_before_its_findings(
    ecr: Any, repository: str, image: PushedImage, scan: Any, scanner: str, status: str
) -> None:
    """As in aws/aws-sdk#289 and aws/aws-cli#6759: an empty list, no counts, no time."""
    assert scan(scanner=scanner, status="COMPLETE", unfinished=True)[0] == 200
    asked = {"repositoryName": repository, "imageId": {"imageDigest": image.digest}}
    answer = ecr.describe_image_scan_findings(**asked)
    assert (answer["imageScanStatus"]["status"], answer["imageScanFindings"]) == (status, {"findings": []})
    scan(scanner=scanner)
    answer = ecr.describe_image_scan_findings(**asked)
    assert answer["imageScanStatus"]["status"] == status
    assert answer["imageScanFindings"]["findingSeverityCounts"] == {"CRITICAL": 1, "LOW": 2}


def test_a_scan_may_have_been_finished_long_ago(ecr: Any, repository: str, image: PushedImage, scan: Any) -> None:
    """The answer has the end of the last scan, as AWS's has."""
    scan(completedAt="2026-01-02T03:04:05Z")
    answer = ecr.describe_image_scan_findings(repositoryName=repository, imageId={"imageTag": "v1"})
    assert answer["imageScanFindings"]["imageScanCompletedAt"].isoformat().startswith("2026-01-02")


def test_a_basic_scan_sends_the_event_of_ecr(
    repository: str, image: PushedImage, scan: Any, queue: Queue, rule: Callable[..., str]
) -> None:
    """`ECR Image Scan` has the repository, and only counts above zero. Without findings it has no counts."""
    rule(queue.arn)
    scan(status="PENDING")
    scan(announce=False)
    scan()
    scan(findings=[])
    scan(status="FAILED", findings=[])
    found, clean, failed = queue.bodies(3)
    assert found["detail"] == {
        "scan-status": "COMPLETE",
        "repository-name": repository,
        "finding-severity-counts": {"CRITICAL": 1, "LOW": 2},
        "image-digest": image.digest,
        "image-tags": ["v1"],
    }
    assert found["resources"][0].endswith(f":repository/{repository}")
    assert failed["detail"]["scan-status"] == "FAILED"
    assert_like_sample(found, "ecr-image-scan.complete.json")
    assert_like_sample(clean, "ecr-image-scan.complete.no-findings.json")
    assert_like_sample(failed, "ecr-image-scan.failed.json")


def test_an_enhanced_scan_sends_the_event_of_inspector(
    repository: str, image: PushedImage, scan: Any, queue: Queue, rule: Callable[..., str]
) -> None:
    """`Inspector2 Scan` has the ARN of the repository. LOW findings count in TOTAL only."""
    rule(queue.arn)
    scan(scanner="enhanced", status="PENDING")
    scan(scanner="enhanced", status="SCAN_ELIGIBILITY_EXPIRED")
    scan(scanner="enhanced")
    (event,) = queue.bodies(1)
    assert event["detail"]["finding-severity-counts"] == {"CRITICAL": 1, "HIGH": 0, "MEDIUM": 0, "TOTAL": 3}
    assert event["detail"]["scan-status"] == "INITIAL_SCAN_COMPLETE"
    assert event["resources"] == [event["detail"]["repository-name"]]
    assert_like_sample(event, "inspector2-scan.ecr.zero.json")


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({"findings": [{"id": "CVE-1", "severity": "BAD"}]}, "$.findings[0].severity"),
        ({"findings": [{"severity": "LOW"}]}, "id"),
        ({"status": "DONE"}, "$.status"),
        ({"completedAt": "2026-01-02T03:04:05"}, "$.completedAt"),
        ({"scaner": "basic"}, "scaner"),
        ({"repositoryName": "Web"}, "repositoryName"),
    ],
)
def test_a_mistake_names_the_member(scan: Any, members: dict[str, Any], place: str) -> None:
    """400 with a message."""
    status, document = scan(**members)
    assert (status, place in document["message"]) == (400, True), document


def test_an_unknown_image_is_not_found(scan: Any) -> None:
    """404, for an image and for a repository."""
    assert scan(imageDigest=f"sha256:{'0' * 64}")[0] == 404
    assert scan(repositoryName="team/none")[0] == 404
