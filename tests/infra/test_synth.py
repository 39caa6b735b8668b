"""`cdk synth` as an operator runs it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra.policy import check
from tests.support.mistakes import EVERY_MISTAKE, MISTAKES, OVER

PROJECT = Path(__file__).parents[2]


def synth(folder: Path, *, policy: str) -> subprocess.CompletedProcess[str]:
    """Run the real CDK command line with its output in `folder`."""
    file = folder / "promotions.yaml"
    file.write_text(policy)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        [
            PROJECT / "node_modules/.bin/cdk",
            "synth",
            "--quiet",
            "--output",
            folder / "cdk.out",
            "-c",
            f"policy={file}",
        ],
        cwd=PROJECT,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The assembly of the project's own policy; the synth includes cdk-nag's checks."""
    folder = tmp_path_factory.mktemp("synth")
    done = synth(folder, policy=(PROJECT / "promotions.yaml").read_text())
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "cdk.out"


def test_the_projects_policy_deploys_and_passes_cdk_nag(assembly: Path) -> None:
    """An unacknowledged finding would fail the synth, and the report shows that the checks ran."""
    assert "AwsSolutions" in (assembly / "validation-report.json").read_text()


def test_cloudformation_accepts_the_template(assembly: Path) -> None:
    """cfn-lint reports nothing, apart from a DependsOn that CDK itself writes (W3005)."""
    lint = shutil.which("cfn-lint", path=str(Path(sys.executable).parent))
    assert lint

    done = subprocess.run(
        [lint, "--ignore-checks", "W3005", "--", assembly / "EcrPromoter.template.json"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout


def test_every_mistake_in_the_policy_stops_the_synth_with_its_line(tmp_path: Path) -> None:
    """One synth reports all mistakes, each with file, line and remedy, and without a traceback."""
    done = synth(tmp_path, policy=EVERY_MISTAKE)

    assert done.returncode != 0
    assert "Traceback" not in done.stdout + done.stderr
    reported = [line.split(": ")[:2] for line in done.stderr.splitlines() if "promotions.yaml:" in line]
    assert reported == [[f"{tmp_path}/promotions.yaml:{at}", place] for at, place, _ in MISTAKES if place != OVER]


EXPIRED = """
rules:
  - name: prod
    on: request
    repositories: [web]
    to: [prod]
    gate:
      findings: {HIGH: 0}
      ignore:
        - {id: CVE-1, until: 2026-01-01, reason: "r"}
        - {id: CVE-2, until: 2099-01-01, reason: "r"}
        - {id: CVE-3, until: 2026-01-02, reason: "r"}
"""


def test_an_expired_exception_does_not_stop_a_deployment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Synth only warns, so that rollback, diff and destroy still work; `make policy` and CI refuse the policy."""
    done = synth(tmp_path, policy=EXPIRED)

    assert done.returncode == 0, done.stderr
    file = tmp_path / "promotions.yaml"
    expected = [
        f"{file}:10:23: rules[0].gate.ignore[0].until: 2026-01-01 is over: remove the entry",
        f"{file}:12:23: rules[0].gate.ignore[2].until: 2026-01-02 is over: remove the entry",
    ]
    warned = [line for line in done.stderr.splitlines() if "is over" in line]
    assert [text in line and "WARNING" in line for line, text in zip(warned, expected, strict=True)] == [
        True,
        True,
    ]
    assert (tmp_path / "cdk.out" / "EcrPromoter.template.json").is_file()

    assert check.main([f"{file}"]) == 1
    refused = capsys.readouterr().err.splitlines()
    assert [line.startswith(text) for line, text in zip(refused, expected, strict=True)] == [True, True]


def test_a_scan_rule_for_another_account_is_not_deployed(tmp_path: Path) -> None:
    """Here the account to deploy to is unknown, so the rule might be for another one."""
    policy = "rules: [{name: s, on: scan, registry: '999999999999', repositories: [web], from: y, to: [x]}]"

    done = synth(tmp_path, policy=policy)

    assert done.returncode != 0
    assert "promotions.yaml:1:29: rules[0].registry: might not be the account to deploy to" in done.stderr
    assert "Traceback" not in done.stderr
