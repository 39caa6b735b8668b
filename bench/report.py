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
from bench.asset import Asset
from bench.burst import Burst
from bench.cold import Cold
from bench.growth import Curve
from bench.lab import Samples, table
from bench.warm import Scenario, Warm

PROJECT = Path(__file__).parents[1]
VERSIONS = ("boto3", "aws-lambda-powertools", "aws-cdk-lib", "ministack", "awscli")


@dataclass(frozen=True)
class Results:
    """Everything that one run measured, and how long it took."""

    warm: Warm
    cold: Cold
    asset: Asset
    curves: list[Curve]
    burst: Burst
    seconds: float


def write(results: Results, file: Path) -> None:
    """Write the page, and its pictures into a folder of the same name."""
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
    """Say what ran where."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=PROJECT, capture_output=True, text=True, check=False
    ).stdout.strip()
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in VERSIONS)
    return f"""# Benchmarks

Written by `make bench` and not edited by hand: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {results.seconds / 60:.1f} minutes,
commit {commit or "unknown"}, {platform.processor() or platform.machine()} with {os.cpu_count()} processors, {platform.system()}
{platform.release()}, Python {platform.python_version()}; {versions}.

Everything runs on one machine, against the [local AWS](local-aws.md): a call costs about the same whatever it does, as it does not on
AWS. Read the ratios of one table, not the milliseconds. In each table all ways take turns, so
that a noisy machine hurts all alike; figures are medians, with the first and third quartile."""


def budgets(results: Results) -> str:
    """Hold the figures against what was promised."""
    one, ten = results.warm.scenarios[0].samples, results.warm.scenarios[-1].traffic[warm.LEDGER]
    traffic = results.warm.scenarios[0].traffic[warm.LEDGER]
    layers = sum(
        scenario.traffic[way].layers for scenario in results.warm.scenarios for way in (warm.LEDGER, warm.HTTP)
    )
    cold_wall = results.cold.wall
    lines = [
        budget("calls of ECR for a promotion", traffic.of_ecr, 2),
        budget("calls of ECR for ten tags", ten.of_ecr, 11),
        budget("calls of ECR where there is nothing to do", results.warm.idle.of_ecr, 1),
        budget("bytes of layers that move", layers, 0),
        budget("warm promotion without ledger, over the two bare calls", ratio(one, warm.PLAIN, warm.BARE), 1.15),
        budget("warm promotion with ledger, over the two bare calls", ratio(one, warm.LEDGER, warm.BARE), 1.8),
        budget(
            "cold start by an event, over `import boto3`, client, two calls",
            ratio(cold_wall, cold.EVENT, cold.BARE),
            1.25,
        ),
        budget("cold start by a call, over the same", ratio(cold_wall, cold.HTTP, cold.BARE), 1.6),
        budget("asset, zipped, MB", results.asset.zipped / 1e6, 4.0),
    ]
    return "## Budgets\n\n" + table(["what", "budget at most", "measured", ""], lines) + "\n\n" + WHY_ABOVE


WHY_ABOVE = """What is above its budget, where it is, and why:

- **Warm, with ledger.** Two calls become four: `TransactWriteItems` before and after. Where every call costs the same, as here, nothing with
  four calls can be under 2.0; the rest is the size of the transactions (two and three items with the record as JSON). The budget of
  1.8 can only be met where a call of DynamoDB's costs less than one of ECR's. The more tags a promotion has, the less it weighs.
