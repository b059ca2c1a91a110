"""The plot of an outage, as SVG."""

from __future__ import annotations

from matplotlib.figure import Figure

from bench.plots import OTHERS, OURS, TEXT, plain, svg
from bench.resilience.results import Recovery


def recovery_svg(recovery: Recovery) -> bytes:
    """Requests of clients and calls at the vendor in each second, as SVG."""
    return svg(recovery_plot, recovery)


def recovery_plot(recovery: Recovery) -> Figure:
    """Two lines, with marks at the events of the outage."""
    figure = Figure(figsize=(8.6, 3.0), layout="constrained")
    axes = figure.subplots()
    seconds = range(len(recovery.asked_each_second) - 1)
    axes.step(seconds, recovery.asked_each_second[:-1], where="post", color=OTHERS, label="requests of clients")
    axes.step(seconds, recovery.called_each_second[:-1], where="post", color=OURS, label="calls at the vendor")
    marks = {"fails": recovery.failed, "recovers": recovery.healed, "used again": recovery.through}
    for name, at in marks.items():
        axes.axvline(at, color=TEXT, linestyle=":", linewidth=1)
        axes.annotate(name, (at, axes.get_ylim()[1]), rotation=90, va="top", ha="right", fontsize=8, color=TEXT)
    axes.set_xlabel("seconds")
    axes.set_ylabel("per second")
    axes.legend(frameon=False)
    plain(axes)
    return figure
