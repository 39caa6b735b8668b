"""Delivers events from a rule to a queue or a function, and undelivered events to a dead-letter queue.

EventBridge delivers to SQS or to Lambda's asynchronous queue. An event that it cannot deliver goes to the
dead-letter queue of the rule's target (EventBridge user guide, "Using dead-letter queues to process undelivered
events"). An event that a function fails on is retried by Lambda, and then goes to the function's destination or
dead-letter queue (Lambda developer guide, "Capturing records of Lambda asynchronous invocations").
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from local import emulator

logger = logging.getLogger("local.eventbridge.delivery")
EVENTS = "events.amazonaws.com"


@dataclass(frozen=True)
class Delivery:
    """One event, a rule that it matches, and one target of the rule."""

    rule_arn: str
    target: Mapping[str, Any]
    event: Mapping[str, Any]


_current: ContextVar[Delivery] = ContextVar("delivery")


@contextmanager
def for_rule(rule_arn: str, target: Mapping[str, Any], event: Mapping[str, Any]) -> Iterator[None]:
    """Make the delivery known to `invoke` and `send`, which ministack calls without it."""
    token = _current.set(Delivery(rule_arn, target, event))
    try:
        yield
    finally:
        _current.reset(token)


def invoke(later: Callable[[dict[str, Any], Any], None], function_arn: str, payload: str) -> None:
    """Queue an asynchronous invocation with `later`, if the function exists and its policy allows the rule."""
    delivery = _current.get()
    function = emulator.function(function_arn)
    if function is None:
        _undelivered(delivery, "NO_RESOURCE", f"The function {function_arn} does not exist.")
    elif not emulator.may_invoke(function_arn, EVENTS, delivery.rule_arn):
        _undelivered(
            delivery, "NO_PERMISSIONS", f"The policy of {function_arn} does not allow the rule to invoke it."
        )
    else:
        later(function, json.loads(payload))


def send(deliver: Callable[..., None], spec: Any, payload: str, *parameters: Any) -> None:
    """Send an event to an SQS queue with `deliver`, if the queue exists and its policy allows the rule."""
    delivery, arn = _current.get(), str(spec)
    if not emulator.has_queue(arn):
        _undelivered(delivery, "NO_RESOURCE", f"The queue {arn} does not exist.")
    elif not emulator.may_send(arn, EVENTS, delivery.rule_arn):
        _undelivered(delivery, "NO_PERMISSIONS", f"The policy of {arn} does not allow the rule to send to it.")
    else:
        deliver(spec, payload, *parameters)


def give_up_invoking(
    destination: Callable[..., None], target_arn: str, name: str, event: Any, result: Mapping[str, Any]
) -> None:
    """Send an event that the function failed on, after the last retry, to the destination or dead-letter queue.

    ministack's `destination` sends a record of the invocation, which contains the event. A dead-letter queue gets
    the event itself, with the error in the attributes of the message.
    """
    function = emulator.function(name)
    dead_letters = ((function or {}).get("config", {}).get("DeadLetterConfig") or {}).get("TargetArn")
    if target_arn != dead_letters or ":sqs:" not in target_arn:
        destination(target_arn, name, event, result)
        return
    body = result.get("body")
    message = body.get("errorMessage", "") if isinstance(body, dict) else ""
    _send(target_arn, event, {"ErrorCode": "200", "ErrorMessage": message or "Unhandled"})


def _undelivered(delivery: Delivery, code: str, message: str) -> None:
    queue = (delivery.target.get("DeadLetterConfig") or {}).get("Arn")
    logger.warning("%s: %s", delivery.rule_arn, message)
    if not queue:
        return
    if not emulator.may_send(queue, EVENTS, delivery.rule_arn):
        logger.warning("%s: the policy of the dead-letter queue %s does not allow it", delivery.rule_arn, queue)
        return
    attributes = {
        "RULE_ARN": delivery.rule_arn,
        "TARGET_ARN": delivery.target["Arn"],
        "ERROR_CODE": code,
        "ERROR_MESSAGE": message,
    }
    _send(queue, delivery.event, attributes)


def _send(queue_arn: str, event: Any, attributes: Mapping[str, str]) -> None:
    try:
        emulator.send_to_queue(queue_arn, json.dumps(event), attributes)
    except LookupError:
        logger.warning("the dead-letter queue %s does not exist", queue_arn)