- **Cold, by an event.** A second client (DynamoDB: its model is parsed at start), five more calls (deferred promotions, findings, freezes, two
  transactions), the Powertools logger and metrics, and our own modules; the import tree below says how much each. What would bring
  it under the budget is to leave boto3 and use its core, botocore, directly: about 50 ms less in a trial. boto3 is the SDK's public
  face, so it stays."""


def budget(what: str, measured: float, limit: float) -> list[str]:
    """Return one line of the table of budgets."""
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
    """Tell the warm promotions, a table a scenario."""
    parts = ["## Warm\n\n![How long each way takes](benchmarks/warm.svg)"]
    if results.left_out:
        parts.append(f"Not installed here, and left out: {', '.join(results.left_out)}.")
    for scenario in results.scenarios:
        parts.append(f"### {scenario.name.capitalize()}\n\n{scenario_table(scenario)}{beside_skopeo(scenario)}")
    parts.append(COUNTED)
    return "\n\n".join(parts)


COUNTED = """Requests and bytes are counted at the server for one promotion. Only `skopeo copy` asks for layers at all, and only whether they are
there: no layer byte moves."""


def beside_skopeo(scenario: Scenario) -> str:
    """Say how a recorded and announced promotion compares with a copy."""
    if warm.SKOPEO not in scenario.samples:
        return ""
    ours, theirs = scenario.traffic[warm.LEDGER], scenario.traffic[warm.SKOPEO]
    return (
        f"\n\nA promotion, recorded and announced, takes {ratio(scenario.samples, warm.LEDGER, warm.SKOPEO):.2f} of the time of `skopeo copy`, "
        f"with {ours.requests} requests against {theirs.requests}."
    )


def scenario_table(scenario: Scenario) -> str:
    """Return one scenario's table."""
    base = scenario.samples[warm.BARE].median
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
    """Tell the cold starts."""
    rows = []
    for name, wall in results.wall.items():
        used = results.cpu[name]
        base = results.wall[cold.BARE].median
        rows.append([name, f"{wall.median:.0f}", f"{used.median:.0f}", f"{wall.median / base:.2f}"])
    imports = [[f"`{name}`", f"{cost:.1f}"] for name, cost in results.imports]
    return (
        "## Cold\n\nA fresh, isolated interpreter with the packaged asset and the SDK beside it, both compiled: from nothing to the end of the "
        "first promotion. An event: two calls of ECR, one for findings, and four of the table: deferred promotions, freezes, two transactions.\n\n"
        + table(["from nothing to a promotion", "wall, ms", "CPU, ms", "times the baseline"], rows)
        + "\n\nWhat the imports of the event path cost, each with all that it imports first:\n\n"
        + table(["module", "ms"], imports)
    )


def asset_section(results: Asset) -> str:
    """Tell the asset's weight."""
    rows = [[f"`{part.name}`", f"{part.zipped:,}", f"{part.unzipped:,}"] for part in results.parts]
    rows.append(["**all**", f"{results.zipped:,}", f"{results.unzipped:,}"])
    return "## Asset\n\n" + table(["part", "bytes zipped", "bytes unzipped"], rows)


def memory_section(results: Cold) -> str:
    """Tell what memory sizes come to, and which was chosen."""
    wall, cpu, peak = results.warm
    rows = [
        [f"{size.megabytes:,}", f"{size.first:,.0f}", f"{size.further:,.0f}", f"{size.dollars:.2f}"]
        for size in memory.sizes(results)
    ]
    return (
        f"## Memory\n\nWorked out, not measured on AWS: the event path takes {results.cpu[cold.EVENT].median:.0f} ms of processor time at a cold "
        f"start and {cpu:.1f} ms for each further promotion (of {wall:.1f} ms here), and {peak:.0f} MB at its peak. Lambda gives one processor at 1,769 MB, "
        f"and in proportion; {memory.CALLS} calls of {memory.CALL} ms each are assumed to be waited for at any size. Prices are those of arm64.\n\n"
        + table(["MB", "first promotion, ms", "each further, ms", "dollars a million"], rows)
        + "\n\n`memory` is 512: half of it doubles a cold start to save cents; twice of it costs half as much again for a wait that nobody "
        "notices at a finished scan. 128 leaves little above the peak, once Lambda's own runtime is in it."
    )


def growth_section(curves: list[Curve]) -> str:
    """Tell what a promotion costs at each size of what it might depend on."""
    head = (
        "## Growth\n\nMilliseconds a promotion takes, with ledger, beside the two bare calls in the same repository at the same time.\n\n"
        "![What a promotion costs at each size](benchmarks/growth.svg)"
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
    "Events": "Each is a promotion of its own, and nothing is kept from one to the next.",
    "Callers": "They share the processors of one machine with the server; what one waits for another uses. Tags of their own do not wait for each other.",
    "Repositories": "A promotion names its tags; it lists nothing.",
    "Histories": "It reads and writes items by their keys; only `GET /promotions` looks through a history, a page at a time.",
    "Policies": "The rules are looked at one by one, some microseconds each: linear, and little of a promotion.",
}


def burst_section(burst: Burst) -> str:
    """Tell how a burst drained."""
    return (
        f"## A burst\n\n{burst.events:,} scans finish within seconds, on the deployed stack, while ECR takes {burst.quota} PutImage a second and throttles the "
        f"rest. All were promoted after **{burst.seconds:.0f} s**; the quota alone takes {burst.ideal:.0f} s. Lost: {burst.lost}. Moved twice: {burst.twice}. "
        f"Dead letters: {burst.failed}.\n\n![How the burst drained](benchmarks/burst.svg)"
    )
