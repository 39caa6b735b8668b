"""promotions.yaml: what is accepted, and how a mistake reads."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import jsonschema
import pytest

from infra.policy import check, schema
from infra.policy.document import parse
from infra.policy.file import PolicyError, read
from promoter.domain.gate import Exemption, Gate
from promoter.domain.policy import Freeze, load
from tests.support.mistakes import EVERY_MISTAKE, MISTAKES
from tests.support.policies import ACCOUNT

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
    """The one model writes, promoter.domain.policy reads: nothing is lost between them."""
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


def test_the_projects_own_policy_is_good() -> None:
    """What a stranger clones can be deployed."""
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
        ((r"\d+)$", r"\d{200})$"), "matches no tag: those have letters, digits, _ . - and at most 128"),
        ((r"\d+)$", r"\d+$"), "6:5: rules[0].from: is no regular expression"),
        (("{build}", "{number}"), "7:21: rules[0].to[1]: no group of from is named 'number'; known here: build,"),
        (('"staging",', '"-x",'), "7:10: rules[0].to[0]: '-x' makes no tag"),
        (('"staging",', '"{repository}",'), "7:10: rules[0].to[0]: {repository} may contain a slash"),
        (("<build>", "<tag>"), "6:5: rules[0].from: group tag hides the template name {tag}"),
        (("    to:", "    callers: ['arn:x']\n    to:"), "7:5: rules[0].callers: is for rules with on: request"),
        (
            ("    to:", "    to_matching: ['.*']\n    to:"),
            "7:5: rules[0].to_matching: is for rules with on: request",
        ),
        (
            ("    to:", "    registry: 123456789012\n    to:"),
            "7:5: rules[0].registry: is a number: write the account",
        ),
        (("    to:", "    registry: '12'\n    to:"), "7:5: rules[0].registry:"),
        (("on: scan", "on: request\n    callers: ['me']"), "5:15: rules[0].callers[0]: 'me' matches no caller"),
        (("    to:", "    target: {region: eu-west-1}\n    to:"), "7:5: rules[0].target: is not served yet"),
        (
            ("    to:", "    gate: {soak: 24}\n    to:"),
            "7:12: rules[0].gate.soak: 24 is no duration: write a number",
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
            "'soon' is no day: write it",
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
            "2:11: freeze[0].from: 1 is no day or time",
        ),
        (
            ("rules:", "freeze: [{from: 2026-01-01, to: 2026-01-01, reason: r, rules: [x]}]\nrules:"),
            "no rule is named x",
        ),
        (
            ("rules:", "freeze: [{from: 2026-01-01, to: 2026-01-01, reason: r, timezone: Mars}]\nrules:"),
            "freeze[0].timezone: 'Mars' is no time zone",
        ),
        (("on: scan", "on: scan\n    on: request"), "5:5: rules[0].on: stands here twice"),
        (("rules:", "rulez:"), "rules: is missing"),
        ((GOOD, ""), "1:1: rules: is missing"),
        ((GOOD, "rules: ["), "is no YAML"),
        ((GOOD, "rules: []"), "1:1: rules:"),
        ((GOOD, GOOD + GOOD.replace("rules:", "")), "10:5: rules[1].name: another rule is named staging"),
        (('["staging", "staging-{build}"]', "[]"), "7:5: rules[0].to: is missing"),
        (("on: scan", "on: request"), None),
    ],
)
def test_a_mistake_is_named_with_its_line_and_a_remedy(
    tmp_path: Path, change: tuple[str, str], message: str | None
) -> None:
    """file:line:column, the place in the document, and what to write."""
    text = GOOD.replace(*change)
    if message is None:
        (tmp_path / "promotions.yaml").write_text(text)
        read(tmp_path / "promotions.yaml")
    else:
        assert any(message in line for line in mistakes(tmp_path, text))


def test_all_mistakes_come_at_once(tmp_path: Path) -> None:
    """In the order of the file."""
    text = GOOD.replace("on: scan", "on: push").replace("name: staging", "name: S").replace("to:", "too:")

    assert [line.split(":")[0] for line in mistakes(tmp_path, text)] == ["3", "4", "7"]


def test_every_kind_of_mistake_is_told_in_one_go(tmp_path: Path) -> None:
    """With its line and column; one mistake does not hide another."""
    found = mistakes(tmp_path, EVERY_MISTAKE)

    assert [tuple(line.split(": ", 2)[:2]) for line in found] == [(at, place) for at, place, _ in MISTAKES]
    for line, (_, _, text) in zip(found, MISTAKES, strict=True):
        assert text in line


def test_an_ignored_finding_is_good_through_its_last_day(tmp_path: Path) -> None:
    """And stops the next deployment from the day after."""
    file = tmp_path / "promotions.yaml"
    file.write_text(WHOLE)

    read(file, today=date(2026, 12, 31))
    with pytest.raises(PolicyError, match=r"ignore\[0\]\.until: 2026-12-31 is over"):
        read(file, today=date(2027, 1, 1))


WHOLE = """
rules:
  - name: prod
    on: request
    repositories: [web]
    to: [prod]
    callers: ["github:owner/repo:environment:prod", "arn:aws:iam::*:user/x", "jwt:*"]
    gate:
      findings: {CRITICAL: 0, UNTRIAGED: 3}
      fixable_only: true
      min_age: 90m
      ignore: [{id: CVE-1, until: 2026-12-31, reason: why, package: openssl}]
      signed: true
      soak: 7d
