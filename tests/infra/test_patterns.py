"""The events that the EventBridge rules match, by the matching of the local AWS."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from ministack.services import eventbridge

from infra.policy import file as policy_file
from infra.policy.complexity import SAFE, complexity
from infra.policy.file import PolicyError
from infra.scan_rules import listened
from infra.settings import Settings
from infra.stack import PromoterStack
from tests.infra.conftest import ACCOUNT, CONTEXT, REGION, Synthesize, Template, flat, resources


def is_matched(template: Template, event: dict[str, Any]) -> bool:
    """Say whether the pattern of any rule matches the event."""
    return any(is_matched_by(rule, event) for rule in listening(template))


def is_matched_by(rule: dict[str, Any], event: dict[str, Any]) -> bool:
    """Say whether the pattern of a rule matches the event."""
    asked = {"EventPattern": _resolved(rule["EventPattern"]), "Event": json.dumps(event)}
    return bool(eventbridge._test_event_pattern(asked)[2] == b'{"Result": true}')


def listening(template: Template) -> list[dict[str, Any]]:
    """Return the rules with an event pattern; the rule of reconcile has a schedule."""
    return [rule for rule in resources(template, "AWS::Events::Rule") if "EventPattern" in rule]


def _resolved(pattern: Any) -> str:
    def plain(node: Any) -> Any:
        if isinstance(node, dict) and "Fn::Join" in node:
            return flat(node).replace("<AWS::Partition>", "aws")
        if isinstance(node, dict):
            return {key: plain(value) for key, value in node.items()}
        return [plain(item) for item in node] if isinstance(node, list) else node

    return json.dumps(plain(pattern))


def push(repository: str, **detail: Any) -> dict[str, Any]:
    """Return a push by tag as ECR sends it."""
    return scan("basic", repository) | {
        "detail-type": "ECR Image Action",
        "detail": {
            "action-type": "PUSH",
            "result": "SUCCESS",
            "repository-name": repository,
            "image-digest": "sha256:" + "0" * 64,
            "image-tag": "build-1",
        }
        | detail,
    }


def scan(kind: str, repository: str, *, account: str = ACCOUNT, detail: Any = None) -> dict[str, Any]:
    """Return a finished scan as AWS sends it: `kind` is basic or enhanced."""
    basic = kind == "basic"
    arn = f"arn:aws:ecr:{REGION}:{account}:repository/{repository}"
    return {
        "id": "e",
        "version": "0",
        "time": "2026-11-23T10:00:00Z",
        "account": account,
        "region": REGION,
        "resources": [arn],
        "source": "aws.ecr" if basic else "aws.inspector2",
        "detail-type": "ECR Image Scan" if basic else "Inspector2 Scan",
        "detail": {
            "scan-status": "COMPLETE" if basic else "INITIAL_SCAN_COMPLETE",
            "repository-name": repository if basic else arn,
            "image-digest": "sha256:" + "0" * 64,
            "image-tags": [],
        }
        | (detail or {}),
    }


@pytest.mark.parametrize("kind", ["basic", "enhanced"])
@pytest.mark.parametrize(
    ("repository", "account", "matched"),
    [
        ("team/web", ACCOUNT, True),
        ("team/sub/web", ACCOUNT, True),
        ("solo", ACCOUNT, True),
        ("mirror/web", ACCOUNT, True),  # its rule names this account
        ("mirror/web", "999999999999", False),
        ("far/web", "999999999999", False),  # only a request rule names it
        ("team/web", "999999999999", False),
        ("solo2", ACCOUNT, False),
        ("apps/x-api", ACCOUNT, False),  # only a request rule names it
        ("others/web", ACCOUNT, False),
    ],
)
def test_finished_scans_of_the_policys_repositories_are_matched(
    template: Template, kind: str, repository: str, account: str, *, matched: bool
) -> None:
    """Repository and registry decide, for both scanners; scans of other repositories never start the function."""
    assert is_matched(template, scan(kind, repository, account=account)) is matched


@pytest.mark.parametrize(
    "event",
    [
        scan("basic", "team/web", detail={"scan-status": "FAILED"}),
        push("apps/x-api"),
        push("team/web", **{"image-tag": ""}),
        push("team/web", result="FAILURE"),
        push("team/web", **{"action-type": "DELETE"}),
        scan("enhanced", "team/web") | {"detail-type": "Inspector2 Finding"},
        scan("enhanced", "team/web", detail={"repository-name": None, "instance-id": "i-1"}),
        scan("basic", "team/web") | {"source": "my.own"},
    ],
)
def test_other_events_are_not_matched(template: Template, event: dict[str, Any]) -> None:
    """They are failed scans, findings, EC2 scans, pushes without a tag, deletions and events of other sources."""
    assert not is_matched(template, event)


def test_pushes_by_tag_are_matched(template: Template) -> None:
    """A tag or an index may be pushed after the scan."""
    assert is_matched(template, push("team/web"))


@pytest.fixture(scope="module")
def waited(synthesize: Synthesize) -> Template:
    """A stack whose requests wait for scans and signatures."""
    return synthesize(WAITED)


WAITED = """
rules:
  - {name: scans, on: scan, repositories: ["team/*"], from: 'build-.*', to: [staging]}
  - {name: scanned, on: request, repositories: ["apps/*"], to: [prod], gate: {findings: {CRITICAL: 0}}}
  - {name: signed, on: request, repositories: ["team/signed/*", "signed"], to: [prod], gate: {signed: true}}
  - name: managed
    on: request
    repositories: ["managed"]
    to: [prod]
    gate: {signed: {profiles: ["arn:aws:signer:eu-central-1:123456789012:/signing-profiles/release"]}}
  - {name: soaked, on: request, repositories: ["soaked"], to: [prod], gate: {soak: 1h}}
  - {name: free, on: request, repositories: ["free"], to: [prod]}
  - {name: seen, on: scan, repositories: ["both"], from: 'v.*', to: [seen], gate: {signed: true}}
  - {name: far, on: request, registry: "999999999999", repositories: ["far"], to: [prod], gate: {signed: true}}
