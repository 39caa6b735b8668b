"""Replaces functions of ministack with this project's own. Called once, before the first request."""

# ruff: noqa: SLF001  ministack has no public interface for this; its version is pinned

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from ministack import app
from ministack.core import iam_actions, lambda_runtime
from ministack.services import apigateway, ecr, eventbridge, lambda_svc
from ministack.services.cloudformation import provisioners

from local import emulator
from local.apigateway import authorizer
from local.ecr import api, registry, repositories, transfers
from local.emulator import Answer
from local.eventbridge import delivery, patterns

# Called for each request with its service, operation and body, and with the function that answers it.
Around = Callable[[str, str, bytes, Callable[[], Awaitable[Answer]]], Awaitable[Answer]]

# The names in ministack's IAM that differ from the operation's name.
OPERATIONS = {"InvokeFunction": "Invoke"}


def install(around: Around) -> Any:
    """Replace the functions and return ministack's ASGI application."""
    _requests(around)
    _permissions()
    _registry()
    _patterns()
    _deliveries()
    _authorizers()
    return app.app


def stop_functions() -> None:
    """Stop the processes in which Lambda functions run."""
    lambda_runtime.reset()


def _requests(around: Around) -> None:
    dispatch, registry_request = app._dispatch_service_request, app._handle_ecr_registry_request
    action_of = iam_actions.extract_iam_action

    async def api_call(*request: Any) -> Answer:
        method, path, headers, body, query, _ = request
        parameters = app._routing_params(method, path, headers, body, query)
        service = app.detect_service(method, path, headers, parameters)
        action = action_of(service, method, path, headers, body, parameters)
        name = (action or f"{method} {path}").rpartition(":")[2]
        return await around(service, OPERATIONS.get(name, name), body, partial(dispatch, *request))

    async def registry_call(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Answer | None:
        name, separator, digest = path.removeprefix("/v2/").partition("/referrers/")
        if path.startswith("/v2/") and separator:
            emulator.act_for(name)
            referrers = partial(_later, registry.list_referrers, name, digest, query)
            return await around("registry", f"{method} referrers", body, referrers)
        if not app._is_ecr_registry_path(path):
            return None
        kind = (ecr._parse_v2_path(path) or ("unknown",))[0].replace("_", " ")
        answer = partial(registry_request, method, path, headers, body, query)
        return await around("registry", f"{method} {kind}", body, answer)

    app._dispatch_service_request = api_call
    app._handle_ecr_registry_request = registry_call


async def _later(function: Callable[..., Answer], *arguments: Any) -> Answer:
    return function(*arguments)


def _permissions() -> None:
    """Make ministack's IAM decide as that of AWS where they differ."""
    action_of, pin_origin = iam_actions.extract_iam_action, app.pin_request_origin
    context_of, enforce = iam_actions.request_tag_context, app._enforce_execute_api

    def action(*request: Any) -> str | None:
        # "ListImageReferrers ... is authorized with ecr:BatchGetImage": Amazon ECR API reference.
        named = action_of(*request)
        return "ecr:BatchGetImage" if named == "ecr:ListImageReferrers" else named

    def origin(address: str, _: bool) -> None:
        # Requests over loopback count as TLS; otherwise each policy that demands aws:SecureTransport refuses them.
        pin_origin(address, True)

    def context(service: str, action: str, body: bytes, *more: Any) -> dict[str, Any]:
        keys = {"events:source": _sources(body)} if action == "events:PutEvents" else {}
        return {**context_of(service, action, body, *more), **keys}

    def invocation(
        api_id: str, stage: str, method: str, path: str, headers: Mapping[str, str], query: Any, **more: Any
    ) -> Any:
        # An HTTP API refuses a header that is not a signature; ministack would take the caller for nobody.
        is_signed = headers.get("authorization", "").startswith("AWS4-HMAC-SHA256") or "X-Amz-Signature" in query
        if not is_signed and app._execute_api_authorization_type(api_id, stage, method, path) == "AWS_IAM":
            return apigateway._jwt_forbidden()
        return enforce(api_id, stage, method, path, headers, query, **more)

    iam_actions.extract_iam_action = action
    app._enforce_execute_api = invocation
    iam_actions.request_tag_context = context
    app.pin_request_origin = origin


def _sources(body: bytes) -> list[str]:
    """Return the values of events:source (EventBridge user guide, "Using IAM policy conditions")."""
    try:
        entries = json.loads(body)["Entries"]
        return sorted({str(entry["Source"]) for entry in entries})
    except (ValueError, KeyError, TypeError):  # EventBridge itself refuses the request
        return []


def _registry() -> None:
    ecr.handle_request = partial(api.serve, ecr.handle_request)
    ecr.handle_registry_request = partial(transfers.serve, ecr.handle_registry_request, ecr._parse_v2_path)
    # ministack's CloudFormation calls these two directly, not through the API.
    ecr._create_repository = partial(api.call, repositories.create)
    ecr._delete_repository = partial(api.call, repositories.delete)
    ecr._v2_put_manifest = registry.put_manifest
    ecr._v2_get_manifest = registry.get_manifest
    ecr._v2_head_manifest = registry.head_manifest
    ecr._v2_delete_manifest = registry.delete_manifest
    ecr._v2_list_tags = registry.list_tags


def _patterns() -> None:
    eventbridge._parse_pattern_text = partial(patterns.parse, eventbridge._parse_pattern_text)
    eventbridge._matches_alternative = patterns.matches
    eventbridge._event_from_test_payload = partial(patterns.test_payload, eventbridge._event_from_test_payload)
    create_rule = provisioners._eb_rule_create

    def create(logical_id: str, properties: Mapping[str, Any], stack_name: str) -> Any:
        """Check the pattern of a new rule: ministack's CloudFormation stores the rule without PutRule's check."""
        pattern = properties.get("EventPattern") or ""
        if reason := eventbridge._event_pattern_error(
            pattern if isinstance(pattern, str) else json.dumps(pattern)
        ):
            raise ValueError(
                f"Event pattern is not valid. Reason: {reason} (Service: EventBridge, Status Code: 400)"
            )
        return create_rule(logical_id, properties, stack_name)

    provisioners._eb_rule_create = create
    provisioners._RESOURCE_HANDLERS["AWS::Events::Rule"]["create"] = create


def _authorizers() -> None:
    enforce = app._enforce_execute_api

    def execute(
        api_id: str, stage: str, method: str, path: str, headers: Mapping[str, str], *more: Any, **named: Any
    ) -> Any:
        kind = app._execute_api_authorization_type(api_id, stage, method, path)
        refused = authorizer.refuse_unsigned(headers) if kind == "AWS_IAM" else None
        return refused or enforce(api_id, stage, method, path, headers, *more, **named)

    app._enforce_execute_api = execute
    apigateway._validate_jwt_authorizer = authorizer.authorize


def _deliveries() -> None:
    invoke_target, send = eventbridge._invoke_target, eventbridge._dispatch_to_sqs
    route_failure = lambda_svc._route_async_failure

    def target(entry: Mapping[str, Any], event: Any, rule: Mapping[str, Any], view: Any = None) -> None:
        view = view or eventbridge._pattern_event_view(event)
        arn = eventbridge._rule_arn(rule["Name"], rule.get("EventBusName", "default"))
        with delivery.for_rule(arn, entry, view.event_with_detail()):
            invoke_target(entry, event, rule, view)

    eventbridge._invoke_target = target
    eventbridge._dispatch_to_sqs = partial(delivery.send, send)
    eventbridge._dispatch_to_lambda = partial(delivery.invoke, lambda_svc.invoke_async_with_retry)
    lambda_svc._route_async_failure = partial(delivery.give_up_invoking, route_failure)
