"""The gate in promotions.yaml: required signatures, and the age of scans."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import jsonschema
import pytest
import yaml

from infra.policy import check, schema
from infra.policy.file import PolicyError, read
from promoter.domain.gate import Gate
from promoter.domain.policy import load
from tests.support.policies import ACCOUNT

PROFILE = "arn:aws:signer:us-east-1:123456789012:/signing-profiles/release_1"
RULE = """
rules:
  - name: prod
    on: request
    repositories: [web]
    to: [prod]
    gate: %s
"""


def policy(folder: Path, gate: str) -> Path:
    """Write a policy of one rule with this gate."""
    file = folder / "promotions.yaml"
    file.write_text(RULE % gate)
    return file


@pytest.mark.parametrize(
    ("written", "gate"),
    [
        ("{signed: true}", Gate(signed=True)),
        ("{signed: false}", Gate()),
        ("{findings: {}, max_scan_age: 7d}", Gate({}, max_scan_age=timedelta(days=7))),
        (f'{{signed: {{profiles: ["{PROFILE}"]}}}}', Gate(signed=True, signing_profiles=(PROFILE,))),
        (
            '{signed: {profiles: ["arn:aws-cn:signer:cn-north-1:123456789012:/signing-profiles/ab"]}}',
            Gate(
                signed=True,
                signing_profiles=("arn:aws-cn:signer:cn-north-1:123456789012:/signing-profiles/ab",),
            ),
        ),
    ],
)
def test_the_function_gets_the_gate_as_it_is_written(tmp_path: Path, written: str, gate: Gate) -> None:
    """Neither `make policy` nor an editor objects to it."""
    file = policy(tmp_path, written)

    (rule,) = load(read(file).compiled(), registry_id=ACCOUNT).rules

    assert rule.gate == gate
    assert jsonschema.Draft202012Validator(json.loads(schema.text())).is_valid(as_yaml_1_2(file))


def as_yaml_1_2(file: Path) -> object:
    """Return the document as editors read it, where `on` is a word."""
    return yaml.safe_load(file.read_text().replace(" on:", ' "on":'))


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("{max_scan_age: 7d}", "7:12: rules[0].gate.max_scan_age: has no effect without findings: add findings"),
        ("{findings: {}, max_scan_age: 0h}", "7:26: rules[0].gate.max_scan_age: 0s refuses every scan"),
        ("{findings: {}, max_scan_age: 7}", "7:26: rules[0].gate.max_scan_age: 7 is "),
        ("{signed: yes}", "7:12: rules[0].gate.signed: is not true, false or {profiles:"),
        ("{signed: 1}", "7:12: rules[0].gate.signed: is not true, false or {profiles:"),
        ("{signed: {}}", "7:12: rules[0].gate.signed: is not true, false or {profiles:"),
        ("{signed: [x]}", "7:12: rules[0].gate.signed: is not true, false or {profiles:"),
        ("{signed: {profile: [x]}}", "7:21: rules[0].gate.signed.profile: is not a key"),
        ("{signed: {profiles: []}}", "7:21: rules[0].gate.signed.profiles: "),
        (
            "{signed: {profiles: [x]}}",
            "7:32: rules[0].gate.signed.profiles[0]: 'x' is not the ARN of a signing profile",
        ),
        (f'{{signed: {{profiles: ["{PROFILE}/Ab3dE6gH9j"]}}}}', f"profiles[0]: names a version: write {PROFILE},"),
        (f'{{signed: {{profiles: ["{PROFILE}{"x" * 200}"]}}}}', "is not the ARN of a signing profile"),
    ],
)
def test_a_mistake_says_what_to_write(tmp_path: Path, written: str, message: str) -> None:
    """The message has line, column and place."""
    file = policy(tmp_path, written)

    with pytest.raises(PolicyError) as caught:
        read(file)
    assert any(message in line for line in str(caught.value).splitlines())


@pytest.mark.parametrize(
    "written",
    ["{signed: true}", "{findings: {}, max_scan_age: 36h}", f"{{signed: {{profiles: ['{PROFILE}']}}}}"],
)
def test_a_gate_is_summarised_as_it_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], written: str
) -> None:
    """`make policy` prints the gate in the words of the file."""
    assert check.main([f"{policy(tmp_path, written)}"]) == 0

    assert f"gate {written}" in capsys.readouterr().out
