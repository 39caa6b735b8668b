"""Warm promotions beside the tools that people use today: time, requests and bytes, on the same server."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass

from bench.lab import BARE, LEDGER, Lab, Samples, interleaved
from bench.subject import push, unrecorded

ROUNDS = 24
PLAIN, HTTP = "promote, no ledger", "HTTP call"
CLI, SKOPEO, ORAS = "AWS CLI pair", "skopeo copy", "oras tag"
SLOW = {CLI: 8, SKOPEO: 4, ORAS: 4}
"""Tools that start a process for each tag take part in every eighth or fourth round only."""


@dataclass(frozen=True)
class Traffic:
    """Requests of a way and bytes to and from the server; `of_ecr`: calls of ECR, `layers`: bytes of layers."""

    requests: int
    received: int
    sent: int
    of_ecr: int
    layers: int


@dataclass(frozen=True)
class Scenario:
    """One image and a number of tags, measured with every way."""

    name: str
    samples: dict[str, Samples]
    traffic: dict[str, Traffic]


@dataclass(frozen=True)
class Warm:
    """All scenarios, the traffic of a promotion that moves nothing, and the tools that are not installed here."""

    scenarios: list[Scenario]
    idle: Traffic
    left_out: list[str]


def measure(lab: Lab, *, tell: Callable[[str], None]) -> Warm:
    """Measure an image and indexes of two and ten platforms, with one tag and with ten."""
    peers = {SKOPEO: "skopeo", ORAS: "oras"}
    left_out = [name for name, command in peers.items() if not shutil.which(command)]
    scenarios = []
    for name, platforms, tags in (
        ("an image, one tag", 0, 1),
        ("an index of two platforms, one tag", 2, 1),
        ("an index of ten platforms, one tag", 10, 1),
        ("an index of two platforms, ten tags", 2, 10),
    ):
        tell(f"   {name}")
        subject = push(lab, platforms, tags)
        ways = {
            BARE: subject.bare(),
            PLAIN: subject.promoted(unrecorded(lab.dependencies(lab.policy())), "plain"),
            LEDGER: subject.promoted(lab.dependencies(lab.policy()), "ledger"),
            HTTP: subject.http(),
            CLI: subject.cli(),
            SKOPEO: subject.skopeo(),
            ORAS: subject.oras(),
        }
        ways = {way: call for way, call in ways.items() if way not in left_out}
        rounds = ROUNDS if tags == 1 else ROUNDS // 2  # an image takes 1,000 tags
        samples = interleaved(ways, rounds=rounds, every=SLOW, tell=tell)
        scenarios.append(Scenario(name, samples, {way: counted(lab, call) for way, call in ways.items()}))
    idle = counted(lab, push(lab, platforms=0, tags=1).repeated(lab.dependencies(lab.policy())))
    return Warm(scenarios, idle, left_out)


def counted(lab: Lab, way: Callable[[int], object]) -> Traffic:
    """Run the way once more and count its calls at the server, without those that Lambda makes by itself."""
    lab.local("calls", method="DELETE")
    way(0)
    calls = [
        call
        for call in lab.local("calls", method="GET")["calls"]
        if call["service"] in {"ecr", "dynamodb", "registry"} and call["operation"] != "GetRecords"
    ]
    return Traffic(
        requests=len(calls),
        received=sum(call["requestBytes"] for call in calls),
        sent=sum(call["responseBytes"] for call in calls),
        of_ecr=sum(call["service"] == "ecr" for call in calls),
        layers=sum(call["responseBytes"] for call in calls if call["operation"] == "GET blob"),
    )
