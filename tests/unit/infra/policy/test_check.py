"""`make policy`: checks a policy and prints a summary."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.policy import check
from tests.support.policies import EVERY_KEY

OTHER = "999999999999"


def test_a_policy_without_mistakes_is_summarised(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each rule is a line with its tags, callers and gate, and each freeze is a line, in the words of the file."""
    file = tmp_path / "promotions.yaml"
    file.write_text(EVERY_KEY.replace("2026-", "2096-").replace("2027-", "2097-"))

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
    assert end == f"{file}: 1 rule, 2 freezes, no mistakes"


EVENING = "reason: evening, rules: [prod], repositories: [w*]"


def test_the_projects_own_policy_is_checked_by_default(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`make policy` names no file; more than one file is a usage error."""
    monkeypatch.chdir(Path(__file__).parents[4])

    assert check.main([]) == 0
    assert "promotions.yaml: 4 rules, 0 freezes, no mistakes" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        check.main(["one", "two"])


def test_a_check_without_aws_says_which_account_a_rule_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`make policy` does not know the account to deploy to."""
    file = tmp_path / "promotions.yaml"
    file.write_text(
        f"rules: [{{name: s, on: scan, registry: '{OTHER}', repositories: [web], from: y, to: [x]}}]\n"
    )

    assert check.main([f"{file}"]) == 0
    assert f"deploys to account {OTHER} only" in capsys.readouterr().out
