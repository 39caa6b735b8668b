"""The graphs of the report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from bench.burst import Burst
from bench.growth import Curve
from bench.lab import BARE, LEDGER
from bench.warm import Scenario

INK, OURS, THEIRS = "#444444", "#1f6feb", "#9aa4b2"
mpl.rcParams |= {
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 9,
    "savefig.facecolor": "white",
    "svg.fonttype": "none",
    "svg.hashsalt": "ecr-promoter",  # the same figures give the same bytes
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def draw(folder: Path, scenarios: Sequence[Scenario], curves: Sequence[Curve], burst: Burst) -> None:
    """Draw all graphs and write them to a folder."""
    folder.mkdir(exist_ok=True)
    saved(warm(scenarios[1]), folder / "warm.svg")
    saved(grown(curves), folder / "growth.svg")
    saved(drained(burst), folder / "burst.svg")


def warm(scenario: Scenario) -> Figure:
    """Draw how long each way takes, including the processes that other tools start."""
    figure = Figure(figsize=(7, 2.6), layout="constrained")
    axes = figure.subplots()
    names = list(reversed(scenario.samples))
    medians = [scenario.samples[name].median for name in names]
    ours = [name.startswith("promote") or name == "HTTP call" for name in names]
    bars = axes.barh(names, medians, color=[OURS if own else THEIRS for own in ours])
    axes.bar_label(bars, [f"{median:,.0f} ms" for median in medians], padding=3)
    axes.set(xscale="log", xlim=(1, None), xlabel="milliseconds, logarithmic", title=scenario.name.capitalize())
    axes.margins(x=0.15)
    return figure


def grown(curves: Sequence[Curve]) -> Figure:
    """Draw how long a promotion takes at each size, beside the bare calls."""
    figure = Figure(figsize=(10, 2.6), layout="constrained")
    for axes, curve in zip(figure.subplots(1, len(curves)), curves, strict=True):
        line(axes, curve, LEDGER, OURS)
        line(axes, curve, BARE, THEIRS)
        axes.set(xscale="log", xlabel=curve.name.lower(), ylim=(0, None))
    figure.axes[0].set_ylabel("milliseconds a promotion")
    figure.axes[0].legend(frameon=False, fontsize=7)
    return figure


def line(axes: Any, curve: Curve, way: str, color: str) -> None:
    """Draw one way at all sizes, with its quartiles."""
    samples = curve.promotion if way == LEDGER else curve.bare
    sizes = list(samples)
    axes.plot(sizes, [samples[size].median for size in sizes], color=color, marker="o", markersize=3, label=way)
    low, high = zip(*(samples[size].spread for size in sizes), strict=True)
    axes.fill_between(sizes, low, high, color=color, alpha=0.2, linewidth=0)


def drained(burst: Burst) -> Figure:
    """Draw how the queue drains after a burst, beside what the quota allows."""
    figure = Figure(figsize=(7, 2.6), layout="constrained")
    axes = figure.subplots()
    seconds, done = zip(*burst.drained, strict=True)
    axes.plot([0, burst.ideal], [0, burst.events], color=THEIRS, label=f"quota: {burst.quota} a second")
    axes.plot(seconds, done, color=OURS, label="promoted")
    axes.set(xlabel="seconds since the scans finished", ylabel="promotions", xlim=(0, None), ylim=(0, None))
    axes.legend(frameon=False)
    return figure


def saved(figure: Figure, file: Path) -> None:
    """Write a graph without the time at which it was made."""
    figure.savefig(file, metadata={"Date": None})
