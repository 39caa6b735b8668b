"""`make explain`: says what the policy would decide, without AWS."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from infra.policy.explain import main

POLICY = r"""
rules:
  - name: staging
    on: scan
    repositories: ["team/*"]
    from: '^build-(?P<n>\d+)$'
    to: ["staging-{n}"]
    gate: {findings: {CRITICAL: 0}}
  - name: prod
    on: request
    repositories: ["team/*"]
    from: '^staging-\d+$'
    to: [prod]
    callers: ["github:owner/*"]
    gate: {signed: true, soak: 24h}
  - name: fresh
    on: request
    repositories: ["fresh/*"]
    to: [fresh]
    gate: {findings: {CRITICAL: 0}, max_scan_age: 7d}
  - name: managed
    on: request
    repositories: ["team/*"]
    from: '^managed-\d+$'
    to: [managed]
    gate: {signed: {profiles: ["arn:aws:signer:us-east-1:123456789012:/signing-profiles/release"]}}
  - name: pinned
    on: request
    repositories: ["others/*"]
    to: ["v-{digest}"]
    gate: {findings: {CRITICAL: 0}, ignore: [{id: CVE-2026-1, until: 2096-12-31, reason: r}]}
freeze:
  - {from: 2030-12-24, to: 2030-12-26, reason: holidays, rules: [prod]}
"""
CRITICAL = {
    "name": "CVE-2026-1",
    "severity": "CRITICAL",
    "attributes": [{"key": "package_name", "value": "openssl"}],
}
PROFILE = "arn:aws:signer:us-east-1:123456789012:/signing-profiles/release"
SCAN = ["--repository", "team/web", "--tag", "build-7", "--on", "scan"]
REQUEST = ["--repository", "team/web", "--tag", "staging-7", "--caller", "github:owner/web:ref:refs/heads/main"]


@pytest.fixture
def policy(tmp_path: Path) -> list[str]:
    """The options that name the policy."""
    (tmp_path / "policy.yaml").write_text(POLICY)
    return ["--policy", f"{tmp_path / 'policy.yaml'}"]


def answer(folder: Path, *findings: Mapping[str, object], **times: object) -> str:
    """Return a file with an output of `aws ecr describe-image-scan-findings`; by default of a scan in 2026."""
    file = folder / "findings.json"
    shown = {"findings": findings} | (times or {"imageScanCompletedAt": "2026-11-01T12:00:00+00:00"})
    file.write_text(json.dumps({"imageScanStatus": {"status": "COMPLETE"}, "imageScanFindings": shown}))
    return f"{file}"


def test_a_clean_scan_would_promote(policy: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code is 0, and the output has the rule and the tags."""
    assert main([*policy, *SCAN, "--findings", answer(tmp_path)]) == 0

    assert "rule staging applies and its gate passes: would put staging-7" in capsys.readouterr().out


def test_a_finding_would_refuse(policy: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code is 1, and the reason has platform, vulnerability and package."""
    assert main([*policy, *SCAN, "--findings", f"linux/arm64={answer(tmp_path, CRITICAL)}"]) == 1

    printed = capsys.readouterr().out
    assert "gate_refused: linux/arm64: CVE-2026-1 in openssl is CRITICAL, 0 allowed" in printed


def test_a_scan_that_is_not_finished_would_wait(
    policy: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its status may be COMPLETE: ECR has not reported the end of the scan yet."""
    assert main([*policy, *SCAN, "--findings", answer(tmp_path, imageScanCompletedAt=None)]) == 1

    assert "scan_pending: the image (build-7) has a scan that is not finished" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "code", "text"),
    [
        (["--signed", "--age", "25"], 0, "would put prod"),
        (["--signed", "--age", "23"], 1, "has to soak until"),
        (["--signed-by", PROFILE, "--age", "25", "--put", "prod"], 0, "would put prod"),
        (["--signed-by", PROFILE, "--tag", "managed-1"], 0, "would put managed"),
        (["--signed-by", f"{PROFILE}2", "--tag", "managed-1"], 1, f"no signature of this digest by {PROFILE}"),
        (["--signed", "--tag", "managed-1"], 1, f"no signature of this digest by {PROFILE}"),
        (["--age", "25"], 1, "no signature refers"),
        (["--signed", "--age", "25", "--put", "latest"], 1, "prod: may not put latest"),
        (["--signed", "--age", "25", "--caller", "jwt:other"], 1, "caller jwt:other is not among its callers"),
        (
            ["--signed", "--age", "25", "--at", "2030-12-26T23:00"],
            1,
            "frozen until 2030-12-27T00:00:00Z: holidays",
        ),
        (["--tag", "build-7"], 1, "not_allowed: No request rule of the policy serves this source"),
    ],
)
def test_a_request_is_explained(
    policy: list[str], capsys: pytest.CaptureFixture[str], more: list[str], code: int, text: str
) -> None:
    """The code that decides is the function's."""
    assert main([*policy, *REQUEST, *more]) == code

    assert text in capsys.readouterr().out


