"""The part of the page about ledgers of growing size."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from operator import attrgetter
from statistics import median

from bench.growth.questions import LIMIT
from bench.growth.results import Figure, Filled, Growth
from bench.markdown import counted, is_any_missed, milliseconds, table, verdict

TITLE = "Ledgers of growing size"
PLOT = "growth.svg"
ABOUT = """\
Years with few and with many job actions, each in its own SQLite file: two callers, five connections, 97 % of the job
actions applied, and nine of ten on a job without an earlier one. The code of the ledger's own writer wrote them, so the
files are those that as many requests produce, with a complete hash chain; only the indexes over job actions were
created at the end. The files get the same queries in turn, as from a gateway, so a ratio shows the cost of size alone.
No figure includes HTTP."""
COSTS = """\
*bytes* is the size of a file divided by the number of its job actions. *one more* is the size of each further job
action: 64 concurrent clients wrote them afterwards, with claim, sending and outcome, in commits that wait for the disk.
*a write* is the median time until a claim with its sending, or an outcome, is on the disk. Ratios are to the smallest
file."""
PAGES = f"""\
Pages of {LIMIT}, newest first, by the filters of `GET /v1/job-actions`. A caller sees only its own job actions, so each
query has the filter `caller` too. The search for `pause` is on a connection without paused jobs. The rare outcome is
that of about a hundred job actions, whatever the size. *found by* is from SQLite's query plan."""
AIM = 1.5
"""Largest ratio of the 99th percentile in a larger ledger to that in the smallest."""
QUIET = 0.2
"""Number of cores that other programs may keep busy. With more, all sizes wait, and a ratio says little."""
WHY = """\
The 99th percentile of one kind in one round is decided by {pages} of its pages, so that one pause of the machine shows
as a kind that is slow at one size and not at another; the worst of all kinds is where it does. The medians below are
without pauses."""
READ_BY = "The events of the job actions on a page are read by {}."

_PLAN = re.compile(r"(?:SEARCH|SCAN) (?P<table>\w+)(?: USING (?:COVERING )?(?:INDEX )?(?P<by>.+))?")

p50 = attrgetter("p50")
p99 = attrgetter("p99")


def part(growth: Growth | None, folder: str) -> Iterator[str]:
    """The paragraphs of this part. The plot is in `folder`, beside the page."""
    yield f"## {TITLE}"
    if growth is None:
        yield "Not measured."
        return
    yield ABOUT
    length = f"{counted(growth.rounds, 'round')}, in each {counted(growth.pages, 'page')} of every kind"
    yield f"Made with `{growth.command}`: {length}."
    if growth.others is None:
        yield "How busy other programs kept the machine was not measured, so no target is judged."
    else:
        yield f"Meanwhile, other programs kept {growth.others:.2f} cores busy."
    judged = list(targets(growth))
    yield table(("99th percentile of", "target", "reached", ""), judged)
    if is_any_missed(judged):
        yield WHY.format(pages=growth.pages // 100)
    yield costs_table(growth)
    yield COSTS
    yield f"![Pages as the ledger grows]({folder}/{PLOT})"
    yield summary(growth)
    yield "99th percentile:"
    yield pages_table(growth, p99)
    yield "The median:"
    yield pages_table(growth, p50)
    yield f"{PAGES}\n{READ_BY.format(listed(found_by(growth, 'events', growth.plans)))}"
    yield table(("", ""), growth.machine.items())


def targets(growth: Growth) -> Iterator[tuple[str, ...]]:
    """The targets with the figures reached, as ratios of the larger ledgers to the smallest."""
    first, *larger = growth.sizes
    for size in larger:
        pages = [growth.ratio(growth.pages_of(name), size, p99) for name in growth.plans]
        yield target(growth, f"a write: {size:,} to {first:,}", growth.ratio(growth.writings, size, p99))
        yield target(growth, f"a page, in the median of all kinds: {size:,} to {first:,}", median(pages))
        yield target(growth, f"a page of the worst kind: {size:,} to {first:,}", max(pages))


def target(growth: Growth, what: str, ratio: float) -> tuple[str, ...]:
    """A row of the targets. A ratio of 0 was not measured."""
    if not ratio:
        return what, f"at most {AIM}", "-", "not measured"
    judged = "not judged" if growth.others is None else verdict(is_met=ratio <= AIM, is_quiet=growth.others < QUIET)
    return what, f"at most {AIM}", f"{ratio:.2f}", judged


def summary(growth: Growth) -> str:
    """A sentence that compares the largest ledger with the smallest."""
    first, last = growth.sizes[0], growth.sizes[-1]
    ratios = {name: growth.ratio(growth.pages_of(name), last, p99) for name in growth.plans}
    worst = max(ratios, key=lambda name: ratios[name])
    return (
        f"From {first:,} to {last:,} job actions, the 99th percentile of a page's time grew to at most "
        f"{ratios[worst]:.2f} times ({worst}), and to {median(ratios.values()):.2f} times in the median of all kinds."
    )


def costs_table(growth: Growth) -> str:
    """The cost of a job action at each size."""
    head = (
        *("job actions", "file", "bytes", "one more", "job actions/s", "ratio", "CPU of each", "ratio"),
        *("a write", "99 %", "ratio"),
    )
    return table(head, (_costs(growth, each) for each in growth.filled), "-" * len(head))


def _costs(growth: Growth, filled: Filled) -> Iterator[str]:
    size = filled.size
    yield f"{size:,}"
    yield f"{filled.bytes / 1e6:,.0f} MB"
    yield f"{filled.bytes / size:,.0f}"
    yield f"{filled.added:,.0f}"
    yield f"{growth.median(growth.writings, size, attrgetter('per_second')):,.0f}"
    yield f"{growth.ratio(growth.writings, size, attrgetter('per_second')):.2f}"
    yield milliseconds(growth.median(growth.writings, size, attrgetter("cpu")))
    yield f"{growth.ratio(growth.writings, size, attrgetter('cpu')):.2f}"
    yield milliseconds(growth.median(growth.writings, size, p50))
    yield milliseconds(growth.median(growth.writings, size, p99))
    ratio = growth.ratio(growth.writings, size, p99)
    yield f"{ratio:.2f}" if ratio else "-"


def pages_table(growth: Growth, figure: Figure) -> str:
    """A figure of every kind of page, at each size."""
    first, *_, last = growth.sizes
    head = ("", *(f"{size:,}" for size in growth.sizes), f"{last:,} to {first:,}", "found by")
    return table(head, (_pages(growth, name, figure) for name in growth.plans), f":{'-' * (len(head) - 2)}:")


def _pages(growth: Growth, name: str, figure: Figure) -> Iterator[str]:
    pages = growth.pages_of(name)
    yield name
    yield from (milliseconds(growth.median(pages, size, figure)) for size in growth.sizes)
    yield f"{growth.ratio(pages, growth.sizes[-1], figure):.2f}"
    yield listed(found_by(growth, "job_actions", [name]))


def found_by(growth: Growth, of: str, questions: Iterable[str]) -> list[str]:
    """The indexes by which these questions find rows of a table."""
    lines = (_PLAN.fullmatch(line) for name in questions for line in growth.plans[name])
    return list(dict.fromkeys(match["by"] or "no index" for match in lines if match and match["table"] == of))


def listed(names: Iterable[str]) -> str:
    """Names of indexes, formatted for the page."""
    return ", ".join(f"`{name}`" for name in names)
