"""What the stack promises."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

from infra.policy.file import PolicyError, read
from infra.settings import Settings, SettingsError, check_callers
from promoter.wiring import LONGEST_CALL
from tests.infra.conftest import ACCOUNT, CONTEXT, JWT, REGION, Synthesize, Template, resources

ARNS = f"arn:<AWS::Partition>:ecr:{REGION}:"


def flat(value: Any) -> str:
    """Return an ARN that CloudFormation joins as one text."""
    if isinstance(value, str):
        return value
    return "".join(part if isinstance(part, str) else f"<{part['Ref']}>" for part in value["Fn::Join"][1])


def statements(template: Template) -> list[dict[str, Any]]:
    """Return every statement of every identity policy."""
    return [
        statement
        for properties in resources(template, "AWS::IAM::Policy")
        for statement in properties["PolicyDocument"]["Statement"]
    ]


def functions(template: Template) -> dict[str, dict[str, Any]]:
    """Return the functions' properties by the names of their handlers."""
    found = resources(template, "AWS::Lambda::Function")
    return {function["Handler"].rpartition(".")[2]: function for function in found}


def rights_of(template: Template, role: str) -> dict[str, list[dict[str, Any]]]:
    """Return the statements of one role by action; the role by the start of its name in the template."""
    rights: dict[str, list[dict[str, Any]]] = {}
    for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        for properties in resources(template, kind):
            if any(each["Ref"].startswith(role) for each in properties["Roles"]):
                for statement in properties["PolicyDocument"]["Statement"]:
                    for action in listed(statement["Action"]):
                        rights.setdefault(action, []).append(statement)
    return rights


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def image_rights(template: Template) -> dict[str, set[str]]:
    """Return by action on images the repositories it is allowed on, without the start of their ARNs."""
    rights: dict[str, set[str]] = {}
    for statement in statements(template):
        for action in listed(statement["Action"]):
            if action.startswith("ecr:"):
                arns = {flat(arn).removeprefix(ARNS) for arn in listed(statement["Resource"])}
                rights.setdefault(action, set()).update(arns)
    return rights


SCANNED = {
    f"{ACCOUNT}:repository/team/*",
    f"{ACCOUNT}:repository/solo",
    f"{ACCOUNT}:repository/mirror/web",
}


def test_the_function_can_touch_images_only_where_a_rule_says(template: Template) -> None:
    """In the rules' registries and this Region; scans are read only where they are judged."""
    everywhere = {*SCANNED, f"{ACCOUNT}:repository/apps/*-api", "999999999999:repository/far/web"}

    assert image_rights(template) == {
        "ecr:BatchGetImage": everywhere,
        "ecr:PutImage": everywhere,
        "ecr:DescribeImageScanFindings": SCANNED,
        "ecr:DescribeImages": SCANNED,
    }


@pytest.mark.parametrize(
    ("gate", "more", "findings"),
    [
        ("{}", set(), False),
        ("{findings: {}}", {"ecr:DescribeImageScanFindings", "ecr:DescribeImages"}, True),
        ("{soak: 1h}", {"ecr:DescribeImages"}, False),
        ("{signed: true}", {"ecr:DescribeImageSigningStatus"}, False),
        (
            "{signed: {profiles: ['arn:aws:signer:us-east-1:123456789012:/signing-profiles/release']}}",
            {"ecr:DescribeImageSigningStatus"},
            False,
        ),
    ],
)
def test_a_gates_rights_come_with_the_rule_that_uses_it(
    synthesize: Synthesize, gate: str, more: set[str], *, findings: bool
) -> None:
    """On that rule's repositories, and not on another rule's."""
    gated = f"{{name: a, on: request, repositories: [web], to: [prod], gate: {gate}}}"
    template = synthesize(f"rules: [{gated}, {{name: b, on: request, repositories: [api], to: [prod]}}]")
    both, one = {f"{ACCOUNT}:repository/{name}" for name in ("web", "api")}, {f"{ACCOUNT}:repository/web"}

    rights = image_rights(template)

    assert rights == {"ecr:BatchGetImage": both, "ecr:PutImage": both} | dict.fromkeys(more, one)
    assert any("inspector2:ListFindings" in s["Action"] for s in statements(template)) is findings