"""
SIGNATURE = f"sha256-{'0' * 64}.sig"


def referrer(repository: str, **detail: Any) -> dict[str, Any]:
    """Return a push of a referrer; AWS publishes a sample of another action, with the same members."""
    event = push(repository, **{"image-tag": "", "artifact-media-type": "application/vnd.cncf.notary.signature"})
    return event | {"detail-type": "ECR Referrer Action", "detail": event["detail"] | detail}


@pytest.mark.parametrize(
    ("repository", "kinds"),
    [
        ("team/web", {"scan", "push", "tag of a signature"}),
        ("apps/x", {"scan"}),
        ("team/signed/x", {"scan", "push", "tag of a signature", "referrer"}),
        ("signed", {"tag of a signature", "referrer"}),
        ("managed", {"referrer"}),
        ("soaked", set()),
        ("free", set()),
        ("both", {"scan", "push", "tag of a signature", "referrer"}),
        ("far", set()),
    ],
)
def test_a_promotion_is_woken_by_the_events_that_its_gate_waits_for(
    waited: Template, repository: str, kinds: set[str]
) -> None:
    """Scans for findings, signatures for `signed`, and no other events."""
    events = {
        "scan": scan("basic", repository),
        "push": push(repository),
        "tag of a signature": push(repository, **{"image-tag": SIGNATURE}),
        "referrer": referrer(repository),
    }

    assert {kind for kind, event in events.items() if is_matched(waited, event)} == kinds
    assert is_matched(waited, scan("enhanced", repository)) is ("scan" in kinds)


@pytest.mark.parametrize(
    "event",
    [
        push("signed", **{"image-tag": f"sha256-{'0' * 64}.att"}),
        push("signed", **{"image-tag": "web.sig"}),
        push("signed", **{"image-tag": SIGNATURE, "action-type": "DELETE"}),
        referrer("signed", **{"action-type": "DELETE"}),
        referrer("signed", **{"action-type": "UPDATE_STORAGE_CLASS", "target-storage-class": "ARCHIVE"}),
        referrer("signed", result="FAILURE"),
    ],
    ids=["attestation", "another tag", "deleted tag", "deleted referrer", "archived referrer", "failed push"],
)
def test_only_pushes_of_signatures_wake_what_waits_for_one(waited: Template, event: dict[str, Any]) -> None:
    """Attestations have tags of their own, and what is deleted or archived signs nothing."""
    assert not is_matched(waited, event)


def test_no_event_comes_twice_because_two_rules_have_its_repository(waited: Template) -> None:
    """A repository that another glob has too is not named again."""
    for event in (push("team/signed/x", **{"image-tag": SIGNATURE}), scan("basic", "team/signed/x")):
        assert sum(is_matched_by(rule, event) for rule in listening(waited)) == 1


def test_a_request_rule_with_a_glob_that_is_too_complex_is_woken_by_wider_events(synthesize: Synthesize) -> None:
    """EventBridge would refuse the pattern, and the policy was valid before promotions could wait."""
    glob = "apps/*q*q*q*q*q*q"
    template = synthesize(
        json.dumps(
            {
                "rules": [
                    {"name": "r", "on": "request", "repositories": [glob], "to": ["x"], "gate": {"findings": {}}}
                ]
            }
        )
    )

    assert is_matched(template, scan("basic", "apps/qqqqqq"))
    for rule in listening(template):
        assert [json.loads(_resolved(name)) for name in rule["EventPattern"]["detail"]["repository-name"]] in (
            [{"prefix": "apps/"}],
            [{"prefix": f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/apps/"}],
        )


def test_a_policy_with_many_repositories_fits_into_event_patterns(synthesize: Synthesize) -> None:
    """No pattern exceeds EventBridge's 2,048 characters, and each repository is in one."""
    names = [f"a-team-with-a-name/a-service-with-a-name-{number}" for number in range(60)]
    names.append("l" * 256)
    gate = {"findings": {}, "signed": True}
    scans = {"name": "s", "on": "scan", "repositories": names, "from": "y", "to": ["x"]}
    signed = [f"signed/{name[:249]}" for name in names]
    requests = {"name": "r", "on": "request", "repositories": signed, "to": ["z"], "gate": gate}
    template = synthesize(json.dumps({"rules": [scans, requests]}))

    for rule in listening(template):
        longest = _resolved(rule["EventPattern"]).replace("arn:aws:", "arn:aws-us-gov:")
        assert len(longest) <= 2048
    for name in names:
        assert is_matched(template, scan("basic", name)), name
        assert is_matched(template, scan("enhanced", name)), name
        assert is_matched(template, push(name)), name
    for name in signed:
        assert is_matched(template, scan("enhanced", name)), name
        assert is_matched(template, push(name, **{"image-tag": SIGNATURE})), name
        assert is_matched(template, referrer(name)), name


