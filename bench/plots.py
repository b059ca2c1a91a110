"""The plots, as SVG. The same results give the same file, and the colours suit light and dark backgrounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any, TypeVar

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.growth.page import p99
from bench.growth.results import Growth
from bench.measure import BY_NAME
from bench.plan import AT_ONCE, EVERYONE
from bench.results import NotMeasured, Place, Results, latency, slowest, throughput
from bench.targets import BUSY

TEXT, GRID, OURS, LESS, FLOOR, OTHERS = "#757c85", "#757c8533", "#1f9d63", "#78c3a0", "#9a8a5a", "#5b8bd0"
COLOURS = {"jobgate": OURS, "jobgate-without-ledger": LESS, "floor": FLOOR}
# Keys of type Any, because matplotlib's type for them lists all names.
STYLE: dict[Any, Any] = {
    # Makes the ids in the file reproducible.
    "svg.hashsalt": "jobgate",
    "font.size": 10,
    "legend.labelcolor": TEXT,
    **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), TEXT),
}

Made = TypeVar("Made")


def plots() -> dict[str, Callable[[Results], Figure]]:
    """Every plot by the name of its file."""
    return {"throughput.svg": throughput_plot, "latency.svg": latency_plot}


def svg(plot: Callable[[Made], Figure], results: Made) -> bytes:
    """A plot as the content of an SVG file."""
    paper = BytesIO()
    with mpl.rc_context(STYLE):
        plot(results).savefig(paper, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return paper.getvalue()


def throughput_plot(results: Results) -> Figure:
    """Bars: requests per second at 64 connections."""
    names = list(reversed(measured(results)))
    figure = Figure(figsize=(8.6, 0.42 * len(names) + 1.1), layout="constrained")
    axes = figure.subplots()
    heights = [results.median(BUSY, name, throughput) for name in names]
    bars = axes.barh(titles(names), heights, color=[COLOURS.get(name, OTHERS) for name in names], height=0.62)
    axes.bar_label(bars, [f"{height:,.0f}" for height in heights], padding=4)
    if "floor" in names:
        axes.axvline(results.median(BUSY, "floor", throughput), color=FLOOR, linestyle="--", linewidth=1)
    axes.set_xlim(0, max(heights, default=1) * 1.12)
    axes.set_xlabel("requests per second, 64 connections, one core (dashed: the floor)")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    plain(axes)
    return figure


def latency_plot(results: Results) -> Figure:
    """A line for each contender and number of connections, from the median latency to the 99th percentile."""
    names = list(reversed(measured(results)))
    figure = Figure(figsize=(8.6, 0.36 * len(names) + 1.3), layout="constrained")
    panels: Sequence[Axes] = figure.subplots(1, len(AT_ONCE.connections), sharey=True)
    for axes, connections in zip(panels, AT_ONCE.connections, strict=True):
        draw_latencies(axes, results, Place(AT_ONCE.name, connections), names)
        axes.set_title(f"{connections} connection{'s' if connections > 1 else ''}", fontsize=10)
        plain(axes)
    figure.supxlabel("latency in ms, from the median (dot) to the 99th percentile (bar)", fontsize=10)
    return figure


def draw_latencies(axes: Axes, results: Results, place: Place, names: Sequence[str]) -> None:
    """Draw the lines for one number of connections."""
    medians = [results.median(place, name, latency) for name in names]
    ends = [results.median(place, name, slowest) for name in names]
    colours = [COLOURS.get(name, OTHERS) for name in names]
    rows = range(len(names))
    axes.hlines(rows, medians, ends, colors=colours, linewidth=2)
    axes.scatter(medians, rows, c=colours, s=34, zorder=3)
    axes.scatter(ends, rows, c=colours, s=60, marker="|", zorder=3)
    axes.set_yticks(rows, titles(names))
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.margins(x=0.12)


def growth_plot(growth: Growth) -> Figure:
    """A line for each kind of page: the 99th percentile of its time, by the size of the ledger."""
    figure = Figure(figsize=(8.6, 4.2), layout="constrained")
    axes = figure.subplots()
    lines = {name: [growth.median(growth.pages_of(name), size, p99) for size in growth.sizes] for name in growth.plans}
    colours = mpl.color_sequences["tab20"]
    for (name, values), colour in zip(lines.items(), colours, strict=False):
        axes.plot(growth.sizes, values, label=name.replace("`", ""), color=colour, marker="o", markersize=4)
    axes.set_xscale("log")
    axes.set_xticks(growth.sizes, [f"{size:,}" for size in growth.sizes])
    axes.set_ylim(0, 1.1 * max(max(values) for values in lines.values()))
    axes.set_xlabel("job actions in the ledger")
    axes.set_ylabel("99th percentile in ms")
    figure.legend(loc="outside right upper", frameon=False, fontsize=9)
    plain(axes)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    return figure


def measured(results: Results) -> list[str]:
    """The contenders that forward requests and were measured at 1, 16 and 64 connections, the fastest first."""
    return [name for name in results.contenders(BUSY) if name in EVERYONE and everywhere(results, name)]


def everywhere(results: Results, name: str) -> bool:
    """True if a contender was measured at each number of connections."""
    try:
        return all(results.at(Place(AT_ONCE.name, connections), name) for connections in AT_ONCE.connections)
    except NotMeasured:
        return False


def titles(names: Sequence[str]) -> list[str]:
    """The titles of contenders."""
    return [BY_NAME[name].title for name in names]


def plain(axes: Axes) -> None:
    """Remove decoration from the axes."""
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", which="both", color=GRID)
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