def test_many_repositories_are_spread_over_policies(synthesize: Synthesize) -> None:
    """As many as a role can hold, none of them larger than IAM takes; more of them are refused, with a word."""
    names = [f"a-team-with-a-name/a-service-with-a-name-{number}" for number in range(300)]
    rule = {"name": "s", "on": "scan", "from": "y", "to": ["x"]}

    template = synthesize(json.dumps({"rules": [rule | {"repositories": names}]}))

    managed = resources(template, "AWS::IAM::ManagedPolicy")
    assert all(len(json.dumps(policy["PolicyDocument"])) <= 6144 for policy in managed)
    for role in ("Promoter", "Reconciler"):
        own = [policy for policy in managed if policy["Roles"][0]["Ref"].startswith(role)]
        inline = [p for p in resources(template, "AWS::IAM::Policy") if p["Roles"][0]["Ref"].startswith(role)]
        assert 0 < len(own) <= 10
        assert all(json.dumps([*own, *inline]).count(f'/{name}"') == 1 for name in names)
    with pytest.raises(PolicyError, match="use globs"):
        synthesize(json.dumps({"rules": [rule | {"repositories": [*names, *(f"{name}-b" for name in names)]}]}))


def test_only_what_has_no_resources_is_granted_on_all(template: Template) -> None:
    """X-Ray's two writes and Inspector's two reads, which take no resource, and nothing else."""
    everywhere = [s["Action"] for s in statements(template) if "*" in listed(s["Resource"])]

    assert {action for actions in everywhere for action in listed(actions)} == {
        "xray:PutTraceSegments",
        "xray:PutTelemetryRecords",
        "inspector2:ListCoverage",
        "inspector2:ListFindings",
    }


