"""docs/reference/benchmarks.md, made of one run's results; never edited by hand."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from bench import cold, memory, plots, warm
from bench.asset import PROJECT, Asset
from bench.burst import Burst
from bench.cold import Cold
from bench.growth import Curve
from bench.lab import BARE, LEDGER, Samples, table
from bench.warm import Scenario, Warm

VERSIONS = ("boto3", "aws-lambda-powertools", "aws-cdk-lib", "ministack", "awscli")


@dataclass(frozen=True)
class Results:
    """Everything that one run measured, and how many seconds the run took."""

    warm: Warm
    cold: Cold
    asset: Asset
    curves: list[Curve]
    burst: Burst
    seconds: float


def write(results: Results, file: Path) -> None:
    """Write the page, and its graphs into a folder of the same name."""
    sections = [
        head(results),
        budgets(results),
        warm_section(results.warm),
        cold_section(results.cold),
        memory_section(results.cold),
        asset_section(results.asset),
        growth_section(results.curves),
        burst_section(results.burst),
    ]
    file.write_text("\n\n".join(sections) + "\n")
    plots.draw(file.with_suffix(""), results.warm.scenarios, results.curves, results.burst)


def head(results: Results) -> str:
    """Return the title and the circumstances of the run."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=PROJECT, capture_output=True, text=True, check=False
    ).stdout.strip()
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in VERSIONS)
    return f"""# Benchmarks

Written by `make bench` and not edited by hand: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {results.seconds / 60:.1f} minutes,
commit {commit or "unknown"}, {platform.processor() or platform.machine()} with {os.cpu_count()} processors, {platform.system()}
{platform.release()}, Python {platform.python_version()}; {versions}.

Everything runs on one machine, against the [local AWS](local-aws.md), where every call takes about the same time. On AWS calls differ.
Compare the ratios within a table, not the milliseconds. The ways of a table take turns, so that a noisy machine slows all of them alike.
Figures are medians, with the first and third quartile."""


def budgets(results: Results) -> str:
    """Return the table that compares the figures with their budgets."""
    one, ten = results.warm.scenarios[0].samples, results.warm.scenarios[-1].traffic[LEDGER]
    traffic = results.warm.scenarios[0].traffic[LEDGER]
    layers = sum(
        scenario.traffic[way].layers for scenario in results.warm.scenarios for way in (LEDGER, warm.HTTP)
    )
    cold_wall = results.cold.wall
    lines = [
        budget("calls of ECR for a promotion", traffic.of_ecr, 2),
        budget("calls of ECR for ten tags", ten.of_ecr, 11),
        budget("calls of ECR for a promotion that moves nothing", results.warm.idle.of_ecr, 1),
        budget("bytes of layers that are transferred", layers, 0),
        budget("bytes to the server for a promotion of one tag", traffic.received, 3_000),
        budget("warm promotion without ledger, over the two bare calls", ratio(one, warm.PLAIN, BARE), 1.15),
        budget("warm promotion with ledger, over the two bare calls", ratio(one, LEDGER, BARE), 2.1),
        budget(
            "cold start by an event, over `import boto3`, client, two calls",
            ratio(cold_wall, cold.EVENT, cold.BARE),
            1.0,
        ),
        budget("cold start by a call, over the same", ratio(cold_wall, cold.HTTP, cold.BARE), 1.15),
        budget("asset, zipped, MB", results.asset.zipped / 1e6, 6.0),
    ]
    return "## Budgets\n\n" + table(["what", "budget at most", "measured", ""], lines) + "\n\n" + WHY_ABOVE


WHY_ABOVE = """Figures that may be above their budgets, and why:

- **Warm, with ledger.** The ledger adds two calls to the two of ECR: a `TransactWriteItems` before them and one after. Every call takes the
  same time here, so four calls take at least 2.0 times as long as two. The share of the ledger falls with the number of tags.
- **Bytes to the server.** The ledger's two transactions take about 3,000 ([what they hold](ledger.md#what-a-promotion-sends)), and ECR's two
  calls the rest.
- **Cold, by an event.** A cold start adds a second client (DynamoDB, whose model boto3 parses), five more calls (wake-ups,
  findings, freezes, two transactions), Powertools' logger and metrics, and our own modules. The import tree below has the time of each.
  Using botocore without boto3 took about 50 ms less in a trial. boto3 stays for now, because it is the SDK's public interface.
- **Cold, by a call.** The same, and Powertools' routing and msgspec."""


def budget(what: str, measured: float, limit: float) -> list[str]:
    """Return one row of the table of budgets."""
    return [
        what,
        f"{limit:g}",
        f"{measured:g}" if isinstance(measured, int) else f"{measured:.2f}",
        "met" if measured <= limit else "**above**",
    ]


def ratio(samples: dict[str, Samples], way: str, base: str) -> float:
    """Return how many times as long one way takes as another."""
    return samples[way].median / samples[base].median


def warm_section(results: Warm) -> str:
    """Return the section on warm promotions, with a table for each scenario."""
    parts = ["## Warm\n\n![How long each way takes](benchmarks/warm.svg)"]
    if results.left_out:
        parts.append(f"Left out because they are not installed: {', '.join(results.left_out)}.")
    for scenario in results.scenarios:
        parts.append(f"### {scenario.name.capitalize()}\n\n{scenario_table(scenario)}{beside_skopeo(scenario)}")
    parts.append(COUNTED)
    return "\n\n".join(parts)


COUNTED = """The server counts requests and bytes of one promotion. Only `skopeo copy` asks for layers, and only whether they exist: no bytes of layers
are transferred."""


