"""The alarms and the dashboard."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_apigatewayv2 as api_
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from cdk_nag import AwsSolutionsChecks

from infra.alarms import Alarms
from infra.dashboard import Dashboard
from promoter import metrics
from promoter.domain.model import Outcome, Trigger
from promoter.promotion.reconcile import Reconciled
from tests.infra.conftest import ACCOUNT, REGION, Template, resources

EMAIL = "ops@example.com"
QUEUES = ("events_queue", "failed", "undelivered", "unannounced", "runs")
DEAD_LETTERS = {"failed", "undelivered", "unannounced", "runs"}

Watched = Callable[..., cdk.Stack]


def watched_in(
    app: cdk.App, email: str | None = None, timeout: cdk.Duration | None = None, minutes: int = 15
) -> cdk.Stack:
    """Add a stack with alarms, dashboard and a function to an app; it imports all other resources."""
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
    apis = {
        name: api_.HttpApi.from_http_api_attributes(stack, name, http_api_id=name.lower())
        for name in ("Api", "TokenApi")
    }
    table = dynamodb.TableV2.from_table_name(stack, "Table", "ledger")
    queues = {
        name: sqs.Queue.from_queue_arn(stack, name.capitalize(), f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}")
        for name in QUEUES
    }
    others = {
        name: lambda_.Function.from_function_name(stack, name.capitalize(), name)
        for name in ("reconciler", "announcer")
    }
    shown: dict[str, Any] = {"function": function, "apis": apis, "table": table, **others, **queues}
    Alarms(stack, "Alarms", **shown, minutes=minutes, topic_email=email)
    Dashboard(stack, "Dashboard", **shown)
    return stack


def watched(email: str | None = None, minutes: int = 15) -> Template:
    return Template.of(watched_in(cdk.App(), email, cdk.Duration.seconds(28), minutes))


@pytest.fixture(scope="module")
def silent() -> Template:
    """The template without an e-mail address."""
    return watched()


@pytest.fixture(scope="module")
def notifying() -> Template:
    """The template with an e-mail address."""
    return watched(EMAIL)


def alarms_of(template: Template) -> dict[str, dict[str, Any]]:
    """Return the properties of every alarm, by its construct id."""
    found = template.find_resources("AWS::CloudWatch::Alarm")
    return {re.sub(r"^Alarms|[0-9A-F]{8}$", "", name): resource["Properties"] for name, resource in found.items()}


def dimensions(alarm: dict[str, Any]) -> dict[str, Any]:
    return {each["Name"]: each["Value"] for each in alarm["Dimensions"]}


def expressions(template: Template) -> str:
    """Return the dashboard's body, without the values that CloudFormation fills in."""
    (dashboard,) = resources(template, "AWS::CloudWatch::Dashboard")
    parts = dashboard["DashboardBody"]["Fn::Join"][1]
    return "".join(part if isinstance(part, str) else "" for part in parts)


def graphs(template: Template) -> dict[str, dict[str, Any]]:
    """Return the dashboard's graphs by title."""
    widgets = json.loads(expressions(template))["widgets"]
    return {widget["properties"]["title"]: widget["properties"] for widget in widgets}


def test_every_part_of_the_service_has_alarms(silent: Template) -> None:
    """Queues, functions, the API, the table and the service's own metrics have alarms."""
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
        ("EcrPromoter", "LongestWait"),
    }


def test_each_api_is_watched_and_shown_by_itself(silent: Template) -> None:
    """The API for tokens may fail while the one for signatures works, and the other way round."""
    watching = {
        name: dimensions(alarm)["ApiId"]
        for name, alarm in alarms_of(silent).items()
        if alarm["MetricName"] == "5xx"
    }
    shown = graphs(silent)["API: errors"]["metrics"] + graphs(silent)["API: latency, milliseconds"]["metrics"]

    assert watching == {"ServerErrors": "api", "TokenServerErrors": "tokenapi"}
    assert [(metric[1], metric[3], metric[4]["label"]) for metric in shown] == [
        (metric, api_id, f"{label} ({name})")
        for metrics in ([("4xx", "4xx"), ("5xx", "5xx")], [("Latency", p) for p in ("p50", "p90", "p99")])
        for api_id, name in (("api", "Api"), ("tokenapi", "TokenApi"))
        for metric, label in metrics
    ]


