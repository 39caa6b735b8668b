"""The recipes of docs/how-to/notifications.md deploy, match our announcements and tell people what happened."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import jsonschema
import pytest
from aws_cdk import assertions
from ministack.services import eventbridge

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA = jsonschema.Draft202012Validator(json.loads((DOCS / "reference" / "events.schema.json").read_text()))
DIGEST, OTHER = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
Rules = Sequence[Mapping[str, Any]]
RECIPES: dict[str, dict[str, str]] = {
    "ChatNotifications": {"workspace_id": "T0123456789", "channel_id": "C0123456789"},
    "EmailNotifications": {"address": "team@example.com"},
    "GitHubDeployments": {"repository": "example/web", "token_secret": "github"},
}

ENDED = {
    "version": "1",
    "promotionId": "p-1",
    "trigger": "request",
    "rule": "prod-by-pipeline",
    "caller": "arn:aws:sts::123456789012:assumed-role/deployer/run-7",
    "registryId": "123456789012",
    "repositoryName": "team/web",
    "source": {"imageTag": "1234567890"},
    "imageDigest": DIGEST,
    "imageTags": ["prod", "v1.0.0"],
    "askedAt": "2026-11-23T12:00:00+00:00",
    "endedAt": "2026-11-23T12:00:01+00:00",
}
WHY = {"code": "frozen", "detail": 'Rule prod is frozen: "incident 7", C:\\new'}
ANNOUNCEMENTS: dict[str, dict[str, Any]] = {
    "Image Promoted": ENDED
    | {"outcome": "PROMOTED", "images": [{"imageTag": "prod", "outcome": "PROMOTED", "previousDigest": None}]},
    "Promotion Refused": ENDED | WHY | {"outcome": "REFUSED"},
    "Promotion Failed": ENDED | WHY | {"outcome": "FAILED", "code": "registry_error"},
    "Promotion Waiting": {name: each for name, each in ENDED.items() if name != "endedAt"}
    | {
        "outcome": "WAITING",
        "images": [{"imageTag": "prod", "outcome": "PLANNED", "previousDigest": OTHER}],
        "waitingFor": ["unsigned"],
        "waitsUntil": "2026-11-24T12:00:00+00:00",
        "detail": "The image is not signed.",
        "reasons": [{"code": "unsigned", "detail": "The image is not signed."}],
    },
    "Tag Drifted": {
        "version": "1",
        "registryId": "123456789012",
        "repositoryName": "team/web",
        "imageTag": "prod",
        "recordedDigest": DIGEST,
        "registryDigest": OTHER,
        "promotionId": "p-1",
    },
}
ALWAYS = {
    "repositoryName",
    "imageTags",
    "imageTag",
    "outcome",
    "detail",
    "code",
    "recordedDigest",
    "imageDigest",
    "rule",
}
"""What every announcement of its kind has here; the rest may be missing."""


def event(detail_type: str, **changed: Any) -> dict[str, Any]:
    """Return an announcement as EventBridge hands it on."""
    return {
        "version": "0",
        "id": "6c1f",
        "source": "ecr-promoter",
        "detail-type": detail_type,
        "account": "123456789012",
        "region": "eu-central-1",
        "time": "2026-11-23T12:00:02Z",
        "resources": [],
        "detail": ANNOUNCEMENTS[detail_type] | changed,
    }


@functools.cache
def rules(name: str, added: str = "") -> tuple[Mapping[str, Any], ...]:
    """Synthesise the stack that a recipe shows, with a line added to its constructor; return its rules."""
    page = (DOCS / "how-to" / "notifications.md").read_text()
    (source,) = [
        block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if f"class {name}(" in block
    ]
    source = source.replace("\n    def _tell(", f"\n        {added}\n\n    def _tell(")
    namespace: dict[str, Any] = {}
    exec(source, namespace)  # noqa: S102  the page's own code
    template = assertions.Template.from_stack(namespace[name](cdk.App(), "Recipe", **RECIPES[name]))
    return tuple(rule["Properties"] for rule in template.find_resources("AWS::Events::Rule").values())


@pytest.fixture(scope="module", params=RECIPES)
def recipe(request: pytest.FixtureRequest) -> Rules:
    """The rules of each recipe."""
    return rules(request.param)


def matched(properties: Mapping[str, Any], announced: Mapping[str, Any]) -> bool:
    """Say whether a rule matches, by the EventBridge of the local AWS."""
    question = {"EventPattern": json.dumps(properties["EventPattern"]), "Event": json.dumps(announced)}
    return bool(json.loads(eventbridge._test_event_pattern(question)[2])["Result"])


def sent(properties: Mapping[str, Any], announced: dict[str, Any]) -> str:
    """Return what the rule's target gets, by the input transformer of the local AWS."""
    (target,) = properties["Targets"]
    view = eventbridge._pattern_event_view(eventbridge._event_from_test_payload(announced))
    return str(eventbridge._apply_input_transformer(target["InputTransformer"], None, view))


