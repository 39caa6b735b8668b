"""The findings of an image's scan, as Amazon ECR shows them: basic and enhanced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ecr_promoter.api import aws
from ecr_promoter.references import Place

SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "UNDEFINED", "UNTRIAGED")


@dataclass(frozen=True)
class Finding:
    """A vulnerability in a package."""

    vulnerability: str
    package: str
    severity: str
    fixed_in: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What makes it the same finding in another image: severities and fixes change with time."""
        return self.vulnerability, self.package


@dataclass(frozen=True)
class Findings:
    """What the scan of one image found; `status` says why nothing is known, if nothing is."""

    status: str
    found: tuple[Finding, ...] = ()

    @property
    def is_known(self) -> bool:
        """Whether a scan has ended."""
        return self.status in ("COMPLETE", "ACTIVE")


def read_findings(ecr: Any, place: Place, digest: str) -> Findings:
    """Return the findings of an image. An image without a scan is normal, and not an error."""
    from botocore.exceptions import ClientError

    status = "UNKNOWN"
    found: list[Finding] = []
    pages = ecr.get_paginator("describe_image_scan_findings")
    with aws.explain_errors():
        try:
            for page in pages.paginate(**place.members(), imageId={"imageDigest": digest}):
                status = page.get("imageScanStatus", {}).get("status", "UNKNOWN")
                found.extend(read(page.get("imageScanFindings", {})))
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code not in ("ScanNotFoundException", "AccessDeniedException"):
                raise
            status = "not scanned" if code == "ScanNotFoundException" else "may not be read"
    return Findings(status, tuple(dict.fromkeys(found)))


def read(document: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield the findings of one page."""
    for each in document.get("findings", ()):
        attributes = {a["key"]: a.get("value", "") for a in each.get("attributes", ())}
        yield Finding(each.get("name", "?"), attributes.get("package_name", ""), each.get("severity", "UNDEFINED"))
    for each in document.get("enhancedFindings", ()):
        details = each.get("packageVulnerabilityDetails", {})
        name = details.get("vulnerabilityId") or each.get("title", "?")
        for package in details.get("vulnerablePackages") or [{}]:
            fixed = package.get("fixedInVersion")
            yield Finding(
                name,
                package.get("name", ""),
                each.get("severity", "UNTRIAGED"),
                None if fixed in (None, "NotAvailable") else fixed,
            )


def rank(severity: str) -> int:
    """Return where a severity stands, the worst first."""
    return SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)
