"""Event patterns that AWS refuses or matches, through the API and through CloudFormation."""

from __future__ import annotations

import json
import uuid
from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from local.aws import LocalAws
from tests.adapters.conftest import Queue

TOO_COMPLEX = (
    "Event pattern is not valid. Reason: Rule is too complex - try using fewer wildcard characters or fewer "
    "repeating character sequences after a wildcard character"
)


@pytest.fixture
def events(local_aws: LocalAws) -> Any:
    """A client of EventBridge."""
    return local_aws.client("events")


def wildcards(*globs: str) -> dict[str, Any]:
    """Return a pattern of wildcards for one field, beside another field."""
    return {"source": ["my.own"], "detail": {"name": [{"wildcard": glob} for glob in globs]}}


STACKS = [f"*:stack/{name}/*" for name in "ABCD"]
COMPLEX = [
    wildcards("*:*:*:*:*:event-bus/*"),
    wildcards(*STACKS),
    {"$or": [wildcards(*STACKS[:2]), wildcards(*STACKS[2:])]},
    {"detail": {"name": [{"anything-but": {"wildcard": "*:*:*:*:*:event-bus/*"}}]}},
]
SIMPLE = [
    wildcards(*STACKS[:3]),
    wildcards(*STACKS[:3]) | {"account": [{"wildcard": "1*2*3"}, {"wildcard": "*4"}]},
    {"detail": {"name": [{"prefix": f"team-{number}/"} for number in range(60)]}},
    wildcards(r"\*:\*:\*:\*:\*:event-bus/*"),
]


@pytest.mark.parametrize("pattern", COMPLEX)
def test_a_pattern_that_is_too_complex_is_refused(local_aws: LocalAws, events: Any, pattern: Any) -> None:
    """By PutRule, TestEventPattern and CloudFormation. No rule is left behind."""
    name, text = f"r-{uuid.uuid4().hex}", json.dumps(pattern)
    event = {
        "id": "1",
        "account": "1",
        "source": "s",
        "time": "2026-11-24T00:00:00Z",
        "region": "r",
        "resources": [],
    }

    for call, asked in (
        (events.put_rule, {"Name": name}),
        (events.test_event_pattern, {"Event": json.dumps(event | {"detail-type": "t"})}),
    ):
        with pytest.raises(ClientError) as caught:
            call(EventPattern=text, **asked)
        assert caught.value.response["Error"] == {"Code": "InvalidEventPatternException", "Message": TOO_COMPLEX}

    status, reason = deploy(local_aws, name, pattern)
    assert status == "ROLLBACK_COMPLETE"
    assert "Rule is too complex" in reason
    assert events.list_rules(NamePrefix=name)["Rules"] == []


def test_a_rule_is_not_updated_to_a_pattern_that_is_too_complex(local_aws: LocalAws, events: Any) -> None:
    """CloudFormation rolls the update back."""
    name = f"r-{uuid.uuid4().hex}"
    assert deploy(local_aws, name, SIMPLE[0])[0] == "CREATE_COMPLETE"

    status, reason = deploy(local_aws, name, COMPLEX[1])

    assert status == "UPDATE_ROLLBACK_COMPLETE"
    assert "Rule is too complex" in reason
    assert json.loads(events.describe_rule(Name=name)["EventPattern"]) == SIMPLE[0]


@pytest.mark.parametrize("pattern", SIMPLE)
def test_a_pattern_that_is_simple_enough_is_accepted(events: Any, pattern: Any) -> None:
    """Each field has its own limit. Prefixes and escaped stars do not count."""
    events.put_rule(Name=f"r-{uuid.uuid4().hex}", EventPattern=json.dumps(pattern))


@pytest.mark.parametrize(
    ("pattern", "detail", "matches"),
    [
        ({"a": {"b": ["x"]}}, {"a.b": "x"}, True),
        ({"a.b": ["x"]}, {"a": {"b": "x"}}, True),
        ({"a": {"b": ["x"], "c": ["y"]}}, {"a.b": "x", "a": {"c": "y"}}, True),
        ({"a": {"b": ["x"]}}, {"a.b": "y", "a": {"b": "x"}}, True),
        ({"a": {"b": ["x"]}}, {"a.b": "y"}, False),
        ({"a": {"b": [{"exists": False}]}}, {"a.b": "y"}, False),
    ],
)
def test_a_dot_in_a_key_separates_nested_keys(
    events: Any, queue: Queue, pattern: Any, detail: Any, *, matches: bool
) -> None:
    """In events and in patterns. The event itself is delivered unchanged."""
    name, source = f"r-{uuid.uuid4().hex}", uuid.uuid4().hex
    rule = {"source": [source], "$or": [{"detail": pattern}, {"detail-type": ["last"]}]}
    events.put_rule(Name=name, EventPattern=json.dumps(rule))
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": queue.arn}])
    entry = {"Source": source, "DetailType": "first", "Detail": json.dumps(detail)}

    events.put_events(Entries=[entry, entry | {"DetailType": "last"}])

    came = queue.bodies(2 if matches else 1)
    assert [event["detail"] for event in came] == [detail] * len(came)
    assert sorted(event["detail-type"] for event in came) == ["first", "last"][not matches :]


def deploy(aws: LocalAws, name: str, pattern: Any) -> tuple[str, str]:
    """Deploy a stack with one rule; return its status and all reasons of its events."""
    client = aws.client("cloudformation")
    rule = {"Type": "AWS::Events::Rule", "Properties": {"Name": name, "EventPattern": pattern}}
    template = json.dumps({"Resources": {"Rule": rule}})
    exists = any(stack["StackName"] == name for stack in client.describe_stacks()["Stacks"])
    (client.update_stack if exists else client.create_stack)(StackName=name, TemplateBody=template)
    waiter = client.get_waiter("stack_update_complete" if exists else "stack_create_complete")
    with suppress(WaiterError):
        waiter.wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    status = client.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
    changes = client.describe_stack_events(StackName=name)["StackEvents"]
    return status, " ".join(event.get("ResourceStatusReason", "") for event in changes)
