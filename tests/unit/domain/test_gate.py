"""The gate's judgement: every status, severity, fix, age and exception."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promoter.domain.findings import Evidence, Finding, Scan, Subject
from promoter.domain.gate import Exemption, Gate, load
from promoter.domain.model import Reason
from tests.support.policies import gate as compiled

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DIGEST = "sha256:" + "a" * 64
CRITICAL = Finding("CVE-2026-1", "CRITICAL", ("openssl", "libssl3"), fixed_in="3.0.2", fixable=True)


def judge(gate: Gate, *scans: Scan, **evidence: Any) -> tuple[Reason, ...]:
    subjects = tuple(Subject(f"sha256:{n}", f"linux/p{n}", scan) for n, scan in enumerate(scans))
    return gate.judge(Evidence(subjects=subjects, **evidence), now=NOW)


def codes(reasons: tuple[Reason, ...]) -> list[str]:
    return [reason.code for reason in reasons]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("COMPLETE", None),
        ("ACTIVE", None),
        ("PENDING", "scan_pending"),
        ("IN_PROGRESS", "scan_pending"),
        ("FAILED", "not_scanned"),
        ("UNSUPPORTED_IMAGE", "not_scanned"),
        ("SCAN_ELIGIBILITY_EXPIRED", "not_scanned"),
        ("FINDINGS_UNAVAILABLE", "not_scanned"),
        ("LIMIT_EXCEEDED", "not_scanned"),
        ("IMAGE_ARCHIVED", "not_scanned"),
        ("IMAGE_SIZE_EXCEEDED", "not_scanned"),
        ("INCOMPLETE_ANSWER", "scan_pending"),
        ("SOMETHING_NEW", "not_scanned"),
        ("", "not_scanned"),
    ],
)
def test_every_status_has_its_answer(status: str, code: str | None) -> None:
    """Only a finished scan lets an image pass; only what may still come is "not yet"."""
    assert codes(judge(Gate({}), Scan(status))) == ([code] if code else [])


@pytest.mark.parametrize(
    ("pushed", "code"),
    [
        (NOW - timedelta(minutes=59), "scan_pending"),
        (NOW - timedelta(minutes=60), "not_scanned"),
        (NOW + timedelta(minutes=5), "scan_pending"),
        (None, "not_scanned"),
    ],
)
def test_an_image_without_a_scan_has_an_hour(pushed: datetime | None, code: str) -> None:
    """After the push the scan may not have begun; later nobody is scanning."""
    subject = Subject(DIGEST, "linux/amd64", Scan(None), pushed_at=pushed)

    assert codes(Gate({}).judge(Evidence(subjects=(subject,)), now=NOW)) == [code]


@pytest.mark.parametrize("subjects", [(), None])
def test_an_index_without_a_scannable_image_is_refused(subjects: Any) -> None:
    """Nothing to scan is not "nothing found"."""
    assert codes(Gate({}).judge(Evidence(subjects=subjects), now=NOW)) == ["nothing_to_scan"]


@pytest.mark.parametrize(
    ("limits", "severities", "passes"),
    [
        ({"CRITICAL": 0}, [], True),
        ({"CRITICAL": 0}, ["HIGH", "MEDIUM"], True),
        ({"CRITICAL": 0}, ["CRITICAL"], False),
        ({"CRITICAL": 1}, ["CRITICAL"], True),
        ({"CRITICAL": 1}, ["CRITICAL", "CRITICAL"], False),
        ({"HIGH": 0}, ["CRITICAL"], True),  # absent means any: the policy names what it limits
        ({"HIGH": 0}, ["UNTRIAGED"], False),
        ({"HIGH": 0}, ["UNDEFINED"], False),
        ({"HIGH": 0}, ["BRAND_NEW"], False),
        ({"HIGH": 0, "UNTRIAGED": 5}, ["UNTRIAGED"], True),
        ({"HIGH": 1}, ["HIGH", "UNDEFINED"], False),
        ({}, ["CRITICAL"], True),
    ],
)
def test_severities_are_counted_against_their_limits(
    limits: dict[str, int], severities: list[str], *, passes: bool
) -> None:
    """What nobody has rated counts as HIGH, unless the rule limits it by name."""
    findings = tuple(Finding(f"CVE-{n}", severity, ("p",)) for n, severity in enumerate(severities))

    assert (judge(Gate(limits), Scan("COMPLETE", findings)) == ()) is passes


@pytest.mark.parametrize(
    ("finding", "counts"),
    [
        (Finding("C", "HIGH", ("p",), fixable=True), True),
        (Finding("C", "HIGH", ("p",), fixable=False), False),
        (Finding("C", "HIGH", ("p",), fixable=None), True),
    ],
)
def test_fixable_only_leaves_out_what_is_known_to_have_no_fix(finding: Finding, *, counts: bool) -> None:
    """Basic scanning does not say: then the finding counts."""
    gate = Gate({"HIGH": 0}, fixable_only=True)

    assert bool(judge(gate, Scan("ACTIVE", (finding,)))) is counts


@pytest.mark.parametrize(
    ("age", "counts"),
    [
        (timedelta(), False),
        (timedelta(hours=23), False),
        (timedelta(hours=24), True),
        (timedelta(seconds=-1), True),
        (None, True),
    ],
)
def test_a_finding_counts_from_its_age_on(age: timedelta | None, *, counts: bool) -> None:
    """Unknown ages count, and so do findings that are dated ahead of the function's clock."""
    finding = Finding("C", "HIGH", ("p",), first_observed_at=NOW - age if age is not None else None)

    assert bool(judge(Gate({"HIGH": 0}, min_age=timedelta(days=1)), Scan("ACTIVE", (finding,)))) is counts