freeze:
  - {from: 2026-12-24, to: 2027-01-02, reason: holidays, timezone: Europe/Berlin}
  - from: 2026-12-24T18:00:00
    to: "2026-12-24T20:00:00+01:00"
    reason: evening
    rules: [prod]
    repositories: ["w*"]
"""


def test_every_key_reaches_the_function(tmp_path: Path) -> None:
    """Durations as times, days of a freeze whole in their zone, exact times to the second."""
    file = tmp_path / "promotions.yaml"
    file.write_text(WHOLE)

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
    """A time in UTC."""
    return datetime(*moment, tzinfo=UTC)  # type: ignore[misc,arg-type]


def test_a_scan_rule_without_a_gate_still_needs_a_finished_scan(tmp_path: Path) -> None:
    """A request rule without one needs nothing."""
    file = tmp_path / "promotions.yaml"
    file.write_text(GOOD + GOOD.replace("rules:", "").replace("scan", "request").replace("staging", "other"))

    rules = load(read(file).compiled(), registry_id=ACCOUNT).rules

    assert [rule.gate for rule in rules] == [Gate(findings={}), None]


def test_rules_of_two_registries_do_not_meet(tmp_path: Path) -> None:
    """Unless the account is known to be the same."""
    file = tmp_path / "promotions.yaml"
    rule = "{name: %s, on: request, repositories: [web], to: [prod], registry: %s}"
    file.write_text(f"""rules: [{rule % ("a", f"'{ACCOUNT}'")}, {rule % ("b", "null")}]""")

    read(file)
    with pytest.raises(PolicyError, match="rule a may put 'prod' too"):
        read(file, account=ACCOUNT)


def test_the_schema_for_editors_is_the_models(tmp_path: Path) -> None:
    """docs/reference/policy.schema.json is what `make schema` writes."""
    assert (Path(__file__).parents[4] / "docs" / "reference" / "policy.schema.json").read_text() == schema.text()


@pytest.mark.parametrize(("text", "valid"), [(GOOD, True), (WHOLE, True), (GOOD.replace("to:", "too:"), False)])
def test_the_schema_takes_what_the_model_takes(tmp_path: Path, text: str, *, valid: bool) -> None:
    """An editor shows no error in a good policy, and one in a misspelt key."""
    file = tmp_path / "promotions.yaml"
    file.write_text(text)
    document = parse(file).values

    as_editors_see_it = json.loads(json.dumps(document, default=str))

    assert jsonschema.Draft202012Validator(json.loads(schema.text())).is_valid(as_editors_see_it) is valid


def test_a_good_policy_is_told_in_short(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each rule with what it puts, who may ask and what is demanded, and the freezes, in the file's own words."""
    file = tmp_path / "promotions.yaml"
    file.write_text(WHOLE.replace("2026-", "2096-").replace("2027-", "2097-"))

    assert check.main([f"{file}"]) == 0

    rule, *freezes, end = capsys.readouterr().out.splitlines()
    before, gate = rule.split(", gate ")
    assert before == (
        "prod: on request, web from any source to prod, "
        "callers github:owner/repo:environment:prod, arn:aws:iam::*:user/x, jwt:*"
    )
    assert gate == (
        "{findings: {CRITICAL: 0, UNTRIAGED: 3}, fixable_only: true, min_age: 90m, "
        "ignore: [{id: CVE-1, until: '2096-12-31', reason: why, package: openssl}], signed: true, soak: 7d}"
    )
    assert freezes == [
        "freeze {from: '2096-12-24', to: '2097-01-02', reason: holidays, timezone: Europe/Berlin}",
        f"freeze {{from: '2096-12-24T18:00:00', to: '2096-12-24T20:00:00+01:00', {EVENING}}}",
    ]
    assert end == f"{file}: 1 rules, 2 freezes, no mistakes"


