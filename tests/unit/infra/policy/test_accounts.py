"""promotions.yaml and accounts: which registry a rule means, and whose scans send events."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.policy.file import PolicyError, read
from tests.support.policies import ACCOUNT

SCANS = "rules: [{name: s, on: scan, registry: '%s', repositories: [web], from: y, to: [x]}]\n"


OTHER = "999999999999"


def test_rules_of_two_registries_may_share_a_tag(tmp_path: Path) -> None:
    """They may not if the account to deploy to is the registry of the other rule."""
    file = tmp_path / "promotions.yaml"
    rule = "{name: %s, on: request, repositories: [web], to: [prod], registry: %s}"
    file.write_text(f"""rules: [{rule % ("a", f"'{ACCOUNT}'")}, {rule % ("b", "null")}]""")

    read(file)
    with pytest.raises(PolicyError, match="rule a may put 'prod' too"):
        read(file, account=ACCOUNT)


def test_the_own_account_as_registry_means_the_same_as_none(tmp_path: Path) -> None:
    """Rights, event rules and the function treat both alike."""
    file = tmp_path / "promotions.yaml"
    file.write_text(SCANS % ACCOUNT)

    assert read(file, account=ACCOUNT, deploying=True).compiled()["rules"][0]["registry"] is None


@pytest.mark.parametrize(
    ("account", "deploying", "message"),
    [
        (
            ACCOUNT,
            True,
            f"scans of account {OTHER} send no events to {ACCOUNT}, so the rule would never apply: deploy",
        ),
        (ACCOUNT, False, f"scans of account {OTHER} send no events to {ACCOUNT}"),
        (
            None,
            True,
            "might not be the account to deploy to, and scans of other accounts send no events there: leave",
        ),
    ],
)
def test_a_scan_rule_for_another_account_is_a_mistake(
    tmp_path: Path, account: str | None, message: str, *, deploying: bool
) -> None:
    """Such a rule could be deployed and would never apply."""
    file = tmp_path / "promotions.yaml"
    file.write_text(SCANS % OTHER)

    with pytest.raises(PolicyError) as caught:
        read(file, account=account, deploying=deploying)

    assert f"{file}:1:29: rules[0].registry: {message}" in str(caught.value)


def test_requests_for_another_accounts_registry_are_served(tmp_path: Path) -> None:
    """A request needs no events of the other account."""
    file = tmp_path / "promotions.yaml"
    file.write_text(SCANS.replace("scan", "request") % OTHER)

    assert read(file, account=ACCOUNT, deploying=True).rules[0].registry == OTHER
