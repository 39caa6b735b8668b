"""What is known of an image beside its bytes: findings of its scans, signatures, age."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple


@dataclass(frozen=True)
class Finding:
    """One vulnerability that a scanner sees in an image, in one package or several.

    `fixable` is None where the scanner does not say; `fixed_in` and `first_observed_at` likewise.
    """

    id: str
    severity: str
    packages: tuple[str, ...]
    fixed_in: str | None = None
    first_observed_at: datetime | None = None
    fixable: bool | None = None

    @property
    def package(self) -> str:
        """The packages as people read them: the first five, and how many more there are."""
        more = f" and {len(self.packages) - 5} more" if len(self.packages) > 5 else ""
        return ", ".join(self.packages[:5]) + more


class Scan(NamedTuple):
    """What the registry knows of the vulnerabilities in one image; `status` is ECR's ScanStatus, None: no scan.

    `completed_at` is when the last scan ended, None where none has.
    """

    status: str | None
    findings: tuple[Finding, ...] = ()
    completed_at: datetime | None = None


@dataclass(frozen=True)
class Subject:
    """One image that has to pass the gate: the source itself, or one platform of an index.

    `pushed_at` is known only where there is no scan and the image is in the repository.
    """

    image_digest: str
    platform: str
    scan: Scan
    pushed_at: datetime | None = None


class Evidence(NamedTuple):
    """All that a gate judges; what the gate does not ask for is None.

    `pushed_at` is the source's own. `reached_at` is when the ledger saw the image reach the source tag, where
    it did.
    """

    subjects: tuple[Subject, ...] | None = None
    signed: bool | None = None
    pushed_at: datetime | None = None
    reached_at: datetime | None = None
