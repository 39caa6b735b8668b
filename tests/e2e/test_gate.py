"""The gate on the deployed stack: indexes, findings, exemptions, and events in every order."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local import pusher
from local.deploy import DeployError, deploy
from tests.e2e.conftest import Image, Stack, ask, eventually
from tests.e2e.test_rights import without_right

FOUND = {"vulnerability": "CVE-2026-1", "package": "openssl", "severity": "CRITICAL"}
CRITICAL = {"id": "CVE-2026-1", "severity": "CRITICAL", "package": "openssl", "fixedIn": "3.0.2"}


def finish(stack: Stack, image: Image, *findings: dict[str, Any], **members: str) -> None:
    """Finish the scans of all platforms without events; the last one has the findings."""
    for number, platform in enumerate(image.platforms, start=1):
        last = list(findings) if number == len(image.platforms) else []
        stack.scan(image.repository, platform, findings=last, announce=False, **members)


@pytest.mark.parametrize("scanner", ["basic", "enhanced"])
def test_one_bad_platform_refuses_the_index_and_is_named(stack: Stack, image: Image, scanner: str) -> None:
    """422 with the platform, the vulnerability, its severity, the package and its fix; no tag moves."""
    finish(stack, image, CRITICAL, scanner=scanner)

    status, problem = stack.post(ask(image.repository, imageTag="gated"))

    assert (status, problem["code"]) == (422, "gate_refused")
    (reason,) = problem["reasons"]
    assert (reason["code"], reason["platform"], reason["imageDigest"]) == (
        "finding",
        "linux/arm64",
        image.platforms[1],
    )
    assert (reason["vulnerability"], reason["package"], reason["severity"]) == (
        "CVE-2026-1",
        "openssl",
        "CRITICAL",
    )
    assert reason.get("fixedIn") == ("3.0.2" if scanner == "enhanced" else None)
    assert set(stack.tags(image.repository)) == {"candidate"}


def test_a_finding_that_the_policy_exempts_until_tomorrow_passes(stack: Stack, image: Image) -> None:
    """The same image is promoted under a rule with the exemption."""
    finish(stack, image, CRITICAL)

    assert stack.post(ask(image.repository, imageTag="tolerated"))[1]["outcome"] == "PROMOTED"
    assert stack.tags(image.repository)["tolerated"] == image.digest


def test_a_policy_with_a_mistake_does_not_deploy(stack: Stack, policy: Path, tmp_path: Path) -> None:
    """The error has file and line, and nothing is changed.

    An expired exemption is not a mistake: it would stop a rollback (tests/infra/test_synth.py).
    """
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date()
    mistaken = tmp_path / "mistaken.yaml"
    mistaken.write_text(policy.read_text().replace(str(tomorrow), "someday"))

    with pytest.raises(DeployError, match=r"mistaken\.yaml:\d+:\d+: rules\[3\]\.gate\.ignore\[0\]\.until"):
        deploy(stack.aws, tmp_path, mistaken)


@pytest.mark.parametrize("order", list(itertools.permutations(["push", "amd64", "arm64"])), ids="-".join)
def test_scans_and_push_in_any_order_promote_once_after_the_last(stack: Stack, order: tuple[str, ...]) -> None:
    """Each event comes twice. The last one promotes the image to staging, with one PutImage for each tag."""
    repository = stack.repository()
    untagged = pusher.push_index(stack.aws.registry, repository, None, seed=repository, attestations=True)
    platforms = {name.split("/")[1]: child.digest for name, child in untagged.children.items()}
    stack.local("calls", method="DELETE")

    for number, step in enumerate(order, start=1):
        for _ in range(2):
            if step == "push":
                pusher.push_index(stack.aws.registry, repository, "build-7", seed=repository, attestations=True)
            else:
                stack.scan(repository, platforms[step], scanner="enhanced")
        stack.settle(repository, events=2 * number)
        if number < len(order):
            assert "staging" not in stack.tags(repository)

    tags = eventually(lambda: stack.tags(repository), lambda tags: "staging-7" in tags)
    assert tags["staging"] == tags["staging-7"] == untagged.digest
    put = [call for call in stack.calls() if call["operation"] == "PutImage" and call["status"] == 200]
    assert len(put) == 2  # once for staging, once for staging-7


@pytest.fixture
def throttled(stack: Stack) -> Iterator[None]:
    """Let ECR throttle DescribeImageScanFindings."""
    operation = {"service": "ecr", "operation": "DescribeImageScanFindings"}
    stack.local("faults", operation | {"code": "ThrottlingException", "status": 400, "times": 1000})
    yield
    stack.local("faults", method="DELETE")


@pytest.mark.usefixtures("throttled")
def test_nothing_is_promoted_while_the_findings_are_throttled(stack: Stack, image: Image) -> None:
    """429: the caller retries."""
    status, problem = stack.post(ask(image.repository, imageTag="gated"))

    assert (status, problem["code"]) == (429, "throttled")
    assert set(stack.tags(image.repository)) == {"candidate"}


def test_nothing_is_promoted_without_the_right_to_read_findings(stack: Stack, image: Image) -> None:
    """An image never counts as clean because its findings cannot be read."""
    finish(stack, image)
    with without_right(stack, "ecr:DescribeImageScanFindings"):
        status, problem = stack.post(ask(image.repository, imageTag="gated"))

    assert (status, problem["code"]) == (502, "registry_error")
    assert set(stack.tags(image.repository)) == {"candidate"}


@pytest.mark.parametrize(
    ("scan_status", "status", "code"),
    [
        (None, 409, "scan_pending"),
        ("PENDING", 409, "scan_pending"),
        ("IN_PROGRESS", 409, "scan_pending"),
        ("FAILED", 422, "gate_refused"),
        ("UNSUPPORTED_IMAGE", 422, "gate_refused"),
        ("FINDINGS_UNAVAILABLE", 422, "gate_refused"),
    ],
)
def test_an_image_without_a_finished_scan_is_not_promoted(
    stack: Stack, image: Image, scan_status: str | None, status: int, code: str
) -> None:
    """One platform is clean. The scan of the other is not finished, or has no result."""
    finish(stack, image)
    if scan_status:
        stack.scan(image.repository, image.platforms[0], status=scan_status, announce=False)
    else:
        image = Image(image.repository, push_unscanned(stack, image), "candidate", ())

    got, problem = stack.post(ask(image.repository, imageTag="gated"))

    assert (got, problem["code"]) == (status, code)
    assert set(stack.tags(image.repository)) == {"candidate"}


def test_a_scan_without_its_time_counts_as_pending(stack: Stack, image: Image) -> None:
    """ECR answers COMPLETE before the findings. 409 until they are there, then the same request passes."""
    finish(stack, image)
    stack.scan(image.repository, image.platforms[0], unfinished=True, announce=False)
    status, problem = stack.post(ask(image.repository, imageTag="gated"))
    assert (status, problem["code"]) == (409, "scan_pending")
    assert set(stack.tags(image.repository)) == {"candidate"}

    finish(stack, image)

    assert stack.post(ask(image.repository, imageTag="gated"))[1]["outcome"] == "PROMOTED"


@pytest.mark.parametrize("scanner", ["basic", "enhanced"])
def test_an_event_that_comes_before_the_findings_promotes_nothing(stack: Stack, scanner: str) -> None:
    """The event of the finished scan promotes the image."""
    repository = stack.repository()
    digest = pusher.push_image(stack.aws.registry, repository, "build-8", seed=repository).digest

    stack.scan(repository, digest, scanner=scanner, unfinished=True)
    stack.settle(repository, events=2)
    assert set(stack.tags(repository)) == {"build-8"}

    stack.scan(repository, digest, scanner=scanner)
    assert eventually(lambda: stack.tags(repository), lambda tags: "staging-8" in tags)["staging"] == digest


def push_unscanned(stack: Stack, image: Image) -> str:
    """Push another index, without scans, with the tag; return its digest."""
    return pusher.push_index(stack.aws.registry, image.repository, "candidate", seed="anew").digest


@pytest.mark.parametrize(("tag", "code", "status"), [("signed", "unsigned", 422), ("soaked", "soaking", 422)])
def test_an_image_that_is_unsigned_or_too_new_is_refused(
    stack: Stack, image: Image, tag: str, code: str, status: int
) -> None:
    """422 with the reason."""
    got, problem = stack.post(ask(image.repository, imageTag=tag))

    assert got == status
    assert [reason["code"] for reason in problem["reasons"]] == [code]


def test_a_signed_image_passes(stack: Stack, image: Image) -> None:
    """A signature with the tag that cosign uses."""
    tag = f"{image.digest.replace(':', '-')}.sig"
    pusher.push_image(stack.aws.registry, image.repository, tag, seed="signature")

    assert stack.post(ask(image.repository, imageTag="signed"))[1]["outcome"] == "PROMOTED"


def test_an_attestation_is_not_a_signature(stack: Stack, image: Image) -> None:
    """The provenance attestations of GitHub Actions have the type of cosign's signatures and another predicate."""
    kind, bundle = "application/vnd.dev.sigstore.bundle.v0.3+json", "dev.sigstore.bundle.predicateType"
    subject = pusher.push_index(stack.aws.registry, image.repository, "candidate", seed=image.repository)
    for predicate, status in (("https://slsa.dev/provenance/v1", 422), (SIGN, 200)):
        pusher.push_referrer(
            stack.aws.registry, image.repository, subject, artifact_type=kind, annotations={bundle: predicate}
        )
        assert stack.post(ask(image.repository, imageTag="signed"))[0] == status


