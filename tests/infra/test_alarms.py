"""What the alarms and the dashboard promise."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from aws_cdk import aws_apigatewayv2 as api_
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from cdk_nag import AwsSolutionsChecks

from infra import alarms
from infra.alarms import Alarms
from infra.dashboard import Dashboard
from promoter import telemetry
from promoter.domain.model import Outcome, Trigger
from tests.infra.conftest import ACCOUNT, REGION, resources

EMAIL = "ops@example.com"
QUEUES = ("events_queue", "failed", "undelivered", "unannounced", "runs")
DEAD_LETTERS = {"failed", "undelivered", "unannounced", "runs"}

Watched = Callable[..., cdk.Stack]


def watched_in(
    app: cdk.App, email: str | None = None, timeout: cdk.Duration | None = None, minutes: int = 15
) -> cdk.Stack:
    """Put a stack into an app that has the alarms, the dashboard and a function; all else is somewhere else."""
    stack = cdk.Stack(app, "Watched", env=cdk.Environment(account=ACCOUNT, region=REGION))
    function = lambda_.Function(
        stack,
        "Function",
        runtime=lambda_.Runtime.PYTHON_3_14,
        handler="index.handler",
        code=lambda_.Code.from_inline("handler = print"),
        role=iam.Role.from_role_arn(stack, "Role", f"arn:aws:iam::{ACCOUNT}:role/promoter", mutable=False),
        timeout=timeout,
    )
    api = api_.HttpApi.from_http_api_attributes(stack, "Api", http_api_id="api1234567")
    table = dynamodb.TableV2.from_table_name(stack, "Table", "ledger")
    queues = {
        name: sqs.Queue.from_queue_arn(stack, name.capitalize(), f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}")
        for name in QUEUES
    }
    others = {
        name: lambda_.Function.from_function_name(stack, name.capitalize(), name)
        for name in ("reconciler", "announcer")
    }
    shown: dict[str, Any] = {"function": function, "api": api, "table": table, **others, **queues}
    Alarms(stack, "Alarms", **shown, minutes=minutes, topic_email=email)
    Dashboard(stack, "Dashboard", **shown)
    return stack


def watched(email: str | None = None, minutes: int = 15) -> assertions.Template:
    return assertions.Template.from_stack(watched_in(cdk.App(), email, cdk.Duration.seconds(28), minutes))


@pytest.fixture(scope="module")
def silent() -> assertions.Template:
    """The template without an e-mail address."""
    return watched()


@pytest.fixture(scope="module")
def telling() -> assertions.Template:
    """The template with an e-mail address."""
    return watched(EMAIL)


def alarms_of(template: assertions.Template) -> dict[str, dict[str, Any]]:
    """Return the properties of every alarm by the name it has in the code."""
    found = template.find_resources("AWS::CloudWatch::Alarm")
    return {re.sub(r"^Alarms|[0-9A-F]{8}$", "", name): resource["Properties"] for name, resource in found.items()}


def dimensions(alarm: dict[str, Any]) -> dict[str, Any]:
    return {each["Name"]: each["Value"] for each in alarm["Dimensions"]}


def expressions(template: assertions.Template) -> str:
    """Return the dashboard's body; what is known only at deployment is left out."""
    (dashboard,) = resources(template, "AWS::CloudWatch::Dashboard")
    parts = dashboard["DashboardBody"]["Fn::Join"][1]
    return "".join(part if isinstance(part, str) else "" for part in parts)


def graphs(template: assertions.Template) -> dict[str, dict[str, Any]]:
    """Return the dashboard's graphs by title."""
    widgets = json.loads(expressions(template))["widgets"]
    return {widget["properties"]["title"]: widget["properties"] for widget in widgets}


def test_nothing_that_went_wrong_goes_unnoticed(silent: assertions.Template) -> None:
    """There is an alarm for each queue, the function, the API, the table and what the function counts."""
    assert {(alarm["Namespace"], alarm["MetricName"]) for alarm in alarms_of(silent).values()} == {
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible"),
        ("AWS/SQS", "ApproximateAgeOfOldestMessage"),
        ("AWS/SQS", "NumberOfMessagesSent"),
        ("AWS/Lambda", "Errors"),
        ("AWS/Lambda", "Throttles"),
        ("AWS/Lambda", "Duration"),
        ("AWS/Lambda", "IteratorAge"),
        ("AWS/ApiGateway", "5xx"),
        ("AWS/DynamoDB", "ReadThrottleEvents"),
        ("AWS/DynamoDB", "WriteThrottleEvents"),
        ("AWS/DynamoDB", "SystemErrors"),
        ("EcrPromoter", "Promotions"),
        ("EcrPromoter", "StaleIntents"),
        ("EcrPromoter", "Drift"),
        ("EcrPromoter", "ReconcileRuns"),
        ("EcrPromoter", "ReconcileFailures"),
        ("EcrPromoter", "LongestDriftCheckInterval"),
    }


