"""The section about the ladder in the page of the benchmarks."""

from __future__ import annotations

from collections.abc import Iterator

from bench.ladder.results import Results, Spread
from bench.ladder.rungs import NAMES
from bench.markdown import counted, is_any_missed, table, verdict

ABOUT = """\
A server with one layer more on each rung, in microseconds of CPU for each request, by the scheduler's accounting over
all threads. Requests come as bytes from a client in memory, so neither a load generator nor a socket of a client is in
the figures; the vendor is another process on another core. What a layer adds is the difference to the rung below it in
the same round. Each figure is the median over the rounds, with the quartiles."""

ENGINE = "engine"
BEFORE = 105.0
"""The microseconds of CPU that the layer of the engine took before version 0.2, on a machine of this kind (ADR 12)."""
SHARE = 0.48
"""The share of it that is to be left, at most."""
WHY = """\
The profile of the engine is flat: no function of ours takes a twentieth. Tried: a compiled plan for each action and
connection, a way past Connexion's layers, and three rounds that removed calls, of which a request made 408 and makes
193 (ADR 12). What is left are the steps themselves."""


def part(results: Results | None) -> Iterator[str]:
    """The section, as paragraphs."""
    if results is None:
        return
    yield "## The ladder"
    yield ABOUT
    length = f"{counted(results.rounds, 'round')}, {counted(results.requests, 'request')} on each rung"
    yield f"Made with `{results.command}` on {results.machine['Date']}: {length}, {results.connections} connections."
    judged = list(targets(results))
    yield table(("layer", "target", "reached", ""), judged)
    if is_any_missed(judged):
        yield WHY
    yield table(("rung", "adds", "quartiles", "CPU of a request", "what it adds"), rows(results), ":---:")


def targets(results: Results) -> Iterator[tuple[str, ...]]:
    """The target of a layer, if it was measured."""
    if ENGINE in results.rungs:
        most, reached = SHARE * BEFORE, results.added(ENGINE).median
        aim = f"at most {most:.0f} µs, which is {SHARE} of what it took before version 0.2 on a machine of this kind"
        yield ENGINE, aim, f"{reached:.0f} µs", verdict(is_met=reached <= most)


def rows(results: Results) -> Iterator[tuple[str, ...]]:
    """A row for each rung, the lowest first."""
    for name in results.rungs:
        added = results.added(name)
        yield name, f"{added.median:.0f} µs", spread(added), f"{results.whole(name).median:.0f} µs", NAMES[name].about


def spread(figure: Spread) -> str:
    """The quartiles of a figure."""
    return f"{figure.low:.0f} to {figure.high:.0f} µs"