EVENING = "reason: evening, rules: [prod], repositories: [w*]"


def test_the_projects_own_policy_is_checked_where_none_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As `make policy` does; what is more than one file is a question of how to use it."""
    monkeypatch.chdir(Path(__file__).parents[4])

    assert check.main([]) == 0
    assert "promotions.yaml: 3 rules, 0 freezes, no mistakes" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        check.main(["one", "two"])


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The path is the first thing in the message."""
    with pytest.raises(PolicyError, match=r"nowhere\.yaml: cannot be read"):
        read(tmp_path / "nowhere.yaml")


SCANS = "rules: [{name: s, on: scan, registry: '%s', repositories: [web], from: y, to: [x]}]\n"
OTHER = "999999999999"


def test_the_own_account_written_out_is_as_good_as_left_out(tmp_path: Path) -> None:
    """So that rights, event rules and the function itself agree on it."""
    file = tmp_path / "promotions.yaml"
    file.write_text(SCANS % ACCOUNT)

    assert read(file, account=ACCOUNT, deploying=True).compiled()["rules"][0]["registry"] is None


@pytest.mark.parametrize(
    ("account", "deploying", "message"),
    [
        (
            ACCOUNT,
            True,
            f"scans of account {OTHER} send no events to {ACCOUNT}, so the rule would never fire: deploy",
        ),
        (ACCOUNT, False, f"scans of account {OTHER} send no events to {ACCOUNT}"),
        (
            None,
            True,
            "may not be the account to deploy to, and scans of other accounts send no events there: leave",
        ),
    ],
)
def test_a_scan_rule_for_another_account_is_a_mistake(
    tmp_path: Path, account: str | None, message: str, *, deploying: bool
) -> None:
    """It would deploy, and never fire."""
    file = tmp_path / "promotions.yaml"
    file.write_text(SCANS % OTHER)

    with pytest.raises(PolicyError) as caught:
        read(file, account=account, deploying=deploying)

    assert f"{file}:1:29: rules[0].registry: {message}" in str(caught.value)


def test_requests_for_another_accounts_registry_are_served(tmp_path: Path) -> None:
    """A caller comes by itself; nothing has to be forwarded."""
    file = tmp_path / "promotions.yaml"
    file.write_text(SCANS.replace("scan", "request") % OTHER)

    assert read(file, account=ACCOUNT, deploying=True).rules[0].registry == OTHER


def test_which_account_is_meant_is_told_where_nobody_knows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`make policy` runs without AWS: it says on which account the rule depends."""
    file = tmp_path / "promotions.yaml"
    file.write_text(SCANS % OTHER)

    assert check.main([f"{file}"]) == 0
    assert f"deploys to account {OTHER} only" in capsys.readouterr().out


def test_a_glob_that_is_too_complex_for_an_event_rule_is_a_mistake_of_scan_rules(tmp_path: Path) -> None:
    """A request rule listens to no events."""
    rule = "{name: r, on: %s, repositories: ['*q*q*q*q*q*q'], from: y, to: [x]}"

    (line,) = mistakes(tmp_path, f"rules: [{rule % 'scan'}]")

    assert line.startswith(
        "1:44: rules[0].repositories[0]: '*q*q*q*q*q*q' is too complex for EventBridge: use fewer *"
    )
    (tmp_path / "promotions.yaml").write_text(f"rules: [{rule % 'request'}]")
    read(tmp_path / "promotions.yaml")


def test_an_exception_that_is_over_is_a_warning_for_a_deployment(tmp_path: Path) -> None:
    """With line and place; other mistakes stay mistakes, and the function is told of the day as it was written."""
    file = tmp_path / "promotions.yaml"
    file.write_text(WHOLE)

    policy = read(file, today=date(2027, 1, 1), deploying=True)

    (warning,) = policy.warnings
    assert warning.startswith(
        f"{file}:12:28: rules[0].gate.ignore[0].until: 2026-12-31 is over: take the entry out"
    )
    assert policy.compiled()["rules"][0]["gate"]["ignore"][0]["until"] == "2026-12-31"
    file.write_text(WHOLE.replace("soak: 7d", "soak: 7"))
    with pytest.raises(PolicyError, match=r"gate\.soak: 7 is no duration"):
        read(file, today=date(2027, 1, 1), deploying=True)
