"""Where the measurements take place: a fresh local AWS, and ways to measure on it fairly."""

from __future__ import annotations

import json
import statistics
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import promoter.handler  # noqa: F401 - slows the garbage collector down here too, as it does in the function
from local.aws import LocalAws
from promoter.aws.dynamodb.freezes import DynamoFreezes
from promoter.aws.dynamodb.heads import DynamoHeads
from promoter.aws.dynamodb.history import DynamoHistory
from promoter.aws.dynamodb.ledger import DynamoLedger
from promoter.aws.dynamodb.table import Table
from promoter.aws.ecr.image_facts import EcrImageFacts
from promoter.aws.ecr.registry import EcrRegistry
from promoter.domain.policy import Policy, load
from promoter.promotion.dependencies import Dependencies
from promoter.wiring import CLIENT

REGISTRY_ID = "123456789012"


@dataclass(frozen=True)
class Lab:
    """A local AWS with the stack deployed by the real CDK; `directory` is where its files may lie."""

    aws: LocalAws
    variables: Mapping[str, str]
    directory: Path

    def client(self, service: str) -> Any:
        """Return a boto3 client with the function's own settings, signing as the administrator."""
        return self.aws.client(service, config=CLIENT)

    def policy(self, *rules: Mapping[str, Any]) -> Policy:
        """Return a policy of compiled rules; what is not named has the value of a key left out."""
        default = {
            "name": "bench",
            "on": "request",
            "registry": None,
            "repositories": ["bench/*"],
            "from": None,
            "to": [],
            "to_matching": [".*"],
            "callers": None,
            "gate": None,
        }
        document = {"rules": [default | dict(rule) for rule in rules or [{}]], "freeze": []}
        return load(document, registry_id=REGISTRY_ID)

    def table(self) -> Table:
        """Return the stack's table, as the function has it."""
        return Table(self.client("dynamodb"), self.variables["PROMOTER_TABLE"], self.aws.region)

    def dependencies(self, policy: Policy) -> Dependencies:
        """Return the function's own dependencies on this AWS, with its real ledger."""
        ecr, table = self.client("ecr"), self.table()
        return Dependencies(
            policy=policy,
            registry=EcrRegistry(ecr),
            image_facts=EcrImageFacts(ecr),
            ledger=DynamoLedger(table, lease_duration=timedelta(seconds=30), history=timedelta(days=1)),
            heads=DynamoHeads(table),
            history=DynamoHistory(table),
            freezes=DynamoFreezes(table),
            patience=timedelta(seconds=10),
        )

    def local(self, path: str, body: Any = None, *, method: str = "POST") -> Any:
        """Drive the local AWS: `scans`, `faults`, `calls`, `images`."""
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(
            f"{self.aws.endpoint_url}/_local/{path}", data, {"content-type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            text = response.read()
        return json.loads(text) if text else None


@dataclass
class Samples:
    """Times of one way to do something, in milliseconds."""

    name: str
    milliseconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.milliseconds)

    @property
    def spread(self) -> tuple[float, float]:
        """The first and the third quartile."""
        low, _, high = statistics.quantiles(self.milliseconds, n=4)
        return low, high


def interleaved(
    ways: Mapping[str, Callable[[int], object]],
    *,
    rounds: int,
    every: Mapping[str, int] | None = None,
    warm_up: int = 2,
    tell: Callable[[str], None] = print,
) -> dict[str, Samples]:
    """Time each way once a round, so that a noisy machine hurts all alike; a way gets the round's number.

    A way that is slow may take part in `every` so manieth round only.
    """
    samples = {name: Samples(name) for name in ways}
    last_report = time.monotonic()
    for number in range(-warm_up, rounds):
        for name, way in ways.items():
            if number % (every or {}).get(name, 1):
                continue
            start = time.perf_counter()
            way(number)
            if number >= 0:
                samples[name].milliseconds.append((time.perf_counter() - start) * 1000)
        if time.monotonic() - last_report > 2:
            last_report = time.monotonic()
            tell(f"   round {max(number + 1, 0)} of {rounds}")
    return samples


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(f"{cell}" for cell in line) + " |" for line in lines)