def test_no_alarm_uses_metric_math(silent: Template) -> None:
    """The local AWS, to which the same stack is deployed, does not support it."""
    assert all("Metrics" not in alarm for alarm in alarms_of(silent).values())


def test_one_dead_letter_raises_an_alarm_that_lasts(silent: Template) -> None:
    """That holds for each dead-letter queue, also after SQS stops reporting on a queue that nobody uses."""
    number = "ApproximateNumberOfMessagesVisible"
    found = [alarm for alarm in alarms_of(silent).values() if alarm["MetricName"] == number]

    assert {dimensions(alarm)["QueueName"] for alarm in found} == DEAD_LETTERS
    for alarm in found:
        assert (alarm["Statistic"], alarm["Threshold"], alarm["EvaluationPeriods"]) == ("Maximum", 1, 1)
        assert alarm["TreatMissingData"] == "ignore"


def test_a_second_dead_letter_notifies_while_the_first_is_still_there(notifying: Template) -> None:
    """Its alarm ends after a minute without new messages. The end does not notify: the queue is not empty."""
    found = [alarm for alarm in alarms_of(notifying).values() if alarm["MetricName"] == "NumberOfMessagesSent"]

    assert {dimensions(alarm)["QueueName"] for alarm in found} == DEAD_LETTERS
    for alarm in found:
        assert (alarm["Statistic"], alarm["Period"], alarm["Threshold"]) == ("Sum", 60, 1)
        assert (alarm["EvaluationPeriods"], alarm["TreatMissingData"]) == (1, "notBreaching")
        assert alarm["AlarmActions"]
        assert "OKActions" not in alarm


@pytest.mark.parametrize("minutes", [2, 15, 59, 60, 1440])
def test_missing_runs_of_reconcile_raise_an_alarm(minutes: int) -> None:
    """It does so after twice the interval, also without data, and in periods that CloudWatch accepts."""
    alarm = alarms_of(watched(minutes=minutes))["ReconcileMissing"]

    assert dimensions(alarm) == {"service": "ecr-promoter", "trigger": "schedule"}
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 1)
    assert alarm["TreatMissingData"] == "breaching"
    window = alarm["Period"] * alarm["EvaluationPeriods"]
    assert window == 2 * minutes * 60
    assert window <= (86_400 if alarm["Period"] < 3600 else 604_800)  # API reference, PutMetricAlarm


def test_two_failing_runs_of_reconcile_raise_an_alarm(silent: Template) -> None:
    """A single run that ECR throttles needs no action: the next run does its work."""
    alarm = alarms_of(silent)["ReconcileFailures"]

    assert (alarm["Threshold"], alarm["EvaluationPeriods"], alarm["Period"]) == (1, 2, 900)


@pytest.mark.parametrize(("minutes", "seconds"), [(15, 3600), (1440, 2 * 86_400)])
def test_late_drift_checks_raise_an_alarm(minutes: int, seconds: int) -> None:
    """They are late after an hour, or after twice the interval if reconcile runs less often."""
    alarm = alarms_of(watched(minutes=minutes))["DriftChecksLate"]

    assert (alarm["Threshold"], alarm["Statistic"]) == (seconds, "Maximum")


@pytest.mark.parametrize(("minutes", "period"), [(2, 60), (15, 60), (30, 90), (60, 150), (1440, 1440)])
def test_a_promotion_that_waits_for_what_does_not_come_raises_an_alarm(minutes: int, period: int) -> None:
    """After six hours. In each period every promotion that waits is tried, so that the alarm does not flap."""
    alarm = alarms_of(watched(minutes=minutes))["WaitsTooLong"]

    assert (alarm["MetricName"], alarm["Statistic"], alarm["Threshold"]) == ("LongestWait", "Maximum", 21_600)
    assert (alarm["Period"], alarm["EvaluationPeriods"]) == (period * 60, 1)
    assert alarm["TreatMissingData"] == "ignore"  # a run that is late or fails tells nothing