def told(recipe: Rules, announced: dict[str, Any]) -> list[str]:
    """Return what the rules of a recipe send for an announcement."""
    return [sent(rule, announced) for rule in recipe if matched(rule, announced)]


@pytest.mark.parametrize("detail_type", ANNOUNCEMENTS)
def test_the_announcements_here_are_real_ones(detail_type: str) -> None:
    """They fit docs/reference/events.schema.json."""
    SCHEMA.validate(ANNOUNCEMENTS[detail_type])


@pytest.mark.parametrize(
    ("detail_type", "changed"),
    [
        ("Promotion Waiting", {"endedAt": "2026-11-23T12:00:01+00:00"}),
        ("Promotion Waiting", {"trigger": "scan"}),
        ("Promotion Waiting", {"waitingFor": []}),
        ("Promotion Refused", {"waitsUntil": "2026-11-24T12:00:00+00:00"}),
        ("Image Promoted", {"images": [{"imageTag": "prod", "outcome": "PLANNED", "previousDigest": None}]}),
    ],
)
def test_what_ended_and_what_waits_have_members_of_their_own(detail_type: str, changed: dict[str, Any]) -> None:
    """docs/reference/events.schema.json refuses a mixture."""
    assert not SCHEMA.is_valid(ANNOUNCEMENTS[detail_type] | changed)


def test_a_rule_hears_this_service_only(recipe: Rules) -> None:
    """Not the same words from somebody else."""
    for detail_type in ANNOUNCEMENTS:
        assert told(recipe, event(detail_type) | {"source": "somebody"}) == []


def test_free_text_is_never_between_quotes_in_json(recipe: Rules) -> None:
    """EventBridge does not escape it there. What stands alone has to be in every announcement."""
    for rule in recipe:
        transformer = rule["Targets"][0]["InputTransformer"]
        template, paths = transformer["InputTemplate"], transformer["InputPathsMap"]
        if template.startswith("{"):
            quoted = [name for text in re.findall(r'"[^"]*"', template) for name in re.findall("<(.*?)>", text)]
            assert "$.detail.detail" not in [paths[name] for name in quoted]
            assert {path.rpartition(".")[2] for path in paths.values()} <= ALWAYS


@pytest.mark.parametrize(
    ("detail_type", "title", "text"),
    [
        ("Image Promoted", "team/web: [prod, v1.0.0] promoted", f"By rule prod-by-pipeline: {DIGEST}"),
        ("Promotion Refused", "team/web: promotion refused", WHY["detail"]),
        ("Promotion Failed", "team/web: promotion failed", WHY["detail"]),
        ("Tag Drifted", "team/web: somebody else moved prod", f"The ledger has it on {DIGEST}"),
    ],
)
def test_a_channel_is_told_in_the_form_of_custom_notifications(detail_type: str, title: str, text: str) -> None:
    """Amazon Q Developer in chat applications, administrator guide, "Custom notifications"."""
    (message,) = told(rules("ChatNotifications"), event(detail_type))

    assert json.loads(message) == {
        "version": "1.0",
        "source": "custom",
        "content": {"textType": "client-markdown", "title": title, "description": text},
        "metadata": {"threadId": "team/web"},
    }