def test_the_table_outlives_mistakes(template: Template) -> None:
    """Recoverable to any second, not deletable, kept with the stack gone."""
    (table,) = template.find_resources("AWS::DynamoDB::GlobalTable").values()
    (replica,) = table["Properties"]["Replicas"]

    assert table["Properties"]["BillingMode"] == "PAY_PER_REQUEST"
    assert replica["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert replica["DeletionProtectionEnabled"] is True
    assert table["DeletionPolicy"] == "Retain"


def test_the_role_brings_no_managed_policy(template: Template) -> None:
    """AWS's managed policies write to every log group."""
    assert all("ManagedPolicyArns" not in role for role in resources(template, "AWS::IAM::Role"))


def test_every_route_needs_a_signature(template: Template) -> None:
    """No route is open."""
    routes = resources(template, "AWS::ApiGatewayV2::Route")

    assert {route["RouteKey"] for route in routes} == {
        "POST /promotions",
        "GET /promotions",
        "GET /promotions/{promotionId}",
        "POST /promotions/{promotionId}/rollback",
        "POST /rollback",
        "GET /heads",
        "GET /freeze",
        "PUT /freeze",
        "DELETE /freeze",
        "POST /reconcile",
    }
    assert {route["AuthorizationType"] for route in routes} == {"AWS_IAM"}


def test_every_route_needs_a_token_where_jwt_is_chosen(synthesize: Synthesize) -> None:
    """Of the issuer and for the audience that the settings name."""
    template = synthesize(**JWT)

    assert {route["AuthorizationType"] for route in resources(template, "AWS::ApiGatewayV2::Route")} == {"JWT"}
    (authorizer,) = resources(template, "AWS::ApiGatewayV2::Authorizer")
    assert authorizer["JwtConfiguration"] == {"Audience": ["promoter"], "Issuer": "https://issuer.example"}


def test_calls_are_logged_and_limited(template: Template) -> None:
    """The access log says who called; bodies are not in it."""
    (stage,) = resources(template, "AWS::ApiGatewayV2::Stage")

    assert "$context.identity.userArn" in stage["AccessLogSettings"]["Format"]
    assert "body" not in stage["AccessLogSettings"]["Format"].lower()
    assert stage["DefaultRouteSettings"] == {"ThrottlingBurstLimit": 100, "ThrottlingRateLimit": 50}


def test_logs_outlive_the_stack_and_end_some_day(template: Template, synthesize: Synthesize) -> None:
    """They are audit records, of the functions and of calls; on the local AWS nobody needs them."""
    groups = template.find_resources("AWS::Logs::LogGroup").values()

    assert len(groups) == 4
    assert {group["Properties"]["RetentionInDays"] for group in groups} == {90}
    assert {group["DeletionPolicy"] for group in groups} == {"RetainExceptOnCreate"}
    local = synthesize(stage="local").find_resources("AWS::Logs::LogGroup").values()
    assert {group["DeletionPolicy"] for group in local} == {"Delete"}


def test_the_function_runs_as_it_was_tested(template: Template) -> None:
    """On the deployer's Python, traced, within API Gateway's 30 seconds, on Arm."""
    for function in functions(template).values():
        assert function["Runtime"] == f"python{sys.version_info[0]}.{sys.version_info[1]}"
        assert function["Architectures"] == ["arm64"]
        assert function["TracingConfig"] == {"Mode": "Active"}
    promoter = functions(template)["lambda_handler"]
    assert promoter["Timeout"] < 30
    assert promoter["Environment"]["Variables"]["PROMOTER_REGISTRY_ID"] == ACCOUNT


def test_promoter_reconciler_and_announcer_do_not_take_each_others_time(synthesize: Synthesize) -> None:
    """Three functions of one asset, each with its role and log; what the setting reserves is the promoter's."""
    found = functions(synthesize(concurrency=20))

    assert {name: function.get("ReservedConcurrentExecutions") for name, function in found.items()} == {
        "lambda_handler": 20,
        "reconcile_handler": None,
        "announce_handler": None,
    }
    assert found["reconcile_handler"]["Timeout"] == 15 * 60
    assert found["announce_handler"]["Timeout"] == 60
    assert len({json.dumps(function["Code"]) for function in found.values()}) == 1
    assert len({json.dumps(function["Role"]) for function in found.values()}) == 3
    assert len({json.dumps(function["LoggingConfig"]) for function in found.values()}) == 3


TABLE = {
    f"dynamodb:{action}"
    for action in ("BatchGetItem", "BatchWriteItem", "DeleteItem", "GetItem", "PutItem", "Query", "UpdateItem")
}
IMAGES = {
    "ecr:BatchGetImage",
    "ecr:PutImage",
    "ecr:DescribeImageScanFindings",
    "ecr:DescribeImages",
    "inspector2:ListCoverage",
    "inspector2:ListFindings",
}
LOGS = {"logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTelemetryRecords", "xray:PutTraceSegments"}
STREAM = {f"dynamodb:{action}" for action in ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")}
SEND = {"sqs:SendMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl"}
RECEIVE = {"sqs:ReceiveMessage", "sqs:ChangeMessageVisibility", "sqs:DeleteMessage", *SEND} - {"sqs:SendMessage"}


@pytest.mark.parametrize(
    ("role", "rights", "queues"),
    [
        ("Promoter", {*TABLE, *IMAGES, *LOGS, *SEND, *RECEIVE}, {"Events", "Failed"}),
        ("Reconciler", {*TABLE, *IMAGES, *LOGS, *SEND}, {"FailedRuns"}),
        ("Announcer", {*STREAM, *LOGS, *SEND, "events:PutEvents"}, {"Unannounced"}),
    ],
)
def test_each_function_has_only_its_own_rights(
    template: Template, role: str, rights: set[str], queues: set[str]
) -> None:
    """The announcer cannot touch an image or the table, and the promoter cannot announce."""
    found = rights_of(template, role)

    assert set(found) - {"xray:PutTraceSegments"} == rights - {"xray:PutTraceSegments"}
    arns = json.dumps([s["Resource"] for name, named in found.items() if name.startswith("sqs:") for s in named])
    names = {"Events", "Failed", "FailedRuns", "Unannounced", "Undelivered"}
    assert {name for name in names if re.search(rf'"Queues{name}[0-9A-F]{{8}}"', arns)} == queues


def test_reconcile_is_asked_for_at_the_reconciler(template: Template) -> None:
    """By API Gateway directly, which may invoke it for that route only."""
    (route,) = [r for r in resources(template, "AWS::ApiGatewayV2::Route") if r["RouteKey"] == "POST /reconcile"]
    integration = template.find_resources("AWS::ApiGatewayV2::Integration")[
        route["Target"]["Fn::Join"][1][1]["Ref"]
    ]
    (function,) = integration["Properties"]["IntegrationUri"]["Fn::GetAtt"][:1]
    permissions = [
        permission
        for permission in resources(template, "AWS::Lambda::Permission")
        if permission["Principal"] == "apigateway.amazonaws.com"
        and permission["FunctionName"]["Fn::GetAtt"][0] == function
    ]

    assert function.startswith("Reconciler")
    assert ["/reconcile" in json.dumps(permission["SourceArn"]) for permission in permissions] == [True]


def test_events_that_fail_for_good_are_kept_with_their_cause(template: Template) -> None:
    """The function puts them away after the last try; what it cannot, as after a time-out, the queue does."""
    (queue,) = [queue for queue in resources(template, "AWS::SQS::Queue") if "RedrivePolicy" in queue]
    environment = functions(template)["lambda_handler"]["Environment"]["Variables"]

    assert queue["RedrivePolicy"]["maxReceiveCount"] == int(environment["PROMOTER_EVENT_TRIES"])
    (failed,) = queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][:1]
    assert environment["PROMOTER_FAILED_EVENTS_QUEUE"] == {"Ref": failed}
    assert any(
        "sqs:SendMessage" in listed(s["Action"]) and s["Resource"] == {"Fn::GetAtt": [failed, "Arn"]}
        for s in statements(template)
    )


def test_the_function_sends_what_it_had_no_time_for_to_its_own_queue(template: Template) -> None:
    """Beside it only the stack's rules can send there: the queue's policy names nobody else."""
    (queue, _), *more = [
        (name, queue)
        for name, queue in template.find_resources("AWS::SQS::Queue").items()
        if "RedrivePolicy" in queue["Properties"]
    ]
    (policy,) = [p for p in resources(template, "AWS::SQS::QueuePolicy") if p["Queues"] == [{"Ref": queue}]]
    allowed = [s for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Allow"]

    assert not more
    assert any(
        "sqs:SendMessage" in listed(s["Action"]) and s["Resource"] == {"Fn::GetAtt": [queue, "Arn"]}
        for s in statements(template)
    )
    assert [s["Principal"] for s in allowed] == [{"Service": "events.amazonaws.com"}]


def test_events_are_taken_at_the_pace_of_the_registry(synthesize: Synthesize) -> None:
    """One at a time, as many at once as the setting says; one that is being served is not given out again."""
    template = synthesize(eventConcurrency=7)
    (mapping,) = [m for m in resources(template, "AWS::Lambda::EventSourceMapping") if "ScalingConfig" in m]
    (queue,) = [queue for queue in resources(template, "AWS::SQS::Queue") if "RedrivePolicy" in queue]
    function = functions(template)["lambda_handler"]

    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 7}
    assert mapping["BatchSize"] == 1
    assert queue["VisibilityTimeout"] >= 6 * function["Timeout"]
    assert queue["MessageRetentionPeriod"] == 14 * 24 * 3600


def test_events_that_cannot_be_handed_over_are_kept(template: Template) -> None:
    """Every target of every rule has a dead-letter queue, tried for first as long as EventBridge allows."""
    rules = resources(template, "AWS::Events::Rule")

    assert rules
    for target in (target for rule in rules for target in rule["Targets"]):
        assert "Undelivered" in target["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0]
    for target in (target for rule in rules if "EventPattern" in rule for target in rule["Targets"]):
        assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185}


def test_what_ends_in_the_table_is_announced(template: Template) -> None:
    """From the beginning of the stream. A record that ends the function is given up, so that others can go out.

    The function puts aside what it cannot announce, in the same queue.
    """
    (mapping,) = [m for m in resources(template, "AWS::Lambda::EventSourceMapping") if "StartingPosition" in m]

    assert mapping["StartingPosition"] == "TRIM_HORIZON"
    assert mapping["MaximumRecordAgeInSeconds"] == 20 * 3600
    assert mapping["BisectBatchOnFunctionError"] is True
    assert 0 < mapping["MaximumRetryAttempts"] <= 200
    unannounced, _ = mapping["DestinationConfig"]["OnFailure"]["Destination"]["Fn::GetAtt"]
    assert "Unannounced" in unannounced
    function = functions(template)["announce_handler"]
    assert function["Environment"]["Variables"] == {
        "PROMOTER_UNANNOUNCED_QUEUE": {"Ref": unannounced},
        "POWERTOOLS_LOG_LEVEL": "INFO",
    }
    assert any(
        "sqs:SendMessage" in listed(s["Action"]) and s["Resource"] == {"Fn::GetAtt": [unannounced, "Arn"]}
        for s in statements(template)
    )


def test_announcements_go_out_under_the_products_own_name(template: Template) -> None:
    """The right to put events holds for one bus and one source."""
    (statement,) = [s for s in statements(template) if s["Action"] == "events:PutEvents"]

    assert flat(statement["Resource"]) == f"arn:<AWS::Partition>:events:{REGION}:{ACCOUNT}:event-bus/default"
    assert statement["Condition"] == {"ForAllValues:StringEquals": {"events:source": "ecr-promoter"}}


def test_the_function_reconciles_every_quarter_of_an_hour(template: Template) -> None:
    """Or as often as the setting says."""
    (rule,) = [rule for rule in resources(template, "AWS::Events::Rule") if "ScheduleExpression" in rule]

    assert rule["ScheduleExpression"] == "rate(15 minutes)"
    (target,) = rule["Targets"]
    assert target["Input"] == '{"reconcile":true}'
    assert target["Arn"]["Fn::GetAtt"][0].startswith("Reconciler")


@pytest.mark.parametrize(("minutes", "seconds", "age"), [(2, 60, 120), (15, 840, 900), (1440, 840, 6 * 3600)])
def test_runs_do_not_pile_up(synthesize: Synthesize, minutes: int, seconds: int, age: int) -> None:
    """A run ends before the next one begins; one that fails or is late is kept and not tried again."""
    template = synthesize(reconcileMinutes=minutes)
    variables = functions(template)["reconcile_handler"]["Environment"]["Variables"]
    (config,) = resources(template, "AWS::Lambda::EventInvokeConfig")

    assert (
        int(variables["PROMOTER_RECONCILE_SECONDS"])
        == seconds
        < functions(template)["reconcile_handler"]["Timeout"]
    )
    assert (config["MaximumRetryAttempts"], config["MaximumEventAgeInSeconds"]) == (0, age)
    assert "FailedRuns" in config["DestinationConfig"]["OnFailure"]["Destination"]["Fn::GetAtt"][0]


def test_a_tag_is_leased_for_longer_than_the_promoter_can_take_to_put_it(template: Template) -> None:
    """So that nobody settles a promotion that is still running, nor takes a tag while a PutImage is on its way."""
    longest = functions(template)["lambda_handler"]["Timeout"] + LONGEST_CALL.total_seconds()

    for name in ("lambda_handler", "reconcile_handler"):
        variables = functions(template)[name]["Environment"]["Variables"]
        assert int(variables["PROMOTER_LEASE_SECONDS"]) > longest


def test_queues_are_encrypted_kept_and_private(template: Template) -> None:
    """At rest and on the way, for as long as SQS keeps messages, and when the stack is gone."""
    queues = template.find_resources("AWS::SQS::Queue").values()

    assert len(queues) == 5
    for queue in queues:
        assert queue["Properties"]["SqsManagedSseEnabled"] is True
        assert queue["Properties"]["MessageRetentionPeriod"] == 14 * 24 * 3600
        assert queue["DeletionPolicy"] == "RetainExceptOnCreate"
    policies = resources(template, "AWS::SQS::QueuePolicy")
    assert {queue["Ref"] for policy in policies for queue in policy["Queues"]} == set(
        template.find_resources("AWS::SQS::Queue")
    )
    for policy in policies:
        assert '"aws:SecureTransport": "false"' in json.dumps(policy)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("stage", "prod"),
        ("memory", 64),
        ("memory", "much"),
        ("memory", 512.5),
        ("concurrency", 0),
        ("concurrency", 10),
        ("timeout", 60),
        ("logRetentionDays", 8),
        ("logLevel", "LOUD"),
        ("authorization", "none"),
        ("authorization", "jwt"),
        ("jwtAudience", [1]),
        ("jwtAudience", "a,,b"),
        ("jwtIssuer", "issuer.example"),
        ("historyDays", 0),
        ("eventConcurrency", 1),
        ("operators", ["ann"]),
        ("reconcileMinutes", 1),
        ("alarmEmail", "nobody"),
        ("apiRate", None),
        ("apiRate", 0),
        ("apiBurst", -3),
    ],
)
def test_a_setting_that_cannot_be_deployed_is_named(setting: str, value: Any) -> None:
    """Before anything is deployed."""
    app = cdk.App(context={key: v for key, v in (CONTEXT | {setting: value}).items() if v is not None})

    with pytest.raises(SettingsError, match=setting):
        Settings.read(app.node)