def test_no_alarm_computes(silent: assertions.Template) -> None:
    """The local AWS deploys the same stack, and knows no metric math."""
    assert all("Metrics" not in alarm for alarm in alarms_of(silent).values())


def test_one_dead_letter_is_enough_and_stays_known(silent: assertions.Template) -> None:
    """In any of the queues, also when SQS no longer reports on one that nobody touches."""
    number = "ApproximateNumberOfMessagesVisible"
    found = [alarm for alarm in alarms_of(silent).values() if alarm["MetricName"] == number]

    assert {dimensions(alarm)["QueueName"] for alarm in found} == DEAD_LETTERS
    for alarm in found:
        assert (alarm["Statistic"], alarm["Threshold"], alarm["EvaluationPeriods"]) == ("Maximum", 1, 1)
        assert alarm["TreatMissingData"] == "ignore"


def test_a_second_dead_letter_is_told_while_the_first_still_lies_there(telling: assertions.Template) -> None:
    """By an alarm that ends after a minute in which nothing came, without a word: the queue is not empty yet."""
    found = [alarm for alarm in alarms_of(telling).values() if alarm["MetricName"] == "NumberOfMessagesSent"]

    assert {dimensions(alarm)["QueueName"] for alarm in found} == DEAD_LETTERS
    for alarm in found:
        assert (alarm["Statistic"], alarm["Period"], alarm["Threshold"]) == ("Sum", 60, 1)
        assert (alarm["EvaluationPeriods"], alarm["TreatMissingData"]) == (1, "notBreaching")
        assert alarm["AlarmActions"]
        assert "OKActions" not in alarm


@pytest.mark.parametrize("minutes", [2, 15, 59, 60, 1440])
def test_reconcile_that_does_not_run_is_told(minutes: int) -> None:
    """After twice the interval, and no data is as bad as none; in periods that CloudWatch takes."""
    alarm = alarms_of(watched(minutes=minutes))["ReconcileMissing"]

    assert dimensions(alarm) == {"service": "ecr-promoter", "trigger": "schedule"}
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 1)
    assert alarm["TreatMissingData"] == "breaching"
    window = alarm["Period"] * alarm["EvaluationPeriods"]
    assert window == 2 * minutes * 60
    assert window <= (86_400 if alarm["Period"] < 3600 else 604_800)  # API reference, PutMetricAlarm


def test_failures_that_last_are_told(silent: assertions.Template) -> None:
    """One run that ECR throttles is nothing to act on: the next one does its work."""
    alarm = alarms_of(silent)["ReconcileFailures"]

    assert (alarm["Threshold"], alarm["EvaluationPeriods"], alarm["Period"]) == (1, 2, 900)


@pytest.mark.parametrize(("minutes", "seconds"), [(15, 3600), (1440, 2 * 86_400)])
def test_drift_checks_that_are_late_are_told(minutes: int, seconds: int) -> None:
    """Beyond an hour, or twice the interval where reconcile runs less often."""
    alarm = alarms_of(watched(minutes=minutes))["DriftChecksLate"]

    assert (alarm["Threshold"], alarm["Statistic"]) == (seconds, "Maximum")


def test_an_event_that_waits_for_long_is_told(silent: assertions.Template) -> None:
    """A burst may wait for minutes; a quarter of an hour is more than that."""
    alarm = alarms_of(silent)["EventsLate"]

    assert dimensions(alarm) == {"QueueName": "events_queue"}
    assert (alarm["Statistic"], alarm["Threshold"]) == ("Maximum", 900)


def test_what_reconcile_found_stands_until_it_has_looked_again(silent: assertions.Template) -> None:
    """Silence between two runs neither raises nor ends an alarm."""
    for name in ("StaleIntents", "Drift"):
        alarm = alarms_of(silent)[name]
        assert dimensions(alarm) == {"service": "ecr-promoter"}
        assert (alarm["Threshold"], alarm["TreatMissingData"]) == (1, "ignore")


def test_what_is_counted_only_when_it_happens_is_fine_in_silence(silent: assertions.Template) -> None:
    """A night without promotions wakes nobody."""
    standing = {"StaleIntents", "Drift", "ReconcileFailures", "DriftChecksLate", "ReconcileMissing"}
    for name, alarm in alarms_of(silent).items():
        if alarm["Namespace"] != "AWS/SQS" and name not in standing:
            assert alarm["TreatMissingData"] == "notBreaching", name


def test_a_failed_promotion_of_a_scan_is_told_at_once(silent: assertions.Template) -> None:
    """Nobody waits for its answer; a request's caller got one, and only many are told."""
    failures = {
        dimensions(alarm)["trigger"]: alarm["Threshold"]
        for alarm in alarms_of(silent).values()
        if alarm["MetricName"] == "Promotions" and dimensions(alarm)["outcome"] == "FAILED"
    }

    assert failures == {"scan": 1, "request": 5}