def test_a_run_of_reconcile_reports_the_longest_wait(silent: Template, capsys: pytest.CaptureFixture[str]) -> None:
    """Also that nothing waits, which ends the alarm."""
    for waited in (timedelta(hours=7), timedelta()):
        metrics.count_run(Reconciled(longest_wait=waited), trigger="schedule")
        emitted = json.loads(capsys.readouterr().out.splitlines()[0])
        assert emitted["LongestWait"] == [waited.total_seconds()]
        assert dimensions(alarms_of(silent)["WaitsTooLong"]) == {"service": emitted["service"]}


def test_an_event_that_waits_for_long_raises_an_alarm(silent: Template) -> None:
    """In a burst events may wait for minutes; 15 minutes are more than that."""
    alarm = alarms_of(silent)["EventsLate"]

    assert dimensions(alarm) == {"QueueName": "events_queue"}
    assert (alarm["Statistic"], alarm["Threshold"]) == ("Maximum", 900)


def test_a_finding_of_reconcile_lasts_until_the_next_run(silent: Template) -> None:
    """Missing data between two runs neither raises nor ends an alarm."""
    for name in ("StaleIntents", "Drift"):
        alarm = alarms_of(silent)[name]
        assert dimensions(alarm) == {"service": "ecr-promoter"}
        assert (alarm["Threshold"], alarm["TreatMissingData"]) == (1, "ignore")


def test_metrics_that_are_emitted_only_on_an_event_may_be_missing(silent: Template) -> None:
    """A night without promotions raises no alarm."""
    standing = {
        "StaleIntents",
        "Drift",
        "ReconcileFailures",
        "DriftChecksLate",
        "ReconcileMissing",
        "WaitsTooLong",
    }
    for name, alarm in alarms_of(silent).items():
        if alarm["Namespace"] != "AWS/SQS" and name not in standing:
            assert alarm["TreatMissingData"] == "notBreaching", name


def test_a_single_failed_promotion_by_scan_raises_an_alarm(silent: Template) -> None:
    """Nobody waits for its answer. The caller of a request gets one, so only five failures raise the alarm."""
    failures = {
        dimensions(alarm)["trigger"]: alarm["Threshold"]
        for alarm in alarms_of(silent).values()
        if alarm["MetricName"] == "Promotions" and dimensions(alarm)["outcome"] == "FAILED"
    }

    assert failures == {"scan": 1, "request": 5}


def test_the_alarms_watch_what_the_function_emits(silent: Template, capsys: pytest.CaptureFixture[str]) -> None:
    """The alarm has the namespace and the dimensions of the line that the function prints."""
    metrics.count_promotion(Trigger.SCAN, Outcome.FAILED, milliseconds=1)
    emitted = json.loads(capsys.readouterr().out)

    (described,) = emitted["_aws"]["CloudWatchMetrics"]
    (alarm,) = [
        alarm
        for alarm in alarms_of(silent).values()
        if alarm["MetricName"] == "Promotions" and dimensions(alarm)["trigger"] == "scan"
    ]
    assert alarm["Namespace"] == described["Namespace"]
    assert dimensions(alarm) == {name: emitted[name] for name in described["Dimensions"][0]}


def test_a_duration_near_the_time_out_raises_an_alarm(silent: Template) -> None:
    """The threshold is nine tenths of the function's own time-out."""
    assert alarms_of(silent)["Slow"]["Threshold"] == 25_200


def test_a_function_without_a_time_out_is_refused() -> None:
    """Its time-out would be Lambda's default, from which no threshold is made."""
    with pytest.raises(ValueError, match="time-out"):
        watched_in(cdk.App())


