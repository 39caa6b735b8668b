"""ImageFacts, signatures and push times, asked of the local AWS's ECR with the real boto3."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.aws import LocalAws
from local.oci import OCI_MANIFEST
from local.pusher import PushedImage, push_blob, push_manifest
from promoter.aws.ecr.image_facts import EcrImageFacts
from promoter.domain.errors import RegistryError, SourceNotFound, Throttled
from promoter.domain.model import Finding, Repository, Scan

SEEN = "2026-11-01T00:00:00Z"


@pytest.fixture
def image_facts(local_aws: LocalAws) -> EcrImageFacts:
    return EcrImageFacts(local_aws.client("ecr"))


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
    image_facts: EcrImageFacts,
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
    assert image_facts.scan(place, digest) == Scan(status, (expected,), datetime(2026, 11, 1, tzinfo=UTC))


def test_all_pages_are_read(
    image_facts: EcrImageFacts, place: Repository, push: Callable[..., PushedImage], scan: Callable[..., None]
) -> None:
    """More findings than one answer holds."""
    digest = push("one", seed="pages").digest
    scan(digest, scanner="enhanced", findings=[found(n) for n in range(2345)])

    read = image_facts.scan(place, digest)

    assert read.status == "ACTIVE"
    assert {finding.id for finding in read.findings} == {f"CVE-{n}" for n in range(2345)}


@pytest.mark.parametrize(("scanner", "status"), [("basic", "COMPLETE"), ("enhanced", "ACTIVE")])
def test_a_scan_that_only_says_it_is_finished_is_not(
    image_facts: EcrImageFacts,
    place: Repository,
    push: Callable[..., PushedImage],
    scan: Callable[..., None],
    scanner: str,
    status: str,
) -> None:
    """Until ECR shows when it ended; then it counts, clean or not."""
    digest = push("one", seed=f"unfinished {scanner}").digest

    scan(digest, scanner=scanner, unfinished=True)
    assert image_facts.scan(place, digest) == Scan("INCOMPLETE_ANSWER")

    scan(digest, scanner=scanner)
    assert image_facts.scan(place, digest) == Scan(status, completed_at=datetime(2026, 11, 1, tzinfo=UTC))


def test_no_scan_is_a_scan_without_a_status(
    image_facts: EcrImageFacts, place: Repository, push: Callable[..., PushedImage]
) -> None:
    """ScanNotFound, and an image that is not there: nothing is known of either."""
    assert image_facts.scan(place, push("one", seed="none").digest) == Scan(None)
    assert image_facts.scan(place, "sha256:" + "0" * 64) == Scan(None)


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
    image_facts: EcrImageFacts,
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
        getattr(image_facts, ask)(place, [digest] if ask == "pushed" else digest)


@pytest.mark.parametrize("operation", ["ListImageReferrers", "DescribeImageSigningStatus"])
def test_an_image_that_is_not_there_is_unsigned(
    image_facts: EcrImageFacts, place: Repository, faults: Callable[..., None], operation: str
) -> None:
    """As one that a caller brings along: no failure, and nothing to try again."""
    faults("ecr", operation, code="ImageNotFoundException", status=400, times=9)

    assert image_facts.signed(place, "sha256:" + "0" * 64) is False


def pages(client: Any, *answers: dict[str, Any]) -> list[dict[str, Any]]:
    """Let ListImageReferrers answer these pages, the last one for ever; return the requests, as they come."""
    asked: list[dict[str, Any]] = []

    def turn(parsed: dict[str, Any], **_: Any) -> None:
        parsed.clear()
        parsed |= answers[min(len(asked), len(answers)) - 1] | {"ResponseMetadata": {}}

    event = "provide-client-params.ecr.ListImageReferrers"
    client.meta.events.register(event, lambda params, **_: asked.append(dict(params)))
    client.meta.events.register("after-call.ecr.ListImageReferrers", turn)
    return asked


SIGNATURE = {"digest": "sha256:" + "d" * 64, "artifactType": "application/vnd.cncf.notary.signature"}
SBOM = {"digest": "sha256:" + "e" * 64, "artifactType": "application/spdx+json"}


def test_a_signature_behind_other_referrers_is_found(
    local_aws: LocalAws, place: Repository, push: Callable[..., PushedImage]
) -> None:
    """Behind pages of them, and behind an empty page, which says nothing of the next one."""
    client = local_aws.client("ecr")
    asked = pages(
        client,
        {"referrers": [SBOM] * 50, "nextToken": "1"},
        {"referrers": [], "nextToken": "2"},
        {"referrers": [SBOM, SIGNATURE]},
    )

    assert EcrImageFacts(client).signed(place, push("one", seed="pages of referrers").digest) is True
    assert [params.get("nextToken") for params in asked] == [None, "1", "2"]


def test_the_search_for_a_signature_ends(
    local_aws: LocalAws, place: Repository, push: Callable[..., PushedImage]
) -> None:
    """An image with more than 500 referrers is unsigned if no signature is among those."""
    client = local_aws.client("ecr")
    asked = pages(client, {"referrers": [SBOM] * 50, "nextToken": "1"})

    assert EcrImageFacts(client).signed(place, push("one", seed="endless").digest) is False
    assert len(asked) == 10


def test_an_image_without_a_signature_is_unsigned(
    image_facts: EcrImageFacts, place: Repository, push: Callable[..., PushedImage]
) -> None:
    """No referrer, no cosign tag, no managed signing."""
    assert image_facts.signed(place, push("one", seed="unsigned").digest) is False


EMPTY = "application/vnd.oci.empty.v1+json"
NOTATION = "application/vnd.cncf.notary.signature"
COSIGN = "application/vnd.dev.cosign.artifact.sig.v1+json"
SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
SIGN = {"annotations": {"dev.sigstore.bundle.predicateType": "https://sigstore.dev/cosign/sign/v1"}}
PROVENANCE = {"annotations": {"dev.sigstore.bundle.predicateType": "https://slsa.dev/provenance/v1"}}


def refer(local_aws: LocalAws, name: str, image: PushedImage, *, config: str = EMPTY, **members: Any) -> None:
    """Push a manifest that refers to the image."""
    digest = push_blob(local_aws.registry, name, b"{}")
    layer = members.pop("layer", "application/octet-stream")
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": config, "size": 2, "digest": digest},
        "layers": [{"mediaType": layer, "size": 2, "digest": digest}],
        "subject": {"mediaType": image.media_type, "digest": image.digest, "size": len(image.manifest)},
    }
    push_manifest(local_aws.registry, name, json.dumps(document | members).encode(), OCI_MANIFEST, None)


@pytest.mark.parametrize("silent", [(), ("annotations",), ("annotations", "artifactType")], ids="-".join)
@pytest.mark.parametrize(
    ("referrer", "signed"),
    [
        ({"artifactType": NOTATION}, True),
        ({"config": NOTATION}, True),  # notation 1.0
        ({"config": COSIGN, "layer": SIMPLE_SIGNING}, True),  # sigstore/cosign#4995
        ({"artifactType": BUNDLE} | SIGN, True),  # cosign 3
        ({"artifactType": BUNDLE} | PROVENANCE, False),
        ({"artifactType": BUNDLE}, False),
        ({"artifactType": "application/spdx+json"}, False),
    ],
)
def test_only_a_referrer_that_is_known_to_be_a_signature_signs(
    place: Repository,
    local_aws: LocalAws,
    push: Callable[..., PushedImage],
    referrer: dict[str, Any],
    silent: tuple[str, ...],
    *,
    signed: bool,
) -> None:
    """Whatever the registry lists of it: what it does not list, the referrer's manifest says."""
    client, image = local_aws.client("ecr"), push("one", seed="signed")
    refer(local_aws, place.name, image, **referrer)

    def withhold(parsed: dict[str, Any], **_: Any) -> None:
        for each in parsed["referrers"]:
            for member in silent:
                each.pop(member, None)

    client.meta.events.register("after-call.ecr.ListImageReferrers", withhold)

    assert EcrImageFacts(client).signed(place, image.digest) is signed


