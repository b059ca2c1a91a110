"""The section about batches in the page of the benchmarks."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from statistics import median

from bench.batches.measuring import STORAGES, Measured, Results
from bench.markdown import counted, is_any_missed, ranged, table, verdict
from bench.workers.results import QUIET

AIMS = (("the bare client's rate", "sqlite", 0.5), ("the rate of single actions", "sqlite", 2.0))
"""The other rate, the storage, and the least ratio to it."""
FLAT = 1.1
"""The memory after the largest batch, to that after the smallest one, at most."""
ABOUT = """\
One batch beside a bare client (aiohttp, which sends the same requests and keeps nothing) and beside single actions with
idempotency keys, on the same vendor, one after the other in each round. The vendor answers immediately. The rate of a
batch is that of its running, without its preparation. *CPU* is in microseconds for each action, by the scheduler's
accounting; that of PostgreSQL's processes is a column of its own. The ratios are medians over the rounds, with the
lowest and the highest."""


WHY = """\
An item of a batch does all that a single action does but its HTTP: it is translated and checked by the documents, and
recorded with its claim before it is sent and with its outcome after that. The [ladder](#the-ladder) has the cost of
each. Groups of 32 items took a third off an item's CPU, and one commit for the outcomes of a group and the claims of
the next, with smaller savings, another fifth (ADR 15). Of what is left, the ledger's thread and the event loop have
half each, and no function stands out."""
FIGURES = ("bare", "single", "batch", "bare_cpu", "single_cpu", "batch_cpu")
"""The figures of a row."""


def bare(measured: Measured) -> float:
    """The rate of the bare client."""
    return measured.bare


def single(measured: Measured) -> float:
    """The rate of single actions."""
    return measured.single


def part(results: Results | None) -> Iterator[str]:
    """The section, as paragraphs."""
    if results is None:
        return
    yield "## Batches"
    yield ABOUT
    rounds = len(results.rounds) // len(STORAGES)
    extent = f"{counted(rounds, 'round')}, {results.items:,} items"
    yield f"Made with `{results.command}` on {results.machine['Date']}: {extent}."
    if results.others > QUIET:
        yield f"Before the measurements, other programs kept {results.others:.2f} cores busy in the median."
    judged = list(targets(results))
    yield table(("target", "storage", "aim", "reached", ""), judged)
    if is_any_missed(judged):
        yield WHY
    head = ("storage", "bare", "single", "batch", "CPU: bare", "CPU: single", "CPU: batch", "CPU: PostgreSQL")
    yield table(head, rows(results), ":" + "-" * (len(head) - 1))
    if results.memory:
        yield "The gateway's resident memory before and after one batch, on SQLite, and how fast it was:"
        yield table(("items", "before", "after", "prepared", "run"), sizes(results), "-----")


def targets(results: Results) -> Iterator[tuple[str, ...]]:
    """The targets with the figures reached."""
    for (what, storage, aim), to in zip(AIMS, (bare, single), strict=True):
        ratios = results.ratios(storage, to)
        judged = verdict(is_met=median(ratios) >= aim, is_quiet=results.others <= QUIET)
        yield what, STORAGES[storage], f"at least {aim:.1f} times", ranged(ratios, " times"), judged
    if results.memory:
        smallest, largest = results.memory[0], results.memory[-1]
        what = f"memory after {largest.items:,} items, to that after {smallest.items:,}"
        ratio = largest.after / smallest.after
        yield what, STORAGES["sqlite"], f"at most {FLAT:.1f} times", f"{ratio:.2f} times", verdict(is_met=ratio <= FLAT)


def rows(results: Results) -> Iterator[tuple[str, ...]]:
    """A row for each storage."""
    for storage, title in STORAGES.items():
        figures = (f"{results.median(storage, attrgetter(name)):,.0f}" for name in FIGURES)
        database = f"{results.median(storage, attrgetter('database')):,.0f}" if storage == "postgresql" else "-"
        yield title, *figures, database


def sizes(results: Results) -> Iterator[tuple[str, ...]]:
    """A row for each size."""
    for each in results.memory:
        yield (
            f"{each.items:,}",
            f"{each.before:.0f} MB",
            f"{each.after:.0f} MB",
            f"{each.items / each.prepared:,.0f} a second",
            f"{each.items / each.ran:,.0f} a second",
        )