def test_the_index_is_watched_beside_its_table(silent: Template) -> None:
    """A throttled index delays writes, and the table's metric does not include it."""
    writes = [alarm for alarm in alarms_of(silent).values() if alarm["MetricName"] == "WriteThrottleEvents"]

    assert [dimensions(alarm) for alarm in writes] == [
        {"TableName": "ledger"},
        {"TableName": "ledger", "GlobalSecondaryIndexName": "listed"},
    ]


def test_without_an_address_nobody_is_notified(silent: Template) -> None:
    """The alarms still exist, for the console and for other actions."""
    assert resources(silent, "AWS::SNS::Topic") == []
    for alarm in alarms_of(silent).values():
        assert not {"AlarmActions", "OKActions"} & set(alarm)


def test_an_address_is_notified_of_every_alarm_and_of_its_end(notifying: Template) -> None:
    """All alarms use one topic. The end of an alarm for new messages does not notify."""
    (subscription,) = resources(notifying, "AWS::SNS::Subscription")
    topic = subscription["TopicArn"]

    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", EMAIL)
    for name, alarm in alarms_of(notifying).items():
        assert alarm["AlarmActions"] == [topic]
        assert alarm.get("OKActions", []) == ([] if name.startswith("New") else [topic])


def test_the_topic_accepts_the_accounts_alarms_and_only_over_tls(notifying: Template) -> None:
    """Its policy replaces the default one: without the first statement no alarm could publish."""
    (policy,) = resources(notifying, "AWS::SNS::TopicPolicy")
    by_effect = {statement["Effect"]: statement for statement in policy["PolicyDocument"]["Statement"]}
    arn = by_effect["Allow"]["Condition"]["ArnLike"]["aws:SourceArn"]

    assert len(policy["PolicyDocument"]["Statement"]) == 2
    assert by_effect["Allow"]["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert by_effect["Allow"]["Action"] == "sns:Publish"
    assert by_effect["Allow"]["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNT}
    assert arn["Fn::Join"][1][-1] == f":cloudwatch:{REGION}:{ACCOUNT}:alarm:*"
    assert by_effect["Deny"]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_no_resource_has_a_fixed_name(notifying: Template) -> None:
    """Two stacks can be deployed to one account and Region."""
    for kind, name in (
        ("AWS::CloudWatch::Alarm", "AlarmName"),
        ("AWS::CloudWatch::Dashboard", "DashboardName"),
        ("AWS::SNS::Topic", "TopicName"),
    ):
        assert all(name not in properties for properties in resources(notifying, kind))


@pytest.mark.parametrize("email", [None, EMAIL], ids=["silent", "notifying"])
def test_cdk_nag_finds_nothing(tmp_path: Path, email: str | None) -> None:
    """No finding is acknowledged, either."""
    app = cdk.App(outdir=str(tmp_path / "cdk.out"))
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    watched_in(app, email, cdk.Duration.seconds(28))

    app.synth()


def test_the_dashboard_shows_every_outcome_of_both_triggers(silent: Template) -> None:
    """Each combination is a line of its own. A promotion that waits is counted when it ends."""
    shown = {
        (metric[metric.index("outcome") + 1], metric[metric.index("trigger") + 1])
        for metric in graphs(silent)["Promotions by outcome and trigger"]["metrics"]
    }

    ends = set(Outcome) - {Outcome.WAITING}
    assert shown == {(outcome, trigger) for outcome in ends for trigger in Trigger}


def test_the_dashboard_finds_new_reasons(silent: Template) -> None:
    """It searches for refusals by the dimensions that the function emits."""
    ((search,),) = graphs(silent)["Refusals by reason"]["metrics"]

    assert search["expression"] == (
        "SEARCH('{EcrPromoter,service,reason} MetricName=\"Refusals\" service=\"ecr-promoter\"', 'Sum', 300)"
    )


def test_the_dashboard_shows_what_the_alarms_watch(silent: Template) -> None:
    """There is a graph for every alarm, except for system errors of DynamoDB."""
    body = expressions(silent)

    for alarm in alarms_of(silent).values():
        assert f'"{alarm["MetricName"]}"' in body or alarm["MetricName"] == "SystemErrors"
