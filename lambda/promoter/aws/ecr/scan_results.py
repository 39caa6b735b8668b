"""DescribeImageScanFindings' answers -> what the gate judges. Read tolerantly, believed only where it adds up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from promoter.domain.findings import Finding, Scan
from promoter.domain.gate import FINISHED, INCOMPLETE
from promoter.domain.texts import shortened

FOUND = frozenset({"findings", "enhancedFindings", "findingSeverityCounts"})
"""Of these a finished scan shows at least one, be it empty."""
LONGEST = 100
"""Characters of a name. Names come out of the image, and a reason has to fit into records and events."""


def read(response: Mapping[str, Any]) -> Scan:
    """Read one whole answer, as the AWS CLI prints it."""
    return read_pages([response])


def read_pages(pages: Iterable[Mapping[str, Any]]) -> Scan:
    """Read the pages of one answer; status, time and counts are the first page's (they cover all pages).

    Basic and enhanced findings are told apart by the list that is there, not by the status. The status alone does
    not say that a scan is finished: Amazon ECR answers COMPLETE or ACTIVE with an empty list before the first scan
    has ended (aws/aws-sdk#289, aws/aws-cli#6759). Only a finished scan has imageScanCompletedAt.
    """
    pages = list(pages)
    status = (pages[0].get("imageScanStatus") or {}).get("status") if pages else None
    shown = [page.get("imageScanFindings") for page in pages]
    results = [each if isinstance(each, Mapping) else {} for each in shown]
    findings = tuple(
        finding
        for result in results
        for finding in (
            *(_basic(entry) for entry in result.get("findings") or ()),
            *(
                _enhanced(entry)
                for entry in result.get("enhancedFindings") or ()
                if entry.get("status") != "CLOSED"
            ),
        )
    )
    listed = sum(len(result.get(name) or ()) for result in results for name in ("findings", "enhancedFindings"))
    first = results[0] if results else {}
    counted = sum((first.get("findingSeverityCounts") or {}).values())
    completed_at = _time(first.get("imageScanCompletedAt"))
    unfinished = status in FINISHED and (completed_at is None or not FOUND & first.keys())
    if not status or unfinished or counted > listed:
        return Scan(INCOMPLETE, findings)
    return Scan(_text(status), findings, completed_at)


def _basic(entry: Mapping[str, Any]) -> Finding:
    attributes = {each.get("key"): each.get("value") for each in entry.get("attributes") or ()}
    return Finding(
        id=_text(entry.get("name", "unknown")),
        severity=_text(entry.get("severity", "unknown")),
        packages=(_text(attributes.get("package_name", "unknown")),),
    )


def _enhanced(entry: Mapping[str, Any]) -> Finding:
    details = entry.get("packageVulnerabilityDetails") or {}
    packages = details.get("vulnerablePackages") or ()
    fixes = [
        fix for fix in (package.get("fixedInVersion") for package in packages) if fix and fix != "NotAvailable"
    ]
    available = entry.get("fixAvailable")
    return Finding(
        id=_text(details.get("vulnerabilityId") or entry.get("title", "unknown")),
        severity=_text(entry.get("severity", "unknown")),
        packages=tuple(dict.fromkeys(_text(package.get("name")) for package in packages)) or ("unknown",),
        fixed_in=_text(", ".join(dict.fromkeys(fixes))) or None,
        first_observed_at=_time(entry.get("firstObservedAt")),
        fixable=available in ("YES", "PARTIAL") if available else None,
    )


def _text(value: Any) -> str:
    return shortened(str(value), LONGEST)


def _time(value: Any) -> datetime | None:
    """boto3 gives a datetime, the AWS CLI prints ISO 8601 or seconds."""
    if isinstance(value, datetime):
        return value
    try:
        if isinstance(value, str):
            parsed = datetime.fromisoformat(value)
            return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
        return datetime.fromtimestamp(value, UTC) if value is not None else None
    except (ValueError, TypeError, OverflowError):
        return None
