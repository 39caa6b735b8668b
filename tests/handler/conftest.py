"""The function as Lambda calls it, on an in-memory registry."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from promoter import handler, telemetry, wiring
from promoter.aws.event_queue import EventQueue
from promoter.settings import Settings
from tests.support import described
from tests.support.ledgers import InMemoryLedger, InMemoryRuns, InMemoryWakeUps, dependencies
from tests.support.policies import ACCOUNT, gate, policy, rule
from tests.support.registries import InMemoryRegistry, KnownImageFacts

REGION = "eu-central-1"
EVENTS_QUEUE, FAILED_QUEUE = "https://sqs.example/events", "https://sqs.example/failed"
TRIES = 5
CALLER = f"arn:aws:sts::{ACCOUNT}:assumed-role/deployer/run-7"


@dataclass
class Context:
    """What Lambda tells the function about an invocation."""

    function_name: str = "promoter"
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:promoter"
    aws_request_id: str = "0b7e3c9a"

    def get_remaining_time_in_millis(self) -> int:
        """There is always time."""
        return 28_000


@dataclass
class Sqs:
    """Remembers what it was asked for: in `sent` the messages, in `hidden` those that come again."""

    hidden: list[dict[str, Any]] = field(default_factory=list)
    sent: list[dict[str, Any]] = field(default_factory=list)

    def change_message_visibility(self, **call: Any) -> None:
        self.hidden.append(call)

    def send_message(self, **call: Any) -> None:
        self.sent.append(call)


@pytest.fixture
def sqs(monkeypatch: pytest.MonkeyPatch) -> Sqs:
    """The queues, out of reach."""
    client = Sqs()
    queue = EventQueue(
        client,  # type: ignore[arg-type]
        url=EVENTS_QUEUE,
        failed_url=FAILED_QUEUE,
        tries=TRIES,
        retry=timedelta(seconds=60),
    )
    monkeypatch.setattr(wiring, "event_queue", lambda: queue)
    return client


@pytest.fixture
def registry() -> InMemoryRegistry:
    return InMemoryRegistry()


@pytest.fixture
def image_facts() -> KnownImageFacts:
    return KnownImageFacts()


@pytest.fixture
def wake_ups() -> InMemoryWakeUps:
    return InMemoryWakeUps()


@pytest.fixture
def ledger() -> InMemoryLedger:
    return InMemoryLedger()


@pytest.fixture
def runs() -> InMemoryRuns:
    return InMemoryRuns()


@pytest.fixture
def logs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[], list[dict[str, Any]]]:
    """Return what the function has written: log records and metrics, each a JSON line."""
    stream = io.StringIO()
    monkeypatch.setattr(telemetry.logger.registered_handler, "stream", stream)

    def read() -> list[dict[str, Any]]:
        return [json.loads(line) for line in (stream.getvalue() + capsys.readouterr().out).splitlines()]

    return read


@pytest.fixture
def invoke(
    registry: InMemoryRegistry,
    image_facts: KnownImageFacts,
    wake_ups: InMemoryWakeUps,
    ledger: InMemoryLedger,
    runs: InMemoryRuns,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Invoke the function under a policy with one rule of each trigger."""
    scanned = gate(findings={"CRITICAL": 0})
    rules = policy(
        rule(
            **{
                "name": "staging",
                "on": "scan",
                "from": r"^build-(?P<n>\d+)$",
                "to": ["staging", "staging-{n}"],
                "gate": scanned,
            }
        ),
        rule(name="prod", to_matching=[r"^v\d+$"], callers=["arn:aws:sts::*:assumed-role/deployer/*"]),
    )
    monkeypatch.setattr(wiring, "registry", lambda: registry)
    monkeypatch.setattr(wiring, "policy", lambda: rules)
    monkeypatch.setattr(wiring, "image_facts", lambda: image_facts)
    monkeypatch.setattr(
        wiring,
        "dependencies",
        lambda: dependencies(
            wiring.policy(),
            wiring.registry(),
            wiring.image_facts(),
            ledger=ledger,
            wake_ups=wake_ups,
            operators=Settings.read().operators,
        ),
    )
    monkeypatch.setattr(wiring, "history", lambda: ledger)
    monkeypatch.setattr(wiring, "reconcile_runs", lambda: runs)
    monkeypatch.setenv("PROMOTER_REGISTRY_ID", ACCOUNT)
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("PROMOTER_TABLE", "table")
    monkeypatch.setenv("PROMOTER_LEASE_SECONDS", "30")
    monkeypatch.setenv("PROMOTER_HISTORY_DAYS", "1")
    monkeypatch.setenv("PROMOTER_EVENTS_QUEUE", EVENTS_QUEUE)
    monkeypatch.setenv("PROMOTER_FAILED_EVENTS_QUEUE", FAILED_QUEUE)
    monkeypatch.setenv("PROMOTER_UNANNOUNCED_QUEUE", "https://sqs.example/unannounced")
    monkeypatch.setenv("PROMOTER_EVENT_TRIES", "5")
    monkeypatch.setenv("PROMOTER_EVENT_RETRY_SECONDS", "60")
    monkeypatch.setenv("PROMOTER_OPERATORS", '["arn:aws:sts::*:assumed-role/operator/*"]')

    def serve(event: dict[str, Any]) -> dict[str, Any]:
        answered = handler.lambda_handler(event, Context())  # type: ignore[arg-type]
        if "statusCode" in answered:
            http = event["requestContext"]["http"]
            described.require_described(
                http["method"], http["path"], answered["statusCode"], json.loads(answered["body"])
            )
        return answered

    return serve


@pytest.fixture
def post(invoke: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Call `POST /promotions` as API Gateway does; return the status and the document."""

    def call(body: Any, *, caller: str | None = CALLER, **event: Any) -> tuple[int, dict[str, Any]]:
        text = body if isinstance(body, str) else json.dumps(body)
        response = invoke(http_event(text, caller=caller) | event)
        return response["statusCode"], json.loads(response["body"]) | {"headers": response["headers"]}

    return call


@pytest.fixture
def call(invoke: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Call any route; return the status and the document."""

    def send(
        method: str,
        path: str,
        body: Any = None,
        *,
        caller: str | None = CALLER,
        key: str | None = None,
        query: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, Any]]:
        event = http_event(json.dumps(body) if body is not None else "", caller=caller)
        event["headers"] |= {"idempotency-key": key} if key else {}
        event["requestContext"]["http"] |= {"method": method, "path": path}
        asked = {"queryStringParameters": query} if query else {}
        response = invoke(event | {"routeKey": f"{method} {path}", "rawPath": path} | asked)
        return response["statusCode"], json.loads(response["body"])

    return send


def http_event(body: str, *, caller: str | None = CALLER) -> dict[str, Any]:
    """Return an HTTP API event, payload format 2.0 (API Gateway developer guide)."""
    return {
        "version": "2.0",
        "routeKey": "POST /promotions",
        "rawPath": "/promotions",
        "rawQueryString": "",
        "headers": {"content-type": "application/json"},
        "requestContext": {
            "accountId": ACCOUNT,
            "authorizer": {"iam": {"userArn": caller}} if caller else None,
            "http": {"method": "POST", "path": "/promotions", "sourceIp": "192.0.2.1"},
            "requestId": "api-request-1",
            "stage": "$default",
        },
        "body": body,
        "isBase64Encoded": False,
    }