@pytest.mark.parametrize("ahead", [timedelta(), timedelta(milliseconds=1), timedelta(days=1)])
def test_a_finding_of_now_counts_where_no_age_is_asked(ahead: timedelta) -> None:
    """The scanner's clock and the function's need not agree."""
    finding = Finding("C", "HIGH", ("p",), first_observed_at=NOW + ahead)

    assert codes(judge(Gate({"HIGH": 0}), Scan("ACTIVE", (finding,)))) == ["finding"]


@pytest.mark.parametrize(
    ("exemption", "counts"),
    [
        (Exemption("CVE-2026-1", date(2026, 11, 24), "r"), False),
        (Exemption("CVE-2026-1", date(2026, 11, 23), "r"), False),
        (Exemption("CVE-2026-1", date(2026, 11, 22), "r"), True),
        (Exemption("CVE-2026-2", date(2026, 11, 24), "r"), True),
        (Exemption("CVE-2026-1", date(2026, 11, 24), "r", "openssl"), False),
        (Exemption("CVE-2026-1", date(2026, 11, 24), "r", "libssl3"), False),
        (Exemption("CVE-2026-1", date(2026, 11, 24), "r", "ssl"), True),
        (Exemption("CVE-2026-1", date(2026, 11, 24), "r", "busybox"), True),
    ],
)
def test_an_exemption_holds_through_its_last_day(exemption: Exemption, *, counts: bool) -> None:
    """For its vulnerability, in any package, or where one of the finding's packages is the named one."""
    gate = Gate({"CRITICAL": 0}, ignore=(exemption,))

    assert bool(judge(gate, Scan("ACTIVE", (CRITICAL,)))) is counts


@pytest.mark.parametrize(
    ("status", "age", "expected"),
    [
        ("COMPLETE", timedelta(days=7), []),
        ("COMPLETE", timedelta(days=7, seconds=1), ["scan_too_old"]),
        ("COMPLETE", timedelta(seconds=-5), []),
        ("COMPLETE", None, ["scan_too_old"]),
        ("ACTIVE", timedelta(days=300), []),
        ("ACTIVE", None, []),
        ("PENDING", timedelta(days=300), ["scan_pending"]),
        ("FAILED", timedelta(days=300), ["not_scanned"]),
    ],
)
def test_a_scan_may_be_too_old(status: str, age: timedelta | None, expected: list[str]) -> None:
    """By when it ended, and where that is not known; what enhanced scanning watches is never old."""
    scan = Scan(status, completed_at=NOW - age if age is not None else None)

    assert codes(judge(Gate({}, max_scan_age=timedelta(days=7)), scan)) == expected
    assert "scan_too_old" not in codes(judge(Gate({}), scan))


def test_an_old_scan_says_how_old_it_is_and_what_to_do() -> None:
    """And what it found is told too."""
    ended = NOW - timedelta(days=40, hours=3, seconds=5)
    old = Scan("COMPLETE", (CRITICAL,), ended.astimezone(timezone(timedelta(hours=2))))

    reasons = judge(Gate({"CRITICAL": 0}, max_scan_age=timedelta(days=7)), Scan("ACTIVE"), old)

    assert codes(reasons) == ["scan_too_old", "finding"]
    assert (reasons[0].platform, reasons[0].image_digest) == ("linux/p1", "sha256:1")
    assert reasons[0].sentence == (
        "linux/p1 (sha256:1) was last scanned at 2026-10-14T08:59:55Z, 40d 3h 5s ago, and 7d are allowed: "
        "scan it again (basic scanning: aws ecr start-image-scan, once in 24 hours), then promote again"
    )


