"""The app, synthesized as an operator's `cdk synth` does it; the command line itself reads it once."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

import app
from infra.policy import check
from tests.infra.conftest import CONTEXT, JWT
from tests.support.mistakes import EVERY_MISTAKE, MISTAKES, OVER

PROJECT = Path(__file__).parents[2]


def synth(folder: Path, *, policy: str, **settings: Any) -> Path:
    """Synthesize in this process, with the settings of cdk.json or others; return the cloud assembly."""
    file = folder / "promotions.yaml"
    file.write_text(policy)
    app.main(cdk.App(context=CONTEXT | settings | {"policy": str(file)}, outdir=str(folder / "cdk.out")))
    return folder / "cdk.out"


def refusal(folder: Path, *, policy: str, **settings: Any) -> str:
    """Return what the synth says where it stops: the message of an exit, which has no traceback."""
    with pytest.raises(SystemExit) as stopped:
        synth(folder, policy=policy, **settings)
    assert isinstance(stopped.value.code, str)
    return stopped.value.code


@pytest.fixture(scope="module")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's own policy, synthesized; cdk-nag's checks are part of it."""
    return synth(tmp_path_factory.mktemp("synth"), policy=(PROJECT / "promotions.yaml").read_text())


def test_the_projects_policy_deploys_and_passes_cdk_nag(assembly: Path) -> None:
    """An unacknowledged finding would have failed the synth; the report says that the checks ran."""
    assert "AwsSolutions" in (assembly / "validation-report.json").read_text()


def test_the_template_is_what_cloudformation_takes(assembly: Path) -> None:
    """cfn-lint has nothing to say but of a DependsOn that CDK itself writes (W3005)."""
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
    """All in one synth, each with file, line and remedy, and no traceback."""
    lines = refusal(tmp_path, policy=EVERY_MISTAKE).splitlines()

    told = [line.split(": ")[:2] for line in lines if "promotions.yaml:" in line]
    assert told == [[f"{tmp_path}/promotions.yaml:{at}", place] for at, place, _ in MISTAKES if place != OVER]


def test_a_scan_rule_for_another_account_is_not_deployed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the account to deploy to is unknown, so the rule might be for another one."""
    policy = "rules: [{name: s, on: scan, registry: '999999999999', repositories: [web], from: y, to: [x]}]"

    monkeypatch.delenv("CDK_DEFAULT_ACCOUNT", raising=False)

    told = refusal(tmp_path, policy=policy)

    assert "promotions.yaml:1:29: rules[0].registry: might not be the account to deploy to" in told


def test_strangers_with_a_token_stop_the_synth(tmp_path: Path) -> None:
    """With `authorization: jwt`, callers must fix the owner of a token; without it IAM keeps strangers out."""
    policy = "rules: [{name: r, on: request, repositories: [web], to: [x], callers: ['github:*']}]"

    told = refusal(tmp_path, policy=policy, **JWT)

    assert told.startswith(
        f"{tmp_path}/promotions.yaml:1:72: rules[0].callers[0]: 'github:*' does not fix the owner"
    )
    assert synth(tmp_path, policy=policy).is_dir()


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
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """`cdk synth` warns with line and place, so that rollback and diff go on; `make policy` and CI refuse.

    The app has run in this process: the command line gets what it made.
    """
    assembly, file = synth(tmp_path, policy=EXPIRED), tmp_path / "promotions.yaml"

    done = subprocess.run(
        [PROJECT / "node_modules/.bin/cdk", "synth", "--quiet", "--app", assembly],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    expected = [
        f"{file}:10:23: rules[0].gate.ignore[0].until: 2026-01-01 is over: remove the entry",
        f"{file}:12:23: rules[0].gate.ignore[2].until: 2026-01-02 is over: remove the entry",
    ]
    warned = [line for line in done.stderr.splitlines() if "is over" in line]
    assert [text in line and "WARNING" in line for line, text in zip(warned, expected, strict=True)] == [
        True,
        True,
    ]
    assert (assembly / "EcrPromoter.template.json").is_file()

    capfd.readouterr()
    assert check.main([f"{file}"]) == 1
    refused = capfd.readouterr().err.splitlines()
    assert [line.startswith(text) for line, text in zip(refused, expected, strict=True)] == [True, True]