SIGN = "https://sigstore.dev/cosign/sign/v1"


def test_only_the_signing_profile_of_the_rule_counts(stack: Stack, image: Image) -> None:
    """A pushed signature and another profile do not count. The status takes one call."""
    pusher.push_image(stack.aws.registry, image.repository, f"{image.digest.replace(':', '-')}.sig", seed="s")
    profile = "arn:aws:signer:us-east-1:123456789012:/signing-profiles/"
    for name, status in (("other", 422), ("release", 200)):
        signature = {"repositoryName": image.repository, "imageDigest": image.digest}
        stack.local("signatures", signature | {"signingProfileArn": profile + name})
        stack.local("calls", method="DELETE")
        assert stack.post(ask(image.repository, imageTag="managed"))[0] == status
        # The event of the signature may be served meanwhile. It reads only the signature.
        calls = Counter(stack.ecr_calls(image.repository))
        assert (calls["DescribeImageSigningStatus"], calls["ListImageReferrers"]) == (1, 0)


def test_a_scan_that_is_too_old_has_to_be_repeated(stack: Stack, image: Image) -> None:
    """422 with the command. After a new scan the request passes. An enhanced scan is never too old."""
    long_ago = (datetime.now(UTC) - timedelta(days=8)).isoformat()
    finish(stack, image, completedAt=long_ago)
    status, problem = stack.post(ask(image.repository, imageTag="fresh"))
    assert (status, problem["code"]) == (422, "gate_refused")
    assert {reason["code"] for reason in problem["reasons"]} == {"scan_too_old"}
    assert "aws ecr start-image-scan" in problem["detail"]

    finish(stack, image)
    assert stack.post(ask(image.repository, imageTag="fresh"))[1]["outcome"] == "PROMOTED"

    finish(stack, image, scanner="enhanced", completedAt=long_ago)
    assert stack.post(ask(image.repository, imageTag="fresh"))[1]["outcome"] == "UNCHANGED"


def test_a_frozen_rule_promotes_nothing(stack: Stack, image: Image) -> None:
    """423 with the reason in the policy."""
    status, problem = stack.post(ask(image.repository, imageTag="frozen"))

    assert (status, problem["code"]) == (423, "frozen")
    assert "always winter" in problem["detail"]
