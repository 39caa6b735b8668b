"""The gate: judges what is known of an image. Pure; what is not proven good is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from promoter.domain.findings import Evidence, Finding, Subject
from promoter.domain.model import Reason

INCOMPLETE = "INCOMPLETE_ANSWER"
"""Not ECR's: an answer without a status, or that does not show a scan's end or all of its findings yet."""
# ScanStatus, Amazon ECR API reference. COMPLETE ends a basic scan, an image that enhanced scanning watches is
# ACTIVE. A status in neither set (FAILED, UNSUPPORTED_IMAGE, one that is new) proves nothing.
WATCHED = "ACTIVE"
FINISHED = frozenset({"COMPLETE", WATCHED})
NOT_YET = frozenset({"PENDING", "IN_PROGRESS", INCOMPLETE})
GRACE = timedelta(hours=1)
"""How long after its push an image without a scan counts as one whose scan has not begun."""

RATED = frozenset({"CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL"})
UNRATED = "HIGH"  # what UNTRIAGED, UNDEFINED and unheard-of severities count as, unless a rule limits them by name

PENDING = "scan_pending"


class Exemption(NamedTuple):
    """A vulnerability that does not count through the day `until` (UTC), in any package or where it is in one."""

    id: str
    until: date
    reason: str
    package: str | None = None

    def covers(self, finding: Finding, today: date) -> bool:
        """Say whether the finding does not count today."""
        return finding.id == self.id and self.package in (None, *finding.packages) and today <= self.until


class Gate(NamedTuple):
    """What a rule demands. `findings` is the highest count allowed a severity; None: no scan is needed.

    With `signing_profiles`, ARNs of AWS Signer, `signed` means by one of these, through ECR managed signing.
    """

    findings: Mapping[str, int] | None = None
    fixable_only: bool = False
    min_age: timedelta = timedelta()
    max_scan_age: timedelta | None = None
    ignore: tuple[Exemption, ...] = ()
    signed: bool = False
    signing_profiles: tuple[str, ...] = ()
    soak: timedelta = timedelta()

    def judge(self, evidence: Evidence, *, now: datetime) -> tuple[Reason, ...]:
        """Return every reason not to promote, none if there is none.

        Reasons with the code `scan_pending` are for now; all others are final for this image.
        """
        return (*self._scans(evidence, now), *self._signature(evidence), *self._soak(evidence, now))

    def _scans(self, evidence: Evidence, now: datetime) -> Iterator[Reason]:
        if self.findings is None:
            return
        if not evidence.subjects:
            yield Reason("nothing_to_scan", "there is no image that a scanner could look at")
        for subject in evidence.subjects or ():
            if subject.scan.status in FINISHED:
                yield from self._age(subject, now)
                yield from self._excess(subject, self.findings, now)
            else:
                yield _unscanned(subject, now)

    def _age(self, subject: Subject, now: datetime) -> Iterator[Reason]:
        # Amazon Inspector scans an ACTIVE image again whenever it learns of a vulnerability: it is never old.
        completed_at = subject.scan.completed_at
        if self.max_scan_age is None or subject.scan.status == WATCHED:
            return
        if completed_at is None or now - completed_at > self.max_scan_age:
            yield _too_old(subject, self.max_scan_age, now)

    def _excess(self, subject: Subject, limits: Mapping[str, int], now: datetime) -> Iterator[Reason]:
        counted = [finding for finding in subject.scan.findings if self._counts(finding, now)]
        totals = Counter(_severity(finding, limits) for finding in counted)
        for finding in counted:
            limit = limits.get(_severity(finding, limits))
            if limit is not None and totals[_severity(finding, limits)] > limit:
                yield _too_many(finding, subject, limit)

    def _counts(self, finding: Finding, now: datetime) -> bool:
        # What is not known of a finding, such as its age or whether there is a fix, counts against the image.
        unfixable = self.fixable_only and finding.fixable is False
        # A finding dated ahead of the function's clock has no known age.
        seen = finding.first_observed_at
        new = seen is not None and timedelta() <= now - seen < self.min_age
        return not (unfixable or new or any(exemption.covers(finding, now.date()) for exemption in self.ignore))

    def _signature(self, evidence: Evidence) -> Iterator[Reason]:
        if not self.signed or evidence.signed:
            return
        if self.signing_profiles:
            named = ", ".join(self.signing_profiles[:3]) + (", …" if len(self.signing_profiles) > 3 else "")
            sentence = f"ECR managed signing has no signature of this digest by {named}: see its signing status"
        else:
            sentence = "no signature refers to this digest: sign it"
        yield Reason("unsigned", f"{sentence}, then promote again")

    def _soak(self, evidence: Evidence, now: datetime) -> Iterator[Reason]:
        since = evidence.reached_at or evidence.pushed_at
        if self.soak and since is None:
            yield Reason("soaking", "it is not known when the image was pushed")
        elif self.soak and since is not None and now - since < self.soak:
            ready = since + self.soak
            sentence = f"the image has to soak until {ready:%Y-%m-%dT%H:%M:%SZ}"
            yield Reason("soaking", sentence, ends_at=ready)


def load(entry: Mapping[str, Any]) -> Gate:
    """Make a Gate of its compiled JSON."""
    return Gate(
        findings=entry["findings"],
        fixable_only=entry["fixable_only"],
        min_age=timedelta(seconds=entry["min_age"]),
        max_scan_age=None if entry["max_scan_age"] is None else timedelta(seconds=entry["max_scan_age"]),
        ignore=tuple(
            Exemption(each["id"], date.fromisoformat(each["until"]), each["reason"], each["package"])
            for each in entry["ignore"]
        ),
        signed=entry["signed"],
        signing_profiles=tuple(entry["signing_profiles"]),
        soak=timedelta(seconds=entry["soak"]),
    )


def _severity(finding: Finding, limits: Mapping[str, int]) -> str:
    return finding.severity if finding.severity in RATED or finding.severity in limits else UNRATED


def _unscanned(subject: Subject, now: datetime) -> Reason:
    status, where = subject.scan.status, f"{subject.platform} ({subject.image_digest})"
    young = subject.pushed_at is not None and now - subject.pushed_at < GRACE
    if status == INCOMPLETE:
        code, sentence = PENDING, f"{where} has a scan that is not finished: its end or findings are missing"
    elif status in NOT_YET or (status is None and young):
        code, sentence = PENDING, f"{where} is being scanned"
    elif status is None:
        code, sentence = "not_scanned", f"{where} has no scan: switch scanning on for the repository"
    else:
        code, sentence = "not_scanned", f"{where} has a scan without a result: its status is {status}"
    return Reason(code, sentence, platform=subject.platform, image_digest=subject.image_digest)


def _too_old(subject: Subject, allowed: timedelta, now: datetime) -> Reason:
    where, ended = f"{subject.platform} ({subject.image_digest})", subject.scan.completed_at
    when = "at a time that is not known"
    if ended is not None:
        when = f"at {ended.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}, {_length(now - ended)} ago"
    return Reason(
        "scan_too_old",
        f"{where} was last scanned {when}, and {_length(allowed)} are allowed: "
        "scan it again (basic scanning: aws ecr start-image-scan, once in 24 hours), then promote again",
        platform=subject.platform,
        image_digest=subject.image_digest,
    )


def _length(duration: timedelta) -> str:
    seconds = int(duration.total_seconds())
    parts = ((seconds // 86400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "m"), (seconds % 60, "s"))
    return " ".join(f"{count}{unit}" for count, unit in parts if count) or "0s"


def _too_many(finding: Finding, subject: Subject, limit: int) -> Reason:
    fix = f"fixed in {finding.fixed_in}" if finding.fixed_in else "no fix is known"
    return Reason(
        "finding",
        f"{subject.platform}: {finding.id} in {finding.package} is {finding.severity}, {limit} allowed; {fix}",
        platform=subject.platform,
        image_digest=subject.image_digest,
        vulnerability=finding.id,
        package=finding.package,
        severity=finding.severity,
        fixed_in=finding.fixed_in,
    )