def test_the_alarms_watch_what_the_function_emits() -> None:
    """Under the names of its telemetry."""
    assert (alarms.NAMESPACE, alarms.SERVICE) == (telemetry.NAMESPACE, telemetry.SERVICE)


def test_a_duration_near_the_time_out_is_told_before_it_is_cut_off(silent: assertions.Template) -> None:
    """At nine tenths of the function's own time-out."""
    assert alarms_of(silent)["Slow"]["Threshold"] == 25_200


def test_a_function_without_a_time_out_cannot_be_watched() -> None:
    """CDK would take Lambda's three seconds, which no threshold is made of."""
    with pytest.raises(ValueError, match="time-out"):
        watched_in(cdk.App())


def test_the_index_is_watched_beside_its_table(silent: assertions.Template) -> None:
    """A throttled index holds up writes, and is no part of the table's metric."""
    writes = [alarm for alarm in alarms_of(silent).values() if alarm["MetricName"] == "WriteThrottleEvents"]

    assert [dimensions(alarm) for alarm in writes] == [
        {"TableName": "ledger"},
        {"TableName": "ledger", "GlobalSecondaryIndexName": "listed"},
    ]


def test_without_an_address_nobody_is_told(silent: assertions.Template) -> None:
    """The alarms stand, for the console and for whoever adds an action."""
    assert resources(silent, "AWS::SNS::Topic") == []
    for alarm in alarms_of(silent).values():
        assert not {"AlarmActions", "OKActions"} & set(alarm)


def test_an_address_is_told_of_every_alarm_and_of_its_end(telling: assertions.Template) -> None:
    """By one topic."""
    (subscription,) = resources(telling, "AWS::SNS::Subscription")
    topic = subscription["TopicArn"]

    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", EMAIL)
    for name, alarm in alarms_of(telling).items():
        assert alarm["AlarmActions"] == [topic]
        assert alarm.get("OKActions", []) == ([] if name.startswith("New") else [topic])


def test_the_topic_takes_the_accounts_alarms_and_nothing_in_the_clear(telling: assertions.Template) -> None:
    """A topic with a policy of its own has no other: without the first statement no alarm would be told."""
    (policy,) = resources(telling, "AWS::SNS::TopicPolicy")
    by_effect = {statement["Effect"]: statement for statement in policy["PolicyDocument"]["Statement"]}
    arn = by_effect["Allow"]["Condition"]["ArnLike"]["aws:SourceArn"]

    assert len(policy["PolicyDocument"]["Statement"]) == 2
    assert by_effect["Allow"]["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert by_effect["Allow"]["Action"] == "sns:Publish"
    assert by_effect["Allow"]["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNT}
    assert arn["Fn::Join"][1][-1] == f":cloudwatch:{REGION}:{ACCOUNT}:alarm:*"
    assert by_effect["Deny"]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_no_name_is_taken(telling: assertions.Template) -> None:
    """Two stacks fit into one account and Region."""
    for kind, name in (
        ("AWS::CloudWatch::Alarm", "AlarmName"),
        ("AWS::CloudWatch::Dashboard", "DashboardName"),
        ("AWS::SNS::Topic", "TopicName"),
    ):
        assert all(name not in properties for properties in resources(telling, kind))


@pytest.mark.parametrize("email", [None, EMAIL], ids=["silent", "telling"])
def test_the_checks_find_nothing(tmp_path: Path, email: str | None) -> None:
    """Nothing is acknowledged, either."""
    app = cdk.App(outdir=str(tmp_path / "cdk.out"))
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    watched_in(app, email, cdk.Duration.seconds(28))

    app.synth()


def test_the_dashboard_shows_every_outcome_of_either_trigger(silent: assertions.Template) -> None:
    """Each as a line of its own."""
    shown = {
        (metric[metric.index("outcome") + 1], metric[metric.index("trigger") + 1])
        for metric in graphs(silent)["Promotions by outcome and trigger"]["metrics"]
    }

    assert shown == {(outcome, trigger) for outcome in Outcome for trigger in Trigger}


def test_the_dashboard_finds_reasons_that_are_new(silent: assertions.Template) -> None:
    """Refusals are searched for by the dimensions that the function gives them."""
    ((search,),) = graphs(silent)["Refusals by reason"]["metrics"]

    assert search["expression"] == (
        "SEARCH('{EcrPromoter,service,reason} MetricName=\"Refusals\" service=\"ecr-promoter\"', 'Sum', 300)"
    )


def test_the_dashboard_shows_what_the_alarms_watch(silent: assertions.Template) -> None:
    """Whoever is woken finds the graph; system errors have none, they need no trend."""
    body = expressions(silent)

    for alarm in alarms_of(silent).values():
        assert f'"{alarm["MetricName"]}"' in body or alarm["MetricName"] == "SystemErrors"
