"""The stack: table, API, logs, functions, queues and schedule."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from promoter.wiring import LONGEST_CALL
from tests.infra.conftest import ACCOUNT, JWT, Synthesize, Template, functions, listed, resources, statements


def test_the_table_survives_mistakes(template: Template) -> None:
    """It can be restored to any second, is protected from deletion, and outlives the stack."""
    (table,) = template.find_resources("AWS::DynamoDB::GlobalTable").values()
    (replica,) = table["Properties"]["Replicas"]

    assert table["Properties"]["BillingMode"] == "PAY_PER_REQUEST"
    assert replica["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert replica["DeletionProtectionEnabled"] is True
    assert table["DeletionPolicy"] == "Retain"


def test_every_route_needs_a_signature(template: Template) -> None:
    """No route is open."""
    routes = resources(template, "AWS::ApiGatewayV2::Route")

    assert {route["RouteKey"] for route in routes} == {
        "POST /promotions",
        "GET /promotions",
        "GET /promotions/{promotionId}",
        "DELETE /promotions/{promotionId}",
        "POST /promotions/{promotionId}/rollback",
        "POST /rollback",
        "GET /heads",
        "GET /freeze",
        "PUT /freeze",
        "DELETE /freeze",
        "POST /reconcile",
    }
    assert {route["AuthorizationType"] for route in routes} == {"AWS_IAM"}


@pytest.fixture(scope="module")
def with_tokens(synthesize: Synthesize) -> Template:
    """The template with `authorization: jwt`."""
    return synthesize(**JWT)


def routes_by_api(template: Template) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the properties of each API's routes by their keys."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for route in resources(template, "AWS::ApiGatewayV2::Route"):
        found.setdefault(route["ApiId"]["Ref"], {})[route["RouteKey"]] = route
    return found


def test_authorization_jwt_adds_an_api_and_changes_nothing_else(template: Template, with_tokens: Template) -> None:
    """The API for signatures stays as it is, with the same logical ids, so that operators keep it."""
    before, after = template.document["Resources"], with_tokens.document["Resources"]
    changed = {name for name in before if after.get(name) != before[name]}

    assert {before[name]["Type"] for name in changed} == {"AWS::Lambda::Function", "AWS::CloudWatch::Dashboard"}
    assert {
        name.startswith(("TokenApi", "PromoterFunction", "ReconcilerFunction", "AlarmsTokenServerErrors"))
        for name in after.keys() - before.keys()
    } == {True}
    assert with_tokens.document["Outputs"].keys() - template.document["Outputs"].keys() == {"TokenApiUrl"}


def test_every_route_of_the_api_for_tokens_needs_a_token(with_tokens: Template) -> None:
    """It has the same routes. A token must have the issuer and the audience of the settings."""
    signed, tokens = (routes_by_api(with_tokens)[name] for name in sorted(routes_by_api(with_tokens)))

    assert signed.keys() == tokens.keys()
    assert {route["AuthorizationType"] for route in signed.values()} == {"AWS_IAM"}
    assert {route["AuthorizationType"] for route in tokens.values()} == {"JWT"}
    (authorizer,) = resources(with_tokens, "AWS::ApiGatewayV2::Authorizer")
    assert authorizer["JwtConfiguration"] == {"Audience": ["promoter"], "Issuer": "https://issuer.example"}
    assert authorizer["IdentitySource"] == ["$request.header.Authorization"]


def test_both_apis_invoke_the_same_functions(with_tokens: Template) -> None:
    """And each may invoke them for its own routes only."""
    integrations = resources(with_tokens, "AWS::ApiGatewayV2::Integration")
    sources: dict[str, set[str]] = {}
    for permission in resources(with_tokens, "AWS::Lambda::Permission"):
        if permission["Principal"] == "apigateway.amazonaws.com":
            *_, api, path = permission["SourceArn"]["Fn::Join"][1]
            sources.setdefault(api["Ref"], set()).add(path)

    assert sorted(each["IntegrationUri"]["Fn::GetAtt"][0][:8] for each in integrations) == [
        *2 * ["Promoter"],
        *2 * ["Reconcil"],
    ]
    signed, tokens = (sources[name] for name in sorted(sources))
    assert signed == tokens
    assert {path.rpartition("/")[2] for path in signed} == {
        *("promotions", "{promotionId}", "rollback", "heads", "freeze", "reconcile")
    }


@pytest.mark.parametrize(("setting", "count"), [({}, 1), (JWT, 2)], ids=["iam", "jwt"])
def test_calls_are_logged_and_limited(synthesize: Synthesize, setting: dict[str, Any], count: int) -> None:
    """The access log has the caller, and no bodies. Each API has its own log."""
    stages = resources(synthesize(**setting), "AWS::ApiGatewayV2::Stage")

    for stage in stages:
        assert "$context.identity.userArn" in stage["AccessLogSettings"]["Format"]
        assert "$context.authorizer.claims.sub" in stage["AccessLogSettings"]["Format"]
        assert "body" not in stage["AccessLogSettings"]["Format"].lower()
        assert stage["DefaultRouteSettings"] == {"ThrottlingBurstLimit": 100, "ThrottlingRateLimit": 50}
    assert len({json.dumps(stage["AccessLogSettings"]["DestinationArn"]) for stage in stages}) == count


def test_logs_outlive_the_stack_until_they_expire(template: Template, synthesize: Synthesize) -> None:
    """Logs of functions and calls are audit records, except on the local AWS."""
    groups = template.find_resources("AWS::Logs::LogGroup").values()

    assert len(groups) == 4
    assert {group["Properties"]["RetentionInDays"] for group in groups} == {90}
    assert {group["DeletionPolicy"] for group in groups} == {"RetainExceptOnCreate"}
    local = synthesize(stage="local").find_resources("AWS::Logs::LogGroup").values()
    assert {group["DeletionPolicy"] for group in local} == {"Delete"}


def test_the_functions_run_on_the_python_that_was_tested(template: Template) -> None:
    """They run on Arm and are traced, and the promoter answers within API Gateway's 30 seconds."""
    for function in functions(template).values():
        assert function["Runtime"] == f"python{sys.version_info[0]}.{sys.version_info[1]}"
        assert function["Architectures"] == ["arm64"]
        assert function["TracingConfig"] == {"Mode": "Active"}
    promoter = functions(template)["lambda_handler"]
    assert promoter["Timeout"] < 30
    assert promoter["Environment"]["Variables"]["PROMOTER_REGISTRY_ID"] == ACCOUNT


