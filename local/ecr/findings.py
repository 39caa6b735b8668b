"""Scan results as AWS reports them: DescribeImageScanFindings (ECR API reference) and the events of both scanners.

Basic scans answer `findings`, enhanced scans (Amazon Inspector) answer `enhancedFindings`, each in its own shape.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from local import emulator
from local.ecr import values
from local.ecr.errors import EcrError, printed
from local.ecr.store import Image, Repository, repository

# The statuses with which ECR answers findings. With all others there are none to show, or none any longer.
SHOWN = {"COMPLETE", "ACTIVE"}
DESCRIPTIONS = {
    "COMPLETE": "The scan was completed successfully.",
    "ACTIVE": "Continuous scan is selected for image.",
}
# Amazon Inspector's event counts these, and all findings in TOTAL. LOW and below are in TOTAL only.
EVENT_SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM")


@dataclass(frozen=True)
class Finding:
    """One vulnerability in one package."""

    id: str
    severity: str
    package: str
    version: str
    fixed_in: str | None
    first_observed_at: datetime


@dataclass(frozen=True)
class Scan:
    """The newest scan of an image. Without `completed_at` ECR does not answer the findings yet."""

    scanner: Literal["basic", "enhanced"]
    status: str
    findings: tuple[Finding, ...]
    completed_at: float | None

    @property
    def severities(self) -> Counter[str]:
        """The number of findings of each severity."""
        return Counter(finding.severity for finding in self.findings)


def describe(request: dict[str, Any]) -> dict[str, Any]:
    """DescribeImageScanFindings. Every page has the counts of all findings. Raises EcrError without a scan."""
    found = repository(request)
    image_id = values.required(request, "imageId")
    image = found.find(image_id)
    scan: Scan | None = found.scans.get(image.manifest.digest)
    if scan is None:
        raise EcrError(
            "ScanNotFoundException",
            f"Image scan does not exist for the image with '{printed(image_id)}'"
            f" in the repository with name '{found.name}' in the registry with id '{found.registry_id}'",
        )
    shown, more = values.page(list(scan.findings) if scan.completed_at else [], request, default=100, most=1000)
    findings = {"imageScanFindings": _findings(found, image, scan, shown)} if scan.status in SHOWN else {}
    return {
        **found.identity,
        "imageId": {"imageDigest": image.manifest.digest, **image_id},
        "imageScanStatus": {
            "status": scan.status,
            "description": DESCRIPTIONS.get(scan.status, f"The status of the scan is {scan.status}."),
        },
        **findings,
        **more,
    }


def announce(found: Repository, image: Image, scan: Scan) -> None:
    """Send the event that AWS sends for this scanner and status, if there is one."""
    arn = found.settings["repositoryArn"]
    detail: dict[str, Any] = {
        "scan-status": scan.status,
        "repository-name": found.name,
        "image-digest": image.manifest.digest,
        "image-tags": list(image.tags),
    }
    if scan.scanner == "basic" and scan.status in {"COMPLETE", "FAILED"}:
        if scan.findings:
            detail["finding-severity-counts"] = dict(scan.severities)
        emulator.emit("aws.ecr", "ECR Image Scan", detail, [arn])
    elif scan.scanner == "enhanced" and scan.status == "ACTIVE":
        counts = {severity: scan.severities[severity] for severity in EVENT_SEVERITIES}
        detail |= {
            "scan-status": "INITIAL_SCAN_COMPLETE",
            "repository-name": arn,
            "finding-severity-counts": counts | {"TOTAL": len(scan.findings)},
            "version": "1.0",
        }
        emulator.emit("aws.inspector2", "Inspector2 Scan", detail, [arn])


def _findings(found: Repository, image: Image, scan: Scan, shown: list[Finding]) -> dict[str, Any]:
    """Return the page of findings with the counts of all. Without an end the scan has neither."""
    if scan.completed_at is None:
        return {"findings": []}
    listed: dict[str, Any] = (
        {"findings": [_basic(finding) for finding in shown]}
        if scan.scanner == "basic"
        else {"enhancedFindings": [_enhanced(found, image, finding) for finding in shown]}
    )
    return {
        "imageScanCompletedAt": scan.completed_at,
        "vulnerabilitySourceUpdatedAt": scan.completed_at,
        "findingSeverityCounts": dict(scan.severities),
        **listed,
    }


def _basic(finding: Finding) -> dict[str, Any]:
    return {
        "name": finding.id,
        "uri": f"https://nvd.nist.gov/vuln/detail/{finding.id}",
        "severity": finding.severity,
        "attributes": [
            {"key": "package_version", "value": finding.version},
            {"key": "package_name", "value": finding.package},
        ],
    }


def _enhanced(found: Repository, image: Image, finding: Finding) -> dict[str, Any]:
    content = f"{image.manifest.digest} {finding.id} {finding.package} {finding.version}"
    key = hashlib.md5(content.encode()).hexdigest()
    package = {"name": finding.package, "version": finding.version, "packageManager": "OS"}
    return {
        "awsAccountId": found.registry_id,
        "findingArn": f"arn:aws:inspector2:{emulator.region()}:{found.registry_id}:finding/{key}",
        "type": "PACKAGE_VULNERABILITY",
        "title": f"{finding.id} - {finding.package}",
        "severity": finding.severity,
        "status": "ACTIVE",
        "fixAvailable": "YES" if finding.fixed_in else "NO",
        "firstObservedAt": finding.first_observed_at.timestamp(),
        "lastObservedAt": time.time(),
        "updatedAt": time.time(),
        "packageVulnerabilityDetails": {
            "vulnerabilityId": finding.id,
            "source": "NVD",
            "vulnerablePackages": [package | ({"fixedInVersion": finding.fixed_in} if finding.fixed_in else {})],
        },
        "resources": [_resource(found, image)],
    }


def _resource(found: Repository, image: Image) -> dict[str, Any]:
    container = {
        "registry": found.registry_id,
        "repositoryName": found.name,
        "imageHash": image.manifest.digest,
        "imageTags": list(image.tags),
        "pushedAt": image.pushed_at,
        "platform": "LINUX",
    }
    return {
        "type": "AWS_ECR_CONTAINER_IMAGE",
        "id": f"{found.settings['repositoryArn']}/{image.manifest.digest}",
        "details": {"awsEcrContainerImage": container},
    }