def test_a_signature_of_another_image_does_not_sign(
    local_aws: LocalAws, place: Repository, push: Callable[..., PushedImage]
) -> None:
    """Wherever it is listed: its manifest names its subject."""
    image, other = push("one", seed="one"), push("two", seed="two")
    refer(local_aws, place.name, other, artifactType=BUNDLE, annotations=SIGN["annotations"])
    entries = local_aws.client("ecr").list_image_referrers(
        repositoryName=place.name, subjectId={"imageDigest": other.digest}
    )["referrers"]
    client = local_aws.client("ecr")
    pages(client, {"referrers": [{"digest": entries[0]["digest"], "artifactType": BUNDLE}]})

    assert EcrImageFacts(client).signed(place, image.digest) is False
    assert EcrImageFacts(client).signed(place, other.digest) is True


def test_manifests_are_read_together_with_cosigns_tag(
    image_facts: EcrImageFacts,
    local_aws: LocalAws,
    place: Repository,
    push: Callable[..., PushedImage],
    control: Any,
) -> None:
    """So that referrers that their listing does not tell cost no call; no more of them than one call takes."""
    image = push("one", seed="many")
    for number in range(120):
        refer(local_aws, place.name, image, artifactType=BUNDLE, number=number)
    control("DELETE", "/calls")

    assert image_facts.signed(place, image.digest) is False
    calls = [call["operation"] for call in control("GET", "/calls")[1]["calls"]]
    assert calls == ["ListImageReferrers"] * 3 + ["BatchGetImage", "DescribeImageSigningStatus"]


