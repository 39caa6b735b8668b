"""docs/benchmarks.md, made of one run's results; never edited by hand."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from bench import cold, warm
from bench.asset import Asset
from bench.cold import Cold
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
    seconds: float


def write(results: Results, file: Path) -> None:
    """Write the page."""
    sections = [
        head(results),
        budgets(results),
        warm_section(results.warm),
        cold_section(results.cold),
        asset_section(results.asset),
    ]
    file.write_text("\n\n".join(sections) + "\n")


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
    one = results.warm.scenarios[0].samples
    cold_wall = results.cold.wall
    lines = [
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
- **Cold.** A second client (DynamoDB: its model is parsed at start), four more calls (findings, freezes, two transactions), the
  Powertools logger and metrics, and our own modules; the import tree below says how much each. A call has its routes besides. What
  would bring both under their budgets is to leave boto3 and use its core, botocore, directly: about 50 ms less in a trial. boto3 is
  the SDK's public face, so it stays."""


def budget(what: str, measured: float, limit: float) -> list[str]:
    """Return one line of the table of budgets."""
    return [what, f"{limit:g}", f"{measured:.2f}", "met" if measured <= limit else "**above**"]


def ratio(samples: dict[str, Samples], way: str, base: str) -> float:
    """Return how many times as long one way takes as another."""
    return samples[way].median / samples[base].median


def warm_section(results: Warm) -> str:
    """Tell the warm promotions, a table a scenario."""
    parts = ["## Warm"]
    if results.left_out:
        parts.append(f"Not installed here, and left out: {', '.join(results.left_out)}.")
    for scenario in results.scenarios:
        parts.append(f"### {scenario.name.capitalize()}\n\n{scenario_table(scenario)}")
    parts.append(COUNTED)
    return "\n\n".join(parts)


COUNTED = """Requests and bytes are counted at the server for one promotion. Only `skopeo copy` asks for layers at all, and only whether they are
there: no layer byte moves."""


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
        "first promotion. An event: one finding call, two of ECR's, three of the ledger's.\n\n"
        + table(["from nothing to a promotion", "wall, ms", "CPU, ms", "times the baseline"], rows)
        + "\n\nWhat the imports of the event path cost, each with all that it imports first:\n\n"
        + table(["module", "ms"], imports)
    )


def asset_section(results: Asset) -> str:
    """Tell the asset's weight."""
    rows = [[f"`{part.name}`", f"{part.zipped:,}", f"{part.unzipped:,}"] for part in results.parts]
    rows.append(["**all**", f"{results.zipped:,}", f"{results.unzipped:,}"])
    return "## Asset\n\n" + table(["part", "bytes zipped", "bytes unzipped"], rows)