def test_tokens_need_operators() -> None:
    """Or whoever gets a token of the issuer could stop and start everything."""
    context = {key: value for key, value in (CONTEXT | JWT | {"operators": []}).items() if value is not None}

    with pytest.raises(SettingsError, match="operators"):
        Settings.read(cdk.App(context=context).node)


def test_tokens_need_callers(tmp_path: Path) -> None:
    """In every rule of requests."""
    file = tmp_path / "promotions.yaml"
    file.write_text("rules: [{name: open, on: request, repositories: [web], to: [prod]}]")
    settings = Settings.read(cdk.App(context=CONTEXT | JWT).node)

    with pytest.raises(SettingsError, match="give rule open callers"):
        check_callers(settings, read(file))


def test_settings_can_be_given_on_the_command_line() -> None:
    """`cdk -c name=value` hands over text: numbers, and lists with commas."""
    given = {
        "authorization": "jwt",
        "jwtIssuer": "https://issuer.example",
        "jwtAudience": "a, b",
        "operators": "jwt:ann,jwt:bob",
        "concurrency": "50",
    }

    settings = Settings.read(cdk.App(context=CONTEXT | given).node)

    assert settings.jwtAudience == ["a", "b"]
    assert settings.operators == ["jwt:ann", "jwt:bob"]
    assert settings.concurrency == 50