@pytest.mark.parametrize(
    "globs",
    [
        [f"team-{number}/*" for number in range(60)],
        [f"team-{number}/*-api" for number in range(60)],
        [f"*/service-{number}/*" for number in range(60)],
        ["*", *(f"*-{number}-*/x**" for number in range(59))],
    ],
    ids=["prefixes", "suffixes", "inside", "mixed"],
)
def test_a_policy_of_sixty_globs_is_split_into_patterns(synthesize: Synthesize, globs: list[str]) -> None:
    """Each pattern is within EventBridge's limits of characters and wildcards, and no repository is left out."""
    document = {"rules": [{"name": "s", "on": "scan", "repositories": globs, "from": "y", "to": ["x"]}]}
    template = synthesize(json.dumps(document))

    listened = listening(template)
    for rule in listened:
        assert len(_resolved(rule["EventPattern"]).replace("arn:aws:", "arn:aws-us-gov:")) <= 2048
        names = rule["EventPattern"]["detail"]["repository-name"]
        wildcards = [json.loads(_resolved(name))["wildcard"] for name in names if "wildcard" in name]
        assert complexity([[wildcard] for wildcard in wildcards]) <= SAFE
    for glob in globs:
        name = glob.replace("*", "some")
        assert is_matched(template, scan("basic", name)), name
        assert is_matched(template, scan("enhanced", name)), name
        assert is_matched(template, push(name)), name
    assert len(listened) <= 3 * 30  # an event bus has at most 300


def test_the_own_account_as_registry_does_not_double_events(tmp_path: Path) -> None:
    """Each kind of event has one rule, also if the stack does not know its account."""
    rule = "{name: %s, on: scan, registry: %s, repositories: [web], from: y, to: [%s]}"
    file = tmp_path / "promotions.yaml"
    file.write_text(f"""rules: [{rule % ("a", f"'{ACCOUNT}'", "x")}, {rule % ("b", "null", "z")}]""")
    app = cdk.App(context=CONTEXT | {"aws:cdk:bundling-stacks": []})

    stack = PromoterStack(
        app,
        "EcrPromoter",
        policy=policy_file.read(file, account=ACCOUNT, deploying=True),
        settings=Settings.read(app.node),
    )

    listened = listening(Template.of(stack))
    assert [rule["EventPattern"]["account"] for rule in listened] == [[{"Ref": "AWS::AccountId"}]] * 3
    assert {rule["EventPattern"]["detail-type"][0] for rule in listened} == {
        "ECR Image Action",
        "ECR Image Scan",
        "Inspector2 Scan",
    }


def test_a_scan_rule_for_another_account_gets_no_event_rule(tmp_path: Path) -> None:
    """Scans of another account never reach the event rule, so the policy is refused."""
    file = tmp_path / "promotions.yaml"
    file.write_text("rules: [{name: s, on: scan, registry: '999999999999', repositories: [w], from: y, to: [x]}]")

    with pytest.raises(PolicyError, match="rule s: scans of another account's registry send no events here"):
        listened(policy_file.read(file))


def test_one_statement_of_a_queues_policy_is_enough_for_many_rules(synthesize: Synthesize) -> None:
    """A queue's policy has at most 20 statements and 8,192 characters."""
    names = [f"a-team-with-a-name/a-service-with-a-name-{number}" for number in range(150)]
    template = synthesize(
        json.dumps({"rules": [{"name": "s", "on": "scan", "repositories": names, "from": "y", "to": ["x"]}]})
    )

    assert len(listening(template)) > 20
    sends = [
        statement
        for policy in resources(template, "AWS::SQS::QueuePolicy")
        for statement in policy["PolicyDocument"]["Statement"]
        if statement.get("Principal") == {"Service": "events.amazonaws.com"}
    ]
    assert len(sends) == 2
    for statement in sends:
        source = _resolved(statement["Condition"]["ArnLike"]["aws:SourceArn"])
        assert source.endswith(':rule/EcrPromoter-*"'), source


def test_a_policy_of_requests_without_a_gate_has_no_event_rules(synthesize: Synthesize) -> None:
    """Such a request waits for nothing that an event tells of."""
    policy = "rules: [{name: prod, on: request, repositories: [web], to: [prod]}]"

    assert listening(synthesize(policy)) == []
