"""The section about workers in the page of the benchmarks, and its plot."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from matplotlib.figure import Figure

from bench.markdown import counted, is_any_missed, milliseconds, ranged, table, verdict
from bench.plots import FLOOR, OTHERS, OURS, plain
from bench.workers.results import AIMS, NUMBERS, PLACES, QUIET, SLOWER, STORAGES, Place, Results, slowest, throughput

PLOT = "workers.svg"
ABOUT = """\
One, two and four workers, each on a ledger of its own. Both cores are the gateway's, and one of them is shared with
vendor and load, so four workers cannot do more than two. On SQLite, several workers hand what they write to one
process, which commits for all of them; on PostgreSQL each writes itself. PostgreSQL's own CPU is not counted. The
vendor answers immediately. *CPU* is in microseconds for each request, by the scheduler's accounting. The ratio is that
of the throughput to that of one worker in the same round: the median, and the lowest and the highest. The plot shows
the most connections."""


WHY = """\
The cores that two workers share carry the vendor and the load as well, and on SQLite the process that writes: its work
comes on top of theirs, while one worker writes in a thread of its own. The table shows the CPU of each. With few
connections both cores are idle for a part of the time: each request waits for two commits, and each of two workers has
only half of them, so that there is little to do meanwhile. Tried: one process that writes for all (ADR 10), connections
that are shared evenly (ADR 2), which both made two workers faster, priority for the process that writes, which did not,
and pipelines to PostgreSQL."""


def part(results: Results | None, folder: str) -> Iterator[str]:
    """The section, as paragraphs."""
    if results is None:
        return
    yield "## Workers"
    yield ABOUT
    length = f"{counted(results.rounds, 'round')}, {counted(results.seconds, 'second')} for each measurement"
    yield f"Made with `{results.command}` on {results.machine['Date']}: {length}."
    most = max(each.others for each in results.measurements)
    noise = f"{results.others:.2f} cores busy in the median, and at most {most:.2f}"
    yield f"Before the measurements, other programs kept {noise}."
    judged = list(targets(results))
    yield table(("storage", "connections", "of two workers", "target", "reached", ""), judged, ":-:")
    if is_any_missed(judged):
        yield WHY
    kinds = results.kinds()
    cpus = (f"CPU: {kind}" for kind in kinds)
    head = ("storage", "connections", "workers", "req/s", "to one worker", "median", "99 %", "cores", *cpus)
    yield table(head, rows(results, kinds), ":" + "-" * (len(head) - 1))
    yield f"![Throughput and CPU by process]({folder}/{PLOT})"


def targets(results: Results) -> Iterator[tuple[str, ...]]:
    """The targets with the figures reached."""
    for place in PLACES:
        aim = AIMS[place.storage]
        faster = median(results.ratios(place, 2))
        yield target(results, place, "throughput", f"at least {aim:.2f}", faster, is_met=faster >= aim)
        slower = median(results.ratios(place, 2, slowest))
        yield target(results, place, "99 %", f"at most {SLOWER:.2f}", slower, is_met=slower <= SLOWER)


def target(  # noqa: PLR0913 - the cells of a row
    results: Results, place: Place, what: str, aim: str, reached: float, *, is_met: bool
) -> tuple[str, ...]:
    """A row about two workers."""
    judged = verdict(is_met=is_met, is_quiet=results.others <= QUIET)
    return (*named(place), what, f"{aim} times that of one", f"{reached:.2f} times", judged)


def named(place: Place) -> tuple[str, str]:
    """A place, as the first cells of a row."""
    return STORAGES[place.storage], str(place.connections)


def rows(results: Results, kinds: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """A row for each place and number of workers."""
    for place in PLACES:
        for workers in NUMBERS:
            ratios = results.ratios(place, workers)
            to_one = ranged(ratios) if workers > 1 else "-"
            yield (
                *named(place),
                str(workers),
                f"{results.median(place, workers, throughput):,.0f}",
                to_one,
                milliseconds(results.median(place, workers, lambda each: each.load.p50)),
                milliseconds(results.median(place, workers, lambda each: each.load.p99)),
                f"{results.median(place, workers, lambda each: each.cores):.2f}",
                *(cpu(results, place, workers, kind) for kind in kinds),
            )


def cpu(results: Results, place: Place, workers: int, kind: str) -> str:
    """The CPU of a kind of process, `-` if there is none."""
    spent = spent_by(results, place, workers, kind)
    return f"{spent:.0f} µs" if spent else "-"


def spent_by(results: Results, place: Place, workers: int, kind: str) -> float:
    """The microseconds of CPU of a kind of process for each request."""
    return results.median(place, workers, lambda each: each.cpu.get(kind, 0.0))


def plot(results: Results) -> Figure:
    """Two panels: the throughput, and the CPU for each request by kind of process, with the most connections."""
    figure = Figure(figsize=(8.6, 3.2), layout="constrained")
    panels = figure.subplots(1, 2)
    most = max(place.connections for place in PLACES)
    places = [(place, workers) for place in PLACES if place.connections == most for workers in NUMBERS]
    names = [f"{STORAGES[place.storage]}\n{workers}" for place, workers in places]
    heights = [results.median(*each, throughput) for each in places]
    bars = panels[0].bar(names, heights, color=OURS)
    panels[0].bar_label(bars, [f"{height:,.0f}" for height in heights], padding=2, fontsize=8)
    panels[0].set_ylabel("requests per second")
    beneath = [0.0] * len(places)
    for kind, colour in zip(results.kinds(), (OURS, OTHERS, FLOOR), strict=False):
        used = [spent_by(results, *each, kind) for each in places]
        panels[1].bar(names, used, bottom=beneath, color=colour, label=kind)
        beneath = [low + more for low, more in zip(beneath, used, strict=True)]
    panels[1].set_ylabel("µs of CPU for each request")
    panels[1].legend(frameon=False, fontsize=8)
    for axes in panels:
        axes.tick_params(axis="x", labelsize=8)
        plain(axes)
        axes.grid(visible=False, axis="x")
    return figure
