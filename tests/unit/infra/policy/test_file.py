"""promotions.yaml: what is accepted, and what the messages about mistakes say."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import jsonschema
import pytest

from infra.policy import schema
from infra.policy.document import parse
from infra.policy.file import PolicyError, read
from promoter.domain.gate import Exemption, Gate
from promoter.domain.policy import Freeze, load
from tests.support.mistakes import EVERY_MISTAKE, MISTAKES
from tests.support.policies import ACCOUNT, EVERY_KEY

GOOD = r"""
rules:
  - name: staging
    on: scan
    repositories: ["team/*"]
    from: '^build-(?P<build>\d+)$'
    to: ["staging", "staging-{build}"]
"""


def mistakes(folder: Path, text: str) -> list[str]:
    """Return the messages for this policy, without the file's name."""
    file = folder / "promotions.yaml"
    file.write_text(text)
    with pytest.raises(PolicyError) as caught:
        read(file)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{file}:") for line in lines)
    return [line.removeprefix(f"{file}:") for line in lines]


def test_what_is_compiled_is_what_the_function_loads(tmp_path: Path) -> None:
    """The model writes JSON and promoter.domain.policy reads it; nothing is lost between them."""
    file = tmp_path / "promotions.yaml"
    file.write_text(GOOD)

    policy = load(read(file).compiled(), registry_id=ACCOUNT)

    (rule,) = policy.rules
    assert (rule.name, rule.trigger, rule.repositories, rule.to) == (
        "staging",
        "scan",
        ("team/*",),
        ("staging", "staging-{build}"),
    )
    assert rule.source_tag is not None
    assert rule.source_tag.pattern == r"^build-(?P<build>\d+)$"
    assert (rule.registry_id, rule.callers, rule.to_matching) == (None, None, ())