def test_a_tag_made_from_the_digest_needs_the_digest(
    policy: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the digest the exit code is 2, whether or not the request names its tags."""
    asked = [*policy, "--repository", "others/web", "--findings", answer(tmp_path)]

    for more in ([], ["--put", "v-1"]):
        assert main([*asked, *more]) == 2
        assert "rule pinned makes a tag from the digest: add --digest" in capsys.readouterr().err
    assert main([*asked, "--digest", "sha256:" + "7" * 64]) == 0
    assert "would put v-777777777777" in capsys.readouterr().out


@pytest.mark.parametrize(("at", "code"), [("2096-12-31T23:59", 0), ("2097-01-01", 1)])
def test_the_time_decides_which_findings_are_ignored(
    policy: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], at: str, code: int
) -> None:
    """The function would decide the same at that time."""
    asked = [*policy, "--repository", "others/web", "--digest", "sha256:7", "--at", at]

    assert main([*asked, "--findings", answer(tmp_path, CRITICAL)]) == code
    assert ("CVE-2026-1 in openssl" in capsys.readouterr().out) is bool(code)


@pytest.mark.parametrize(("at", "code"), [("2026-11-08T12:00", 0), ("2026-11-08T12:01", 1)])
def test_a_scan_that_is_too_old_would_refuse(
    policy: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], at: str, code: int
) -> None:
    """The end of the scan is in the file; the reason has its age."""
    asked = [*policy, "--repository", "fresh/web", "--tag", "v1", "--findings", answer(tmp_path), "--at", at]

    assert main(asked) == code
    printed = capsys.readouterr().out
    assert ("was last scanned at 2026-11-01T12:00:00Z, 7d 1m ago, and 7d are allowed" in printed) is bool(code)


def test_an_expired_exception_is_explained_for_a_time_at_which_it_was_valid(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Past promotions can still be explained; for today the policy has a mistake."""
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY.replace("2096-12-31", "2026-01-31"))
    asked = ["--policy", f"{file}", "--repository", "others/web", "--digest", "sha256:7"]
    asked += ["--findings", answer(tmp_path, CRITICAL)]

    assert main([*asked, "--at", "2026-01-31T23:59"]) == 0
    assert main(asked) == 2
    assert "2026-01-31 is over" in capsys.readouterr().err


def test_an_image_is_named_by_its_digest_or_its_source(
    policy: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The digest comes from the file of findings; a file without one leaves the source of the question."""
    failed = {"imageScanStatus": {"status": "FAILED"}}
    known, unknown = tmp_path / "known.json", tmp_path / "unknown.json"
    known.write_text(json.dumps(failed | {"imageId": {"imageDigest": "sha256:7"}}))
    unknown.write_text(json.dumps(failed))

    assert (
        main([*policy, *SCAN, "--findings", f"linux/amd64={known}", "--findings", f"linux/arm64={unknown}"]) == 1
    )
    printed = capsys.readouterr().out
    assert "linux/amd64 (sha256:7) has a scan without a result" in printed
    assert "linux/arm64 (build-7) has a scan without a result" in printed
    assert main([*policy, *SCAN]) == 1
    assert "the image (build-7) has no scan" in capsys.readouterr().out


@pytest.mark.parametrize("findings", ["nowhere.json", "x=nowhere.json"])
def test_a_findings_file_that_cannot_be_read_is_named(
    policy: list[str], capsys: pytest.CaptureFixture[str], findings: str
) -> None:
    """The exit code is 2."""
    assert main([*policy, *SCAN, "--findings", findings]) == 2

    assert "nowhere.json" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["[]", "no json", '{"imageId": "x"}', '{"imageScanStatus": "ACTIVE"}'])
def test_a_file_that_has_no_findings_is_refused(
    policy: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    """The exit code is 2, and nothing is printed to the output."""
    file = tmp_path / "findings.json"
    file.write_text(text)

    assert main([*policy, *SCAN, "--findings", f"{file}"]) == 2
    assert capsys.readouterr().out == ""