def test_promoter_reconciler_and_announcer_do_not_share_concurrency(synthesize: Synthesize) -> None:
    """Each has its own function, role and log. They share an asset, and `concurrency` is only the promoter's."""
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


def test_requests_to_reconcile_go_to_the_reconciler(template: Template) -> None:
    """API Gateway invokes it directly, and may do so for this route only."""
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


def test_events_that_fail_at_the_last_try_are_kept(template: Template) -> None:
    """The function sends them to a dead-letter queue with their cause; after a time-out, SQS does without it."""
    (queue,) = [queue for queue in resources(template, "AWS::SQS::Queue") if "RedrivePolicy" in queue]
    environment = functions(template)["lambda_handler"]["Environment"]["Variables"]

    assert queue["RedrivePolicy"]["maxReceiveCount"] == int(environment["PROMOTER_EVENT_TRIES"])
    (failed,) = queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][:1]
    assert environment["PROMOTER_FAILED_EVENTS_QUEUE"] == {"Ref": failed}
    assert any(
        "sqs:SendMessage" in listed(s["Action"]) and s["Resource"] == {"Fn::GetAtt": [failed, "Arn"]}
        for s in statements(template)
    )


def test_only_the_function_and_the_stacks_rules_send_to_the_events_queue(template: Template) -> None:
    """The function sends the work that did not fit into an invocation."""
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


def test_events_are_processed_at_the_pace_of_the_registry(synthesize: Synthesize) -> None:
    """An invocation gets one event, the setting limits the concurrency, and a running event is not sent again."""
    template = synthesize(eventConcurrency=7)
    (mapping,) = [m for m in resources(template, "AWS::Lambda::EventSourceMapping") if "ScalingConfig" in m]
    (queue,) = [queue for queue in resources(template, "AWS::SQS::Queue") if "RedrivePolicy" in queue]
    function = functions(template)["lambda_handler"]

    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 7}
    assert mapping["BatchSize"] == 1
    assert queue["VisibilityTimeout"] >= 6 * function["Timeout"]
    assert queue["MessageRetentionPeriod"] == 14 * 24 * 3600


def test_undelivered_events_are_kept(template: Template) -> None:
    """Each target has a dead-letter queue; EventBridge retries as long as it can before it uses the queue."""
    rules = resources(template, "AWS::Events::Rule")

    assert rules
    for target in (target for rule in rules for target in rule["Targets"]):
        assert "Undelivered" in target["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0]
    for target in (target for rule in rules if "EventPattern" in rule for target in rule["Targets"]):
        assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185}


def test_outcomes_in_the_table_are_announced(template: Template) -> None:
    """The stream is read from its beginning. A record that fails the function is set aside after the retries.

    The function sends records that it cannot announce to the same queue.
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


def test_reconcile_runs_every_15_minutes(template: Template) -> None:
    """The setting has this default."""
    (rule,) = [rule for rule in resources(template, "AWS::Events::Rule") if "ScheduleExpression" in rule]

    assert rule["ScheduleExpression"] == "rate(15 minutes)"
    (target,) = rule["Targets"]
    assert target["Input"] == '{"reconcile":true}'
    assert target["Arn"]["Fn::GetAtt"][0].startswith("Reconciler")


@pytest.mark.parametrize(("minutes", "seconds", "age"), [(2, 60, 120), (15, 840, 900), (1440, 840, 6 * 3600)])
def test_runs_of_reconcile_do_not_overlap(synthesize: Synthesize, minutes: int, seconds: int, age: int) -> None:
    """A run ends before the next one begins; a run that fails or is late is kept and not retried."""
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


def test_a_lease_outlasts_the_invocation_and_its_last_call(template: Template) -> None:
    """Nobody recovers a running promotion, or leases a tag while a PutImage call is still under way."""
    longest = functions(template)["lambda_handler"]["Timeout"] + LONGEST_CALL.total_seconds()

    for name in ("lambda_handler", "reconcile_handler"):
        variables = functions(template)[name]["Environment"]["Variables"]
        assert int(variables["PROMOTER_LEASE_SECONDS"]) > longest


def test_queues_are_encrypted_kept_and_private(template: Template) -> None:
    """They are encrypted at rest and in transit, keep messages for 14 days, and outlive the stack."""
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