def beside_skopeo(scenario: Scenario) -> str:
    """Return a sentence that compares a recorded and announced promotion with a copy."""
    if warm.SKOPEO not in scenario.samples:
        return ""
    ours, theirs = scenario.traffic[LEDGER], scenario.traffic[warm.SKOPEO]
    return (
        f"\n\nA promotion that is recorded and announced takes {ratio(scenario.samples, LEDGER, warm.SKOPEO):.2f} times as long as `skopeo copy`, "
        f"with {ours.requests} requests against {theirs.requests}."
    )


def scenario_table(scenario: Scenario) -> str:
    """Return the table of a scenario."""
    base = scenario.samples[BARE].median
    rows = []
    for name, samples in scenario.samples.items():
        low, high = samples.spread
        traffic = scenario.traffic[name]
        rows.append(
            [
                name,
                f"{samples.median:.1f} ({low:.1f} to {high:.1f})",
                f"{samples.median / base:.2f}",
                traffic.requests,
                f"{traffic.received:,}",
                f"{traffic.sent:,}",
            ]
        )
    return table(["way", "ms", "times the bare calls", "requests", "bytes to the server", "bytes back"], rows)


def cold_section(results: Cold) -> str:
    """Return the section on cold starts."""
    rows = []
    for name, wall in results.wall.items():
        used = results.cpu[name]
        base = results.wall[cold.BARE].median
        rows.append([name, f"{wall.median:.0f}", f"{used.median:.0f}", f"{wall.median / base:.2f}"])
    imports = [[f"`{name}`", f"{cost:.1f}"] for name, cost in results.imports]
    return (
        "## Cold\n\nThe time from the start of a fresh, isolated interpreter to the end of its first promotion. The asset and the SDK are "
        "compiled. An event makes two calls of ECR, one for findings, and four of the table: wake-ups, freezes, two transactions.\n\n"
        + table(["first promotion", "wall, ms", "CPU, ms", "times the baseline"], rows)
        + "\n\nImports of the event path; the time of a module includes what it imports first:\n\n"
        + table(["module", "ms"], imports)
    )


def asset_section(results: Asset) -> str:
    """Return the section on the size of the asset."""
    rows = [[f"`{part.name}`", f"{part.zipped:,}", f"{part.unzipped:,}"] for part in results.parts]
    rows.append(["**all**", f"{results.zipped:,}", f"{results.unzipped:,}"])
    return "## Asset\n\n" + table(["part", "bytes zipped", "bytes unzipped"], rows)


def memory_section(results: Cold) -> str:
    """Return the section on memory sizes, and on the one that was chosen."""
    wall, cpu, peak = results.warm
    rows = [
        [f"{size.megabytes:,}", f"{size.first:,.0f}", f"{size.further:,.0f}", f"{size.dollars:.2f}"]
        for size in memory.sizes(results)
    ]
    return (
        f"## Memory\n\nCalculated, not measured on AWS. The event path takes {results.cpu[cold.EVENT].median:.0f} ms of processor time at a cold "
        f"start and {cpu:.1f} ms for each further promotion (of {wall:.1f} ms here), and {peak:.0f} MB at its peak. Lambda gives one processor at 1,769 MB, "
        f"and a proportional share at other sizes. The table assumes {memory.CALLS} calls of {memory.CALL} ms each at any size, and the prices of arm64.\n\n"
        + table(["MB", "first promotion, ms", "each further, ms", "dollars a million"], rows)
        + "\n\n`memory` is 512. With 256 a cold start takes twice as long and saves cents. With 1,024 a promotion costs half as much again, and nobody "
        "notices the shorter wait after a scan. 128 leaves little room above the peak, because Lambda's own runtime needs memory too."
    )


def growth_section(curves: list[Curve]) -> str:
    """Return the section on growth: a table for each thing that a promotion's time could depend on."""
    head = (
        "## Growth\n\nThe time of a promotion with ledger, beside the two bare calls in the same repository at the same time.\n\n"
        "![How long a promotion takes at each size](benchmarks/growth.svg)"
    )
    parts = [head]
    for curve in curves:
        rows = [
            [
                f"{size:,}",
                f"{curve.promotion[size].median:.1f}",
                f"{1000 / curve.promotion[size].median:.0f}",
                f"{curve.bare[size].median:.1f}",
                f"{curve.ratio(size):.2f}",
            ]
            for size in curve.promotion
        ]
        columns = [
            curve.unit,
            "ms a promotion",
            "promotions a second",
            "ms the bare calls",
            "times the bare calls",
        ]
        verdict = "flat" if curve.is_flat else "**grows**"
        sentence = f"{verdict}: {curve.growth:.2f} times from the smallest to the largest. {WHY[curve.name]}"
        parts.append(f"### {curve.name}\n\n{table(columns, rows)}\n\n{sentence}")
    return "\n\n".join(parts)


WHY = {
    "Events": "Each event is a promotion of its own, and the function keeps nothing between two of them.",
    "Callers": "The callers share the processors of one machine with the server: while one waits, another computes. Promotions of different tags do not wait for each other.",
    "Repositories": "A promotion reads the tags that it names, and lists none.",
    "Histories": "A promotion reads and writes items by their keys. Only `GET /promotions` reads a history, a page at a time.",
    "Policies": "The function checks the rules one by one, in some microseconds each: the time is linear, and a small part of a promotion.",
}


def burst_section(burst: Burst) -> str:
    """Return the section on a burst."""
    return (
        f"## A burst\n\n{burst.events:,} scans finish within seconds on the deployed stack, while ECR serves {burst.quota} PutImage calls a second and throttles the "
        f"rest. All images were promoted after **{burst.seconds:.0f} s**; the quota alone makes it {burst.ideal:.0f} s. Lost: {burst.lost}. Moved twice: {burst.twice}. "
        f"Dead letters: {burst.failed}.\n\n![How the queue drained](benchmarks/burst.svg)"
    )
