"""promotions.yaml: what is accepted, and how a mistake reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.policy_file import PolicyError, read
from promoter.policy import load
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
    """The one model writes, promoter.policy reads: nothing is lost between them."""
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
    assert read(Path(__file__).parents[2] / "promotions.yaml").rules


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
        (('["team/*"]', "[]"), "5:5: rules[0].repositories:"),
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


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The path is the first thing in the message."""
    with pytest.raises(PolicyError, match=r"nowhere\.yaml: cannot be read"):
        read(tmp_path / "nowhere.yaml")
