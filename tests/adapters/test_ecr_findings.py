"""Findings, signatures and push times, asked of the local AWS's ECR with the real boto3."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.aws import LocalAws
from local.pusher import OCI_MANIFEST, PushedImage, push_blob, push_manifest
from promoter.ecr_findings import EcrFindings
from promoter.errors import RegistryError, SourceNotFound, Throttled
from promoter.model import Finding, Repository, Scan

SEEN = "2026-11-01T00:00:00Z"


@pytest.fixture
def findings(local_aws: LocalAws) -> EcrFindings:
    return EcrFindings(local_aws.client("ecr"))


@pytest.fixture
def place(local_aws: LocalAws, repository: str) -> Repository:
    return Repository(local_aws.account_id, repository)


@pytest.fixture
def scan(control: Any, repository: str) -> Callable[..., None]:
    """Finish a scan: `scan(digest, status=..., scanner=..., findings=[...])`."""

    def finish(digest: str, **members: Any) -> None:
        document = {"repositoryName": repository, "imageDigest": digest, "announce": False, "completedAt": SEEN}
        document |= members
        assert control("POST", "/scans", document)[0] == 200

    return finish


def found(number: int, **members: Any) -> dict[str, Any]:
    return {"id": f"CVE-{number}", "severity": "HIGH", "package": "openssl", "firstObservedAt": SEEN} | members


@pytest.mark.parametrize(
    ("scanner", "expected"),
    [
        ("basic", Finding("CVE-1", "HIGH", ("openssl",))),
        (
            "enhanced",
            Finding("CVE-1", "HIGH", ("openssl",), "3.0.2", datetime(2026, 11, 1, tzinfo=UTC), fixable=True),
        ),
    ],
)
def test_both_scanners_are_read(
    findings: EcrFindings,
    place: Repository,
    push: Callable[..., PushedImage],
    scan: Callable[..., None],
    scanner: str,
    expected: Finding,
) -> None:
    """What each of them tells of a finding."""
    digest = push("one", seed=scanner).digest
    scan(digest, scanner=scanner, findings=[found(1, fixedIn="3.0.2")])

    status = "COMPLETE" if scanner == "basic" else "ACTIVE"
    assert findings.scan(place, digest) == Scan(status, (expected,), datetime(2026, 11, 1, tzinfo=UTC))


def test_all_pages_are_read(
    findings: EcrFindings, place: Repository, push: Callable[..., PushedImage], scan: Callable[..., None]
) -> None:
    """More findings than one answer holds."""
    digest = push("one", seed="pages").digest
    scan(digest, scanner="enhanced", findings=[found(n) for n in range(2345)])

    read = findings.scan(place, digest)

    assert read.status == "ACTIVE"
    assert {finding.id for finding in read.findings} == {f"CVE-{n}" for n in range(2345)}


@pytest.mark.parametrize(("scanner", "status"), [("basic", "COMPLETE"), ("enhanced", "ACTIVE")])
def test_a_scan_that_only_says_it_is_finished_is_not(
    findings: EcrFindings,
    place: Repository,
    push: Callable[..., PushedImage],
    scan: Callable[..., None],
    scanner: str,
    status: str,
) -> None:
    """Until ECR shows when it ended; then it counts, clean or not."""
    digest = push("one", seed=f"unfinished {scanner}").digest

    scan(digest, scanner=scanner, unfinished=True)
    assert findings.scan(place, digest) == Scan("INCOMPLETE_ANSWER")

    scan(digest, scanner=scanner)
    assert findings.scan(place, digest) == Scan(status, completed_at=datetime(2026, 11, 1, tzinfo=UTC))


def test_no_scan_is_a_scan_without_a_status(
    findings: EcrFindings, place: Repository, push: Callable[..., PushedImage]
) -> None:
    """ScanNotFound, and an image that is not there: nothing is known of either."""
    assert findings.scan(place, push("one", seed="none").digest) == Scan(None)
    assert findings.scan(place, "sha256:" + "0" * 64) == Scan(None)


@pytest.mark.parametrize(
    ("code", "expected"), [("ThrottlingException", Throttled), ("AccessDeniedException", RegistryError)]
)
@pytest.mark.parametrize(
    ("operation", "ask"),
    [
        ("DescribeImageScanFindings", "scan"),
        ("ListImageReferrers", "signed"),
        ("DescribeImageSigningStatus", "signed"),
        ("DescribeImages", "pushed"),
    ],
)
def test_what_cannot_be_asked_is_a_failure(
    findings: EcrFindings,
    place: Repository,
    push: Callable[..., PushedImage],
    faults: Callable[..., None],
    operation: str,
    ask: str,
    code: str,
    expected: Any,
) -> None:
    """Denied or throttled is never taken for an answer."""
    digest = push("one", seed="fault").digest
    faults("ecr", operation, code=code, status=400, times=9)

    with pytest.raises(expected, match=code):
        getattr(findings, ask)(place, [digest] if ask == "pushed" else digest)


@pytest.mark.parametrize("operation", ["ListImageReferrers", "DescribeImageSigningStatus"])
def test_an_image_that_is_not_there_is_unsigned(
    findings: EcrFindings, place: Repository, faults: Callable[..., None], operation: str
) -> None:
    """As one that a caller brings along: no failure, and nothing to try again."""
    faults("ecr", operation, code="ImageNotFoundException", status=400, times=9)

    assert findings.signed(place, "sha256:" + "0" * 64) is False


def test_a_signature_behind_an_empty_page_is_found(
    local_aws: LocalAws, place: Repository, push: Callable[..., PushedImage]
) -> None:
    """A filter may leave nothing of a page that others follow."""
    client, tokens = local_aws.client("ecr"), iter(["1", "2"])
    asked: list[Any] = []

    def turn(parsed: dict[str, Any], **_: Any) -> None:
        parsed.update({"nextToken": token} if (token := next(tokens, None)) else {"referrers": [{"digest": "d"}]})

    client.meta.events.register(
        "provide-client-params.ecr.ListImageReferrers", lambda params, **_: asked.append(params)
    )
    client.meta.events.register("after-call.ecr.ListImageReferrers", turn)

    assert EcrFindings(client).signed(place, push("one", seed="pages of referrers").digest) is True
    assert [params.get("nextToken") for params in asked] == [None, "1", "2"]


def test_an_image_without_a_signature_is_unsigned(
    findings: EcrFindings, place: Repository, push: Callable[..., PushedImage]
) -> None:
    """No referrer, no cosign tag, no managed signing."""
    assert findings.signed(place, push("one", seed="unsigned").digest) is False


@pytest.mark.parametrize(
    ("artifact_type", "signed"),
    [
        ("application/vnd.cncf.notary.signature", True),
        ("application/vnd.dev.sigstore.bundle.v0.3+json", True),
        ("application/spdx+json", False),
    ],
)
def test_a_referrer_with_a_signatures_type_signs(
    findings: EcrFindings,
    place: Repository,
    local_aws: LocalAws,
    push: Callable[..., PushedImage],
    artifact_type: str,
    *,
    signed: bool,
) -> None:
    """An SBOM refers to the image too, and signs nothing."""
    image = push("one", seed="signed")
    push_blob(local_aws.registry, place.name, b"{}")
    descriptor = {"mediaType": "application/vnd.oci.empty.v1+json", "size": 2, "digest": EMPTY}
    subject = {"mediaType": image.media_type, "digest": image.digest, "size": len(image.manifest)}
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": artifact_type, "config": descriptor}
    body = json.dumps(document | {"layers": [descriptor], "subject": subject}).encode()
    push_manifest(local_aws.registry, place.name, body, OCI_MANIFEST, None)

    assert findings.signed(place, image.digest) is signed


EMPTY = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"  # of {}


def test_cosigns_tag_signs(findings: EcrFindings, place: Repository, push: Callable[..., PushedImage]) -> None:
    """The older way to attach a signature: a tag made of the digest."""
    digest = push("one", seed="cosign").digest
    push(f"{digest.replace(':', '-')}.sig", seed="signature")

    assert findings.signed(place, digest) is True


def test_when_an_image_was_pushed(
    findings: EcrFindings, place: Repository, push: Callable[..., PushedImage]
) -> None:
    """Each with its own time, with a time zone; if one is not there, none has a time."""
    digests = [push(tag, seed=f"time {tag}").digest for tag in ("one", "two")]

    pushed = findings.pushed(place, digests)

    assert list(pushed) == digests
    assert all(abs(datetime.now(UTC) - each) < timedelta(minutes=1) for each in pushed.values())
    with pytest.raises(SourceNotFound):
        findings.pushed(place, [*digests, "sha256:" + "0" * 64])
