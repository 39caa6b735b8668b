"""How an event gets from a rule of EventBridge to a queue or a function, and where it ends if it does not.

EventBridge hands over to SQS or to Lambda's asynchronous queue. What cannot be handed over goes to the dead-letter
queue of the rule's target (EventBridge user guide, "Using dead-letter queues to process undelivered events"). What
a function that was invoked asynchronously fails on is tried again by Lambda and goes to the function's destination
or dead-letter queue (Lambda developer guide, "Capturing records of Lambda asynchronous invocations").
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

logger = logging.getLogger("local.delivery")
EVENTS = "events.amazonaws.com"


@dataclass(frozen=True)
class Handover:
    """One event on its way to one target of a rule."""

    rule_arn: str
    target: Mapping[str, Any]
    event: Mapping[str, Any]


_current: ContextVar[Handover] = ContextVar("handover")


@contextmanager
def for_rule(rule_arn: str, target: Mapping[str, Any], event: Mapping[str, Any]) -> Iterator[None]:
    """Remember what is being handed over while ministack looks at the target."""
    token = _current.set(Handover(rule_arn, target, event))
    try:
        yield
    finally:
        _current.reset(token)


def invoke(later: Callable[[dict[str, Any], Any], None], function_arn: str, payload: str) -> None:
    """Hand an event over to Lambda's asynchronous invocation, `later`, if the function exists and lets us."""
    handover = _current.get()
    function = emulator.function(function_arn)
    if function is None:
        _undelivered(handover, "NO_RESOURCE", f"The function {function_arn} does not exist.")
    elif not emulator.may_invoke(function_arn, EVENTS, handover.rule_arn):
        _undelivered(handover, "NO_PERMISSIONS", f"The policy of {function_arn} does not let the rule invoke it.")
    else:
        later(function, json.loads(payload))


def send(deliver: Callable[..., None], spec: Any, payload: str, *parameters: Any) -> None:
    """Hand an event over to an SQS queue by `deliver`, if the queue exists and its policy lets the rule send."""
    handover, arn = _current.get(), str(spec)
    if not emulator.has_queue(arn):
        _undelivered(handover, "NO_RESOURCE", f"The queue {arn} does not exist.")
    elif not emulator.may_send(arn, EVENTS, handover.rule_arn):
        _undelivered(handover, "NO_PERMISSIONS", f"The policy of {arn} does not let the rule send to it.")
    else:
        deliver(spec, payload, *parameters)


def give_up_invoking(
    destination: Callable[..., None], target_arn: str, name: str, event: Any, result: Mapping[str, Any]
) -> None:
    """Send what the function failed on, after the last try, to where it asks for it.

    A destination gets the event wrapped in a record of the invocation, which is ministack's `destination`;
    a dead-letter queue gets the event as it is, with the error in the message's attributes.
    """
    function = emulator.function(name)
    dead_letters = ((function or {}).get("config", {}).get("DeadLetterConfig") or {}).get("TargetArn")
    if target_arn != dead_letters or ":sqs:" not in target_arn:
        destination(target_arn, name, event, result)
        return
    body = result.get("body")
    message = body.get("errorMessage", "") if isinstance(body, dict) else ""
    _send(target_arn, event, {"ErrorCode": "200", "ErrorMessage": message or "Unhandled"})


def _undelivered(handover: Handover, code: str, message: str) -> None:
    queue = (handover.target.get("DeadLetterConfig") or {}).get("Arn")
    logger.warning("%s: %s", handover.rule_arn, message)
    if not queue:
        return
    if not emulator.may_send(queue, EVENTS, handover.rule_arn):
        logger.warning("%s: the policy of %s does not let the rule send to it", handover.rule_arn, queue)
        return
    attributes = {
        "RULE_ARN": handover.rule_arn,
        "TARGET_ARN": handover.target["Arn"],
        "ERROR_CODE": code,
        "ERROR_MESSAGE": message,
    }
    _send(queue, handover.event, attributes)


def _send(queue_arn: str, event: Any, attributes: Mapping[str, str]) -> None:
    try:
        emulator.send_to_queue(queue_arn, json.dumps(event), attributes)
    except LookupError:
        logger.warning("the dead-letter queue %s does not exist", queue_arn)