def test_the_projects_own_policy_has_no_mistakes() -> None:
    """A fresh clone can be deployed."""
    assert read(Path(__file__).parents[4] / "promotions.yaml").rules


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("to:", "too:"), "7:5: rules[0].too: is not a key"),
        (("name: staging", "name: My Rule"), "3:5: rules[0].name:"),
        (("on: scan", "on: push"), "4:5: rules[0].on: input should be 'scan' or 'request', got 'push'"),
        (
            ('["team/*"]', '["team/*", "Team/x"]'),
            "5:30: rules[0].repositories[1]: 'Team/x' matches no ECR repository",
        ),
        (('["team/*"]', '["team//*"]'), "5:20: rules[0].repositories[0]: 'team//*' matches no ECR repository"),
        (('["team/*"]', "[]"), "5:5: rules[0].repositories:"),
        (("^build-", "^build/"), "6:5: rules[0].from: '^build/"),
        ((r"\d+)$", r"\d{200})$"), "matches no tag: a tag has letters, digits, _ . - and at most 128"),
        ((r"\d+)$", r"\d+$"), "6:5: rules[0].from: is not a regular expression"),
        (("{build}", "{number}"), "7:21: rules[0].to[1]: no group of from is named 'number': write one of build,"),
        (('"staging",', '"-x",'), "7:10: rules[0].to[0]: '-x' makes no tag"),
        (('"staging",', '"{repository}",'), "7:10: rules[0].to[0]: {repository} may contain a slash"),
        (("<build>", "<tag>"), "6:5: rules[0].from: group tag hides the built-in name {tag}: rename"),
        (
            ("    to:", "    callers: ['arn:x']\n    to:"),
            "7:5: rules[0].callers: is only for rules with on: request",
        ),
        (
            ("    to:", "    to_matching: ['.*']\n    to:"),
            "7:5: rules[0].to_matching: is only for rules with on: request",
        ),
        (
            ("    to:", "    registry: 123456789012\n    to:"),
            "7:5: rules[0].registry: is a number: write the account",
        ),
        (("    to:", "    registry: '12'\n    to:"), "7:5: rules[0].registry:"),
        (("on: scan", "on: request\n    callers: ['me']"), "5:15: rules[0].callers[0]: 'me' matches no caller"),
        (("    to:", "    target: {region: eu-west-1}\n    to:"), "7:5: rules[0].target: is not supported yet"),
        (
            ("    to:", "    gate: {soak: 24}\n    to:"),
            "7:12: rules[0].gate.soak: 24 is not a duration: write a number",
        ),
        (
            ("    to:", "    gate: {findings: {BAD: 0}}\n    to:"),
            "7:23: rules[0].gate.findings.BAD: input should be",
        ),
        (
            ("    to:", "    gate: {findings: {LOW: -1}}\n    to:"),
            "7:23: rules[0].gate.findings.LOW: input should be",
        ),
        (
            ("    to:", "    gate: {ignore: [{id: C, until: soon, reason: r}]}\n    to:"),
            "'soon' is not a day: write it",
        ),
        (("    to:", "    gate: {ignore: [{id: C, until: 2099-01-01}]}\n    to:"), "ignore[0].reason: is missing"),
        (
            ("on: scan", "on: request\n    gate: {fixable_only: true}"),
            "5:12: rules[0].gate.fixable_only: has no effect",
        ),
        (
            ("    to:", "    gate: {min_age: 1d}\n    to:"),
            "7:12: rules[0].gate.min_age: has no effect without limits in findings",
        ),
        (
            ("    to:", "    gate: {findings: {}, ignore: [{id: C, until: 2099-01-01, reason: r}]}\n    to:"),
            "7:26: rules[0].gate.ignore: has no effect without limits in findings",
        ),
        (
            ("rules:", "freeze: [{from: 2026-01-02, to: 2026-01-01, reason: r}]\nrules:"),
            "2:29: freeze[0].to: 2026-01-01 is",
        ),
        (
            ("rules:", "freeze: [{from: 1, to: 2026-01-01, reason: r}]\nrules:"),
            "2:11: freeze[0].from: 1 is not a day or time",
        ),
        (
            ("rules:", "freeze: [{from: 2026-01-01, to: 2026-01-01, reason: r, rules: [x]}]\nrules:"),
            "no rule is named x",
        ),
        (
            ("rules:", "freeze: [{from: 2026-01-01, to: 2026-01-01, reason: r, timezone: Mars}]\nrules:"),
            "freeze[0].timezone: 'Mars' is not a time zone",
        ),
        (("on: scan", "on: scan\n    on: request"), "5:5: rules[0].on: is written twice"),
        (("rules:", "rulez:"), "rules: is missing"),
        ((GOOD, ""), "1:1: rules: is missing"),
        ((GOOD, "rules: ["), "is not YAML"),
        ((GOOD, "rules: []"), "1:1: rules:"),
        ((GOOD, GOOD + GOOD.replace("rules:", "")), "10:5: rules[1].name: another rule is named staging"),
        (('["staging", "staging-{build}"]', "[]"), "7:5: rules[0].to: is missing"),
        (("on: scan", "on: request"), None),
    ],
)
def test_a_mistake_is_named_with_its_line_and_a_remedy(
    tmp_path: Path, change: tuple[str, str], message: str | None
) -> None:
    """The message has file, line and column, the place in the document, and what to write."""
    text = GOOD.replace(*change)
    if message is None:
        (tmp_path / "promotions.yaml").write_text(text)
        read(tmp_path / "promotions.yaml")
    else:
        assert any(message in line for line in mistakes(tmp_path, text))


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    """The messages have the order of the file."""
    text = GOOD.replace("on: scan", "on: push").replace("name: staging", "name: S").replace("to:", "too:")

    assert [line.split(":")[0] for line in mistakes(tmp_path, text)] == ["3", "4", "7"]


def test_every_kind_of_mistake_is_reported_in_one_run(tmp_path: Path) -> None:
    """Each has its line and column, and none hides another."""
    found = mistakes(tmp_path, EVERY_MISTAKE)

    assert [tuple(line.split(": ", 2)[:2]) for line in found] == [(at, place) for at, place, _ in MISTAKES]
    for line, (_, _, text) in zip(found, MISTAKES, strict=True):
        assert text in line


def test_a_finding_is_ignored_through_its_last_day(tmp_path: Path) -> None:
    """From the next day on `make policy` refuses the exception."""
    file = tmp_path / "promotions.yaml"
    file.write_text(EVERY_KEY)

    read(file, today=date(2026, 12, 31))
    with pytest.raises(PolicyError, match=r"ignore\[0\]\.until: 2026-12-31 is over"):
        read(file, today=date(2027, 1, 1))


