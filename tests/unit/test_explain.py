"""`make explain`: what the policy would decide, told without AWS."""

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
freeze:
  - {from: 2030-12-24, to: 2030-12-26, reason: holidays, rules: [prod]}
"""
CRITICAL = {
    "name": "CVE-2026-1",
    "severity": "CRITICAL",
    "attributes": [{"key": "package_name", "value": "openssl"}],
}
SCAN = ["--repository", "team/web", "--tag", "build-7", "--on", "scan"]
REQUEST = ["--repository", "team/web", "--tag", "staging-7", "--caller", "github:owner/web:ref:refs/heads/main"]


@pytest.fixture
def policy(tmp_path: Path) -> list[str]:
    """The options that name the policy."""
    (tmp_path / "policy.yaml").write_text(POLICY)
    return ["--policy", f"{tmp_path / 'policy.yaml'}"]


def answer(folder: Path, *findings: Mapping[str, object]) -> str:
    """Return a file with what `aws ecr describe-image-scan-findings` prints."""
    file = folder / "findings.json"
    found = {"imageScanStatus": {"status": "COMPLETE"}, "imageScanFindings": {"findings": findings}}
    file.write_text(json.dumps(found))
    return f"{file}"


def test_a_clean_scan_would_promote(policy: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0, the rule and the tags."""
    assert main([*policy, *SCAN, "--findings", answer(tmp_path)]) == 0

    assert "rule staging serves it, whose gate it passes: would put staging-7" in capsys.readouterr().out


def test_a_finding_would_refuse(policy: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1, and the reason with platform, vulnerability and package."""
    assert main([*policy, *SCAN, "--findings", f"linux/arm64={answer(tmp_path, CRITICAL)}"]) == 1

    told = capsys.readouterr().out
    assert "gate_refused: linux/arm64: CVE-2026-1 in openssl is CRITICAL, 0 allowed" in told


@pytest.mark.parametrize(
    ("more", "code", "text"),
    [
        (["--signed", "--age", "25"], 0, "would put prod"),
        (["--signed", "--age", "23"], 1, "may be promoted from"),
        (["--age", "25"], 1, "no signature refers"),
        (["--signed", "--age", "25", "--put", "latest"], 1, "prod: may not put latest"),
        (["--signed", "--age", "25", "--caller", "jwt:other"], 1, "caller jwt:other is not among its callers"),
        (
            ["--signed", "--age", "25", "--at", "2030-12-26T23:00"],
            1,
            "frozen until 2030-12-27T00:00:00Z: holidays",
        ),
        (["--tag", "build-7"], 1, "not_allowed: no request rule of the policy serves this source"),
    ],
)
def test_a_request_is_explained(
    policy: list[str], capsys: pytest.CaptureFixture[str], more: list[str], code: int, text: str
) -> None:
    """By the same core that decides in the function."""
    assert main([*policy, *REQUEST, *more]) == code

    assert text in capsys.readouterr().out


@pytest.mark.parametrize("findings", ["nowhere.json", "x=nowhere.json"])
def test_a_findings_file_that_cannot_be_read_is_named(
    policy: list[str], capsys: pytest.CaptureFixture[str], findings: str
) -> None:
    """Exit code 2."""
    assert main([*policy, *SCAN, "--findings", findings]) == 2

    assert "nowhere.json" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["[]", "no json"])
def test_a_findings_file_that_is_no_answer_is_refused(
    policy: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    """Exit code 2, nothing on the output."""
    file = tmp_path / "findings.json"
    file.write_text(text)

    assert main([*policy, *SCAN, "--findings", f"{file}"]) == 2
    assert capsys.readouterr().out == ""
