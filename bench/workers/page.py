"""The section about workers in the page of the benchmarks, and its plot."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from matplotlib.figure import Figure

from bench.markdown import counted, is_any_missed, milliseconds, ranged, table, verdict
from bench.plots import FLOOR, OTHERS, OURS, plain
from bench.workers.results import AIMS, NUMBERS, QUIET, SLOWER, STORAGES, Results, slowest, throughput

PLOT = "workers.svg"
ABOUT = """\
One, two and four workers, each on a ledger of its own. Both cores are the gateway's, and one of them is shared with
vendor and load, so four workers cannot do more than two. On SQLite, several workers hand what they write to one
process, which commits for all of them; on PostgreSQL each writes itself. PostgreSQL's own CPU is not counted. The
vendor answers immediately. *CPU* is in microseconds for each request, by the scheduler's accounting. The ratio is that
of the throughput to that of one worker in the same round: the median, and the lowest and the highest."""


WHY = """\
The cores that two workers share carry the vendor and the load as well, and on SQLite the process that writes: its work
comes on top of theirs, while one worker writes in a thread of its own. The table shows the CPU of each. Tried: one
process that writes for all (ADR 10), which made two workers faster than one at all, pipelines to PostgreSQL, and a slim
schema, which gained less than one percent of an action."""


def part(results: Results | None, folder: str) -> Iterator[str]:
    """The section, as paragraphs."""
    if results is None:
        return
    yield "## Workers"
    yield ABOUT
    length = f"{counted(results.rounds, 'round')}, {counted(results.seconds, 'second')} for each measurement"
    yield f"Made with `{results.command}` on {results.machine['Date']}: {length}, {results.connections} connections."
    most = max(each.others for each in results.measurements)
    noise = f"{results.others:.2f} cores busy in the median, and at most {most:.2f}"
    yield f"Before the measurements, other programs kept {noise}."
    judged = list(targets(results))
    yield table(("storage", "of two workers", "target", "reached", ""), judged)
    if is_any_missed(judged):
        yield WHY
    kinds = results.kinds()
    head = ("storage", "workers", "req/s", "to one worker", "median", "99 %", "cores", *(f"CPU: {k}" for k in kinds))
    yield table(head, rows(results, kinds), "::" + "-" * (len(head) - 2))
    yield f"![Throughput and CPU by process]({folder}/{PLOT})"


def targets(results: Results) -> Iterator[tuple[str, ...]]:
    """The targets with the figures reached."""
    for storage, aim in AIMS.items():
        faster = median(results.ratios(storage, 2))
        yield target(results, storage, "throughput", f"at least {aim:.2f}", faster, is_met=faster >= aim)
        slower = median(results.ratios(storage, 2, slowest))
        yield target(results, storage, "99 %", f"at most {SLOWER:.2f}", slower, is_met=slower <= SLOWER)


def target(  # noqa: PLR0913 - the cells of a row
    results: Results, storage: str, what: str, aim: str, reached: float, *, is_met: bool
) -> tuple[str, ...]:
    """A row about two workers."""
    judged = verdict(is_met=is_met, is_quiet=results.others <= QUIET)
    return STORAGES[storage], what, f"{aim} times that of one", f"{reached:.2f} times", judged


def rows(results: Results, kinds: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """A row for each storage and number of workers."""
    for storage, title in STORAGES.items():
        for workers in NUMBERS:
            ratios = results.ratios(storage, workers)
            to_one = ranged(ratios) if workers > 1 else "-"
            yield (
                title,
                str(workers),
                f"{results.median(storage, workers, throughput):,.0f}",
                to_one,
                milliseconds(results.median(storage, workers, lambda each: each.load.p50)),
                milliseconds(results.median(storage, workers, lambda each: each.load.p99)),
                f"{results.median(storage, workers, lambda each: each.cores):.2f}",
                *(cpu(results, storage, workers, kind) for kind in kinds),
            )


def cpu(results: Results, storage: str, workers: int, kind: str) -> str:
    """The CPU of a kind of process, `-` if there is none."""
    spent = spent_by(results, storage, workers, kind)
    return f"{spent:.0f} µs" if spent else "-"


def spent_by(results: Results, storage: str, workers: int, kind: str) -> float:
    """The microseconds of CPU of a kind of process for each request."""
    return results.median(storage, workers, lambda each: each.cpu.get(kind, 0.0))


def plot(results: Results) -> Figure:
    """Two panels: the throughput, and the CPU for each request by kind of process."""
    figure = Figure(figsize=(8.6, 3.2), layout="constrained")
    panels = figure.subplots(1, 2)
    names = [f"{STORAGES[storage]}\n{workers}" for storage in STORAGES for workers in NUMBERS]
    places = [(storage, workers) for storage in STORAGES for workers in NUMBERS]
    heights = [results.median(*place, throughput) for place in places]
    bars = panels[0].bar(names, heights, color=OURS)
    panels[0].bar_label(bars, [f"{height:,.0f}" for height in heights], padding=2, fontsize=8)
    panels[0].set_ylabel("requests per second")
    beneath = [0.0] * len(places)
    for kind, colour in zip(results.kinds(), (OURS, OTHERS, FLOOR), strict=False):
        used = [spent_by(results, *place, kind) for place in places]
        panels[1].bar(names, used, bottom=beneath, color=colour, label=kind)
        beneath = [low + more for low, more in zip(beneath, used, strict=True)]
    panels[1].set_ylabel("µs of CPU for each request")
    panels[1].legend(frameon=False, fontsize=8)
    for axes in panels:
        axes.tick_params(axis="x", labelsize=8)
        plain(axes)
        axes.grid(visible=False, axis="x")
    return figure