def test_every_key_reaches_the_function(tmp_path: Path) -> None:
    """Durations become times, days of a freeze are whole days of their zone, and exact times keep the second."""
    file = tmp_path / "promotions.yaml"
    file.write_text(EVERY_KEY)

    policy = load(read(file, today=date(2026, 11, 23)).compiled(), registry_id=ACCOUNT)

    assert policy.rules[0].gate == Gate(
        findings={"CRITICAL": 0, "UNTRIAGED": 3},
        fixable_only=True,
        min_age=timedelta(minutes=90),
        ignore=(Exemption("CVE-1", date(2026, 12, 31), "why", "openssl"),),
        signed=True,
        soak=timedelta(days=7),
    )
    assert policy.freezes == (
        Freeze(utc(2026, 12, 23, 23), utc(2027, 1, 2, 23), "holidays", None, None),
        Freeze(utc(2026, 12, 24, 18), utc(2026, 12, 24, 19), "evening", ("prod",), ("w*",)),
    )


def utc(*moment: int) -> datetime:
    """Return a time in UTC."""
    return datetime(*moment, tzinfo=UTC)  # type: ignore[misc,arg-type]


def test_a_scan_rule_without_a_gate_still_needs_a_finished_scan(tmp_path: Path) -> None:
    """A request rule without a gate needs no scan."""
    file = tmp_path / "promotions.yaml"
    file.write_text(GOOD + GOOD.replace("rules:", "").replace("scan", "request").replace("staging", "other"))

    rules = load(read(file).compiled(), registry_id=ACCOUNT).rules

    assert [rule.gate for rule in rules] == [Gate(findings={}), None]


def test_the_schema_for_editors_is_the_models(tmp_path: Path) -> None:
    """docs/reference/policy.schema.json is what `make schema` writes."""
    assert (Path(__file__).parents[4] / "docs" / "reference" / "policy.schema.json").read_text() == schema.text()


@pytest.mark.parametrize(
    ("text", "valid"), [(GOOD, True), (EVERY_KEY, True), (GOOD.replace("to:", "too:"), False)]
)
def test_the_schema_accepts_what_the_model_accepts(tmp_path: Path, text: str, *, valid: bool) -> None:
    """An editor shows no error in a correct policy, and an error for a misspelt key."""
    file = tmp_path / "promotions.yaml"
    file.write_text(text)
    document = parse(file).values

    as_editors_see_it = json.loads(json.dumps(document, default=str))

    assert jsonschema.Draft202012Validator(json.loads(schema.text())).is_valid(as_editors_see_it) is valid


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The message begins with the path."""
    with pytest.raises(PolicyError, match=r"nowhere\.yaml: cannot be read"):
        read(tmp_path / "nowhere.yaml")


def test_a_glob_that_is_too_complex_for_eventbridge_is_a_mistake_in_a_scan_rule(tmp_path: Path) -> None:
    """A request rule needs no event pattern and may have the glob."""
    rule = "{name: r, on: %s, repositories: ['*q*q*q*q*q*q'], from: y, to: [x]}"

    (line,) = mistakes(tmp_path, f"rules: [{rule % 'scan'}]")

    assert line.startswith(
        "1:44: rules[0].repositories[0]: '*q*q*q*q*q*q' is too complex for EventBridge: use fewer *"
    )
    (tmp_path / "promotions.yaml").write_text(f"rules: [{rule % 'request'}]")
    read(tmp_path / "promotions.yaml")


def test_an_expired_exception_is_a_warning_in_a_deployment(tmp_path: Path) -> None:
    """The warning has line and place. Other mistakes stay mistakes, and the function gets the day as written."""
    file = tmp_path / "promotions.yaml"
    file.write_text(EVERY_KEY)

    policy = read(file, today=date(2027, 1, 1), deploying=True)

    (warning,) = policy.warnings
    assert warning.startswith(f"{file}:12:28: rules[0].gate.ignore[0].until: 2026-12-31 is over: remove the entry")
    assert policy.compiled()["rules"][0]["gate"]["ignore"][0]["until"] == "2026-12-31"
    file.write_text(EVERY_KEY.replace("soak: 7d", "soak: 7"))
    with pytest.raises(PolicyError, match=r"gate\.soak: 7 is not a duration"):
        read(file, today=date(2027, 1, 1), deploying=True)
