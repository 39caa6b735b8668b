"""Finishes image scans on demand: `POST /_local/scans`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, convert, field, structs

from local.ecr import findings
from local.ecr.store import repository

Status = Literal[
    "IN_PROGRESS",
    "COMPLETE",
    "FAILED",
    "UNSUPPORTED_IMAGE",
    "ACTIVE",
    "PENDING",
    "SCAN_ELIGIBILITY_EXPIRED",
    "FINDINGS_UNAVAILABLE",
    "LIMIT_EXCEEDED",
    "IMAGE_ARCHIVED",
    "IMAGE_SIZE_EXCEEDED",
]
Severity = Literal["CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "UNDEFINED", "UNTRIAGED"]


class FindingRequest(Struct, rename="camel", forbid_unknown_fields=True):
    """One vulnerability that the scan finds. Without `fixedIn` no fix is known."""

    id: str
    severity: Severity
    package: str = "openssl"
    version: str = "3.0.1"
    fixed_in: str | None = None
    first_observed_at: Annotated[datetime, Meta(tz=True)] = field(default_factory=lambda: datetime.now(UTC))


class ScanRequest(Struct, rename="camel", forbid_unknown_fields=True):
    """The scan to finish: its image, scanner, result and time.

    unfinished: the status says that the scan is finished, but findings and time are missing (aws/aws-sdk#289).
    announce: also send the event.
    """

    repository_name: str
    image_digest: str
    scanner: Literal["basic", "enhanced"] = "basic"
    status: Status = "COMPLETE"
    findings: list[FindingRequest] = []
    completed_at: Annotated[datetime, Meta(tz=True)] = field(default_factory=lambda: datetime.now(UTC))
    unfinished: bool = False
    announce: bool = True


def finish(body: Any) -> dict[str, Any]:
    """Store the result for DescribeImageScanFindings and send the event.

    Raises msgspec.ValidationError, which names the member that is wrong, and EcrError if the image does not exist.
    """
    request = convert(body, ScanRequest)
    found = repository({"repositoryName": request.repository_name})
    image = found.find({"imageDigest": request.image_digest})
    # Amazon Inspector never reports COMPLETE: it goes on to scan the image continuously.
    status = "ACTIVE" if (request.scanner, request.status) == ("enhanced", "COMPLETE") else request.status
    results = tuple(findings.Finding(**structs.asdict(finding)) for finding in request.findings)
    ended = None if request.unfinished else round(request.completed_at.timestamp(), 3)
    scan = findings.Scan(request.scanner, status, results, completed_at=ended)
    found.scans[image.manifest.digest] = scan
    if request.announce:
        findings.announce(found, image, scan)
    return {"repositoryName": found.name, "imageDigest": image.manifest.digest, "status": status}