PROFILE = "arn:aws:signer:us-east-1:123456789012:/signing-profiles/release"


@pytest.mark.parametrize(
    ("status", "named", "signed"),
    [
        ("COMPLETE", PROFILE, True),
        ("COMPLETE", None, True),
        ("COMPLETE", f"{PROFILE}2", False),
        ("IN_PROGRESS", PROFILE, False),
        ("FAILED", PROFILE, False),
        ("FAILED", None, False),
    ],
)
def test_managed_signing_signs_by_its_profile(
    image_facts: EcrImageFacts,
    place: Repository,
    push: Callable[..., PushedImage],
    control: Any,
    status: str,
    named: str | None,
    *,
    signed: bool,
) -> None:
    """When it is complete; and where profiles are named, by one of these."""
    digest = push("one", seed="managed").digest
    document = {"repositoryName": place.name, "imageDigest": digest, "signingProfileArn": PROFILE}
    assert control("POST", "/signatures", document | {"status": status})[0] == 200

    assert image_facts.signed(place, digest, ["other", named] if named else ()) is signed


def test_where_profiles_are_named_nothing_else_is_asked(
    image_facts: EcrImageFacts,
    local_aws: LocalAws,
    place: Repository,
    push: Callable[..., PushedImage],
    control: Any,
) -> None:
    """A signature that anybody may have pushed does not count then; one call says who has signed."""
    image = push("one", seed="named")
    refer(local_aws, place.name, image, artifactType=NOTATION)
    push(f"{image.digest.replace(':', '-')}.sig", seed="signature")
    control("DELETE", "/calls")

    assert image_facts.signed(place, image.digest, [PROFILE]) is False
    assert [call["operation"] for call in control("GET", "/calls")[1]["calls"]] == ["DescribeImageSigningStatus"]


def test_cosigns_tag_signs(
    image_facts: EcrImageFacts, place: Repository, push: Callable[..., PushedImage]
) -> None:
    """The older way to attach a signature: a tag made of the digest."""
    digest = push("one", seed="cosign").digest
    push(f"{digest.replace(':', '-')}.sig", seed="signature")

    assert image_facts.signed(place, digest) is True


def test_when_an_image_was_pushed(
    image_facts: EcrImageFacts, place: Repository, push: Callable[..., PushedImage]
) -> None:
    """Each with its own time, with a time zone; if one is not there, none has a time."""
    digests = [push(tag, seed=f"time {tag}").digest for tag in ("one", "two")]

    pushed = image_facts.pushed(place, digests)

    assert list(pushed) == digests
    assert all(abs(datetime.now(UTC) - each) < timedelta(minutes=1) for each in pushed.values())
    with pytest.raises(SourceNotFound):
        image_facts.pushed(place, [*digests, "sha256:" + "0" * 64])