def test_every_platform_has_to_pass() -> None:
    """One bad platform refuses the index; the reason names it, the vulnerability, package, severity and fix."""
    (reason,) = judge(Gate({"CRITICAL": 0}), Scan("ACTIVE"), Scan("ACTIVE", (CRITICAL,)))

    assert (reason.platform, reason.vulnerability, reason.package) == (
        "linux/p1",
        "CVE-2026-1",
        "openssl, libssl3",
    )
    assert (reason.severity, reason.fixed_in) == ("CRITICAL", "3.0.2")
    assert reason.sentence == "linux/p1: CVE-2026-1 in openssl, libssl3 is CRITICAL, 0 allowed; fixed in 3.0.2"


@pytest.mark.parametrize(("signed", "expected"), [(True, []), (False, ["unsigned"]), (None, ["unsigned"])])
def test_a_signature_has_to_be_known(*, signed: bool | None, expected: list[str]) -> None:
    """Not knowing is not having."""
    assert codes(Gate(signed=True).judge(Evidence(signed=signed), now=NOW)) == expected


def test_the_profiles_that_have_not_signed_are_named() -> None:
    """Three of them at most."""
    (reason,) = Gate(signed=True, signing_profiles=("a", "b", "c", "d")).judge(Evidence(signed=False), now=NOW)

    assert reason.code == "unsigned"
    assert "by a, b, c, …" in reason.sentence


@pytest.mark.parametrize(
    ("age", "expected"),
    [(timedelta(hours=24), []), (timedelta(hours=23, minutes=59), ["soaking"]), (None, ["soaking"])],
)
def test_an_image_soaks_from_its_push_on(age: timedelta | None, expected: list[str]) -> None:
    """And the reason says from when on it may go."""
    reasons = Gate(soak=timedelta(days=1)).judge(Evidence(pushed_at=NOW - age if age else None), now=NOW)

    assert codes(reasons) == expected
    if age and reasons:
        assert "2026-11-23T12:01:00Z" in reasons[0].sentence


def test_a_gate_that_asks_for_nothing_passes() -> None:
    """No findings asked for: no scan needed."""
    assert Gate().judge(Evidence(), now=NOW) == ()


def test_the_compiled_gate_is_the_gate() -> None:
    """Seconds become times, dates dates."""
    document = compiled(
        findings={"HIGH": 2},
        fixable_only=True,
        min_age=3600,
        max_scan_age=604800,
        ignore=[{"id": "C", "until": "2026-12-31", "reason": "r", "package": None}],
        signed=True,
        signing_profiles=["arn"],
        soak=86400,
    )

    assert load(document) == Gate(
        {"HIGH": 2},
        fixable_only=True,
        min_age=timedelta(hours=1),
        max_scan_age=timedelta(days=7),
        ignore=(Exemption("C", date(2026, 12, 31), "r"),),
        signed=True,
        signing_profiles=("arn",),
        soak=timedelta(days=1),
    )


severities = st.sampled_from(["CRITICAL", "HIGH", "MEDIUM", "LOW", "UNTRIAGED", "UNDEFINED", "ODD"])
statuses = st.sampled_from(["COMPLETE", "ACTIVE", "PENDING", "FAILED", None])
scans = st.builds(
    Scan,
    statuses,
    st.lists(st.builds(Finding, st.uuids().map(str), severities, st.just(("p",))), max_size=6).map(tuple),
)
limits = st.dictionaries(st.sampled_from(["CRITICAL", "HIGH", "MEDIUM", "LOW", "UNTRIAGED"]), st.integers(0, 3))


@given(limits=limits, platforms=st.lists(scans, min_size=1, max_size=4))
def test_no_gate_passes_an_image_with_a_platform_over_a_limit_or_unscanned(
    limits: dict[str, int], platforms: list[Scan]
) -> None:
    """Counted here in the plainest way: passing means finished, and within every limit, on every platform."""

    def counted(scan: Scan, severity: str) -> int:
        rated = {"CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", *limits}
        return sum((f.severity if f.severity in rated else "HIGH") == severity for f in scan.findings)

    within = all(
        scan.status in ("COMPLETE", "ACTIVE") and all(counted(scan, each) <= most for each, most in limits.items())
        for scan in platforms
    )

    assert (judge(Gate(limits), *platforms) == ()) is within