def test_a_channel_is_not_told_that_nothing_moved() -> None:
    """`UNCHANGED` is no news."""
    assert told(rules("ChatNotifications"), event("Image Promoted", outcome="UNCHANGED")) == []


def test_nobody_is_told_that_a_promotion_waits(recipe: Rules) -> None:
    """It ends by itself, and then they are told."""
    assert told(recipe, event("Promotion Waiting")) == []


def test_a_channel_may_be_told_what_waits() -> None:
    """With the line that the page adds: `detail` is in every `Promotion Waiting`, and `_tell` takes it."""
    page = (DOCS / "how-to" / "notifications.md").read_text()
    (line,) = re.findall(r'^self\._tell\(.*"Promotion Waiting".*\)$', page, re.MULTILINE)
    recipe = rules("ChatNotifications", added=line)

    (message,) = told(recipe, event("Promotion Waiting"))

    content = json.loads(message)["content"]
    assert content["title"] == "team/web: promotion waits"
    assert content["description"] == "The image is not signed."


def test_a_mail_says_what_happened_and_what_to_look_at() -> None:
    """One sentence a line."""
    (mail,) = told(rules("EmailNotifications"), event("Promotion Refused"))

    assert [line.strip('"') for line in mail.splitlines()] == [
        "The promotion of team/web ended as REFUSED.",
        f"Why: {WHY['detail']}",
        "Code: frozen. Tags: [prod, v1.0.0]. Rule: prod-by-pipeline.",
        f"Asked by {ENDED['caller']} (request), ended 2026-11-23T12:00:01+00:00.",
        "More: GET /promotions/p-1",
    ]


def test_a_mail_about_a_scan_has_no_caller() -> None:
    """A member that is missing is empty, and the mail is sent all the same."""
    announced = event("Promotion Failed", trigger="scan")
    del announced["detail"]["caller"]

    (mail,) = told(rules("EmailNotifications"), announced)

    assert "Asked by  (scan)" in mail


def test_no_mail_is_sent_for_what_went_well() -> None:
    """Nobody reads those."""
    assert told(rules("EmailNotifications"), event("Image Promoted")) == []


@pytest.mark.parametrize(
    ("detail_type", "state", "outcome"),
    [
        ("Image Promoted", "success", "PROMOTED"),
        ("Promotion Refused", "failure", "REFUSED"),
        ("Promotion Failed", "error", "FAILED"),
    ],
)
def test_github_gets_a_status_of_the_deployment(detail_type: str, state: str, outcome: str) -> None:
    """GitHub REST API, "Create a deployment status": a state, and 140 characters of description at most."""
    (status,) = told(rules("GitHubDeployments"), event(detail_type))

    assert json.loads(status) == {
        "state": state,
        "description": f"ecr-promoter: {outcome}",
        "auto_inactive": True,
    }


def test_the_deployments_id_is_the_tag_of_the_source() -> None:
    """It goes into the address. Another tag is not a deployment, and neither is another repository's image."""
    recipe = rules("GitHubDeployments")

    (parameters,) = {tuple(rule["Targets"][0]["HttpParameters"]["PathParameterValues"]) for rule in recipe}
    assert parameters == ("$.detail.source.imageTag",)
    assert told(recipe, event("Image Promoted", source={"imageTag": "staging"})) == []
    assert told(recipe, event("Image Promoted", source={"imageDigest": DIGEST})) == []
    assert told(recipe, event("Image Promoted", repositoryName="team/other")) == []
