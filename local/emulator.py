"""Access to ministack's internals: its stores, the account and Region of a request, its event bus.

ministack reads its environment when it is imported. Only local.server imports this module, after it has set the
environment.
"""

# ruff: noqa: SLF001  ministack has no public interface for this; its version is pinned

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from ministack.core import iam_actions, iam_evaluator, responses
from ministack.services import ecr, eventbridge, lambda_svc, sqs

Answer = tuple[int, dict[str, str], Any]


def endpoint() -> str:
    """Return the address of this process."""
    return f"http://127.0.0.1:{os.environ['GATEWAY_PORT']}"


def account_id() -> str:
    """Return the account of the current request; without a signature it is the account of this local AWS."""
    return str(responses.get_account_id())


def region() -> str:
    """Return the Region of the current request."""
    return str(responses.get_region())


def caller() -> str:
    """Return the ARN of the principal that signed the current request."""
    return str(iam_evaluator.caller_arn())


def act_for(repository: str) -> None:
    """Serve the current, unsigned request in this local AWS's account and in the Region of the repository."""
    responses.set_request_account_id("")
    responses.set_request_region(None)
    ecr._select_registry_request_scope(repository, {}, {})


def scoped_dict() -> Any:
    """Return a dict with separate entries for each account and Region; a request sees its own."""
    return responses.AccountRegionScopedDict()


def repositories() -> Any:
    """Return the settings of each repository by name: the members of DescribeRepositories, and `tags`."""
    return ecr._repositories


def blobs(repository: str) -> dict[str, bytes]:
    """Return the repository's layers and configs by digest, which the registry HTTP API stores and serves."""
    found: dict[str, bytes] = ecr._layer_blobs.setdefault(repository, {})
    return found


def uploaded(repository: str, upload: str) -> int | None:
    """Return how many bytes an upload to the registry has received; None if there is no such upload."""
    received: bytearray | None = ecr._uploads.get(repository, {}).get(upload)
    return None if received is None else len(received)


def delete_blobs(repository: str) -> None:
    """Delete the layers and uploads of a deleted repository."""
    for store in (ecr._layer_blobs, ecr._uploads):
        store.pop(repository, None)


def emit(source: str, detail_type: str, detail: Mapping[str, Any], resources: list[str]) -> None:
    """Send an event of an AWS service to the default bus. PutEvents refuses sources that begin with `aws.`."""
    entry = {"Source": source, "DetailType": detail_type, "Detail": json.dumps(detail), "Resources": resources}
    eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


def answer(document: Mapping[str, Any]) -> Answer:
    """Return an HTTP 200 of a service that speaks JSON."""
    made: Answer = responses.json_response(dict(document))
    return made


def failure(
    service: str, code: str, message: str, status: int, members: Mapping[str, Any] | None = None
) -> Answer:
    """Return an error in the service's own protocol, with further `members` in services that speak JSON."""
    if iam_actions._SERVICE_PROTOCOL.get(service, "json") == "json":
        made: Answer = responses.error_response_json(code, message, status, dict(members or {}))
        return made
    _, headers, body = iam_actions.access_denied_response(
        service, "", "", "local", error_code=code, message=message
    )
    return status, headers, body


def send_to_queue(queue_arn: str, body: str, attributes: Mapping[str, str]) -> None:
    """Put a message with string attributes into an SQS queue. Raises LookupError if the queue does not exist."""
    queue = sqs._queue_by_arn(queue_arn)
    if queue is None:
        raise LookupError(queue_arn)
    typed = {name: {"DataType": "String", "StringValue": text} for name, text in attributes.items()}
    sqs._act_send_message({"MessageBody": body, "MessageAttributes": typed}, queue["url"])


def has_queue(queue_arn: str) -> bool:
    """Return whether the SQS queue exists."""
    return sqs._queue_by_arn(queue_arn) is not None


def may_send(queue_arn: str, service: str, source_arn: str) -> bool:
    """Return whether the queue's policy lets the service send to it on behalf of the source."""
    iam_evaluator.pin_request_origin("127.0.0.1", True)  # AWS's services send over TLS
    return bool(sqs.queue_policy_allows(queue_arn, service, source_arn, account_id()))


def function(function_arn: str) -> dict[str, Any] | None:
    """Return ministack's record of a function, version or alias, with its configuration; None if there is none."""
    record, config, _ = lambda_svc._get_func_record_for_ref(function_arn)
    return {**record, "config": config} if record and config else None


def may_invoke(function_arn: str, service: str, source_arn: str) -> bool:
    """Return whether the function's policy lets the service invoke it on behalf of the source."""
    found = lambda_svc.function_policy_for_arn(function_arn)
    context = iam_evaluator.EvalContext(
        principal_arn="*",
        principal_type="Service",
        principal_account="",
        action="lambda:InvokeFunction",
        resource_arn=function_arn,
        region=region(),
        service_context={"aws:sourcearn": source_arn, "aws:sourceaccount": account_id()},
    )
    decision = iam_evaluator.evaluate_resource_policy(found[0] if found else None, context, service=service)
    return bool(decision.decision == "Allow")
