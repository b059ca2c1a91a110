"""The part of the page that is about the ledger as it grows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from operator import attrgetter
from statistics import median

from bench.growth.questions import LIMIT
from bench.growth.results import Figure, Filled, Growth
from bench.markdown import counted, milliseconds, table

TITLE = "The ledger as it grows"
PLOT = "growth.svg"
ABOUT = """\
A year of job actions, few and many, each year in a SQLite file of its own: of two callers, on five connections, 97 % of
them applied, and nine of ten about a job that had none before. What writes them is the code of the ledger's own writer,
so the files hold what as many requests leave behind, with a hash chain that is whole; only the indexes over job actions
were made at the end. The files are asked in turn for the same, as a gateway asks them, so a ratio says what the size
alone costs. HTTP is in none of these figures."""
COSTS = """\
*bytes* is the size of a file, shared out among its job actions; *one more* is what each of those added that 64 clients
wrote afterwards, all at once: claim, sent and outcome, in commits that wait for the disk. Ratios are to the smallest
file."""
PAGES = f"""\
Pages of {LIMIT}, the newest first, by the filters of `GET /v1/job-actions`. Nobody sees job actions of others, so each
has the filter `caller` too. Nobody paused a job on the connection where that is asked for, and the rare outcome is that
of a hundred job actions, however many there are. *found by* is what SQLite says of its plan."""
READ_BY = "The events of the job actions on a page are read by {}."

_PLAN = re.compile(r"(?:SEARCH|SCAN) (?P<table>\w+)(?: USING (?:COVERING )?(?:INDEX )?(?P<by>.+))?")

median_of_pages = attrgetter("p50")
slowest_of_pages = attrgetter("p99")


def part(growth: Growth | None, folder: str) -> Iterator[str]:
    """All of it, paragraph by paragraph. The plot is in a folder beside the page."""
    yield f"## {TITLE}"
    if growth is None:
        yield "Not measured."
        return
    yield ABOUT
    length = f"{counted(growth.rounds, 'round')}, in each {counted(growth.pages, 'page')} of every kind"
    yield f"Made with `{growth.command}`: {length}."
    yield costs_table(growth)
    yield COSTS
    yield f"![Pages as the ledger grows]({folder}/{PLOT})"
    yield summary(growth)
    yield "What one page in a hundred exceeds:"
    yield pages_table(growth, slowest_of_pages)
    yield "The median:"
    yield pages_table(growth, median_of_pages)
    yield f"{PAGES}\n{READ_BY.format(listed(found_by(growth, 'events', growth.plans)))}"
    yield table(("", ""), growth.machine.items())


def summary(growth: Growth) -> str:
    """The largest ledger beside the smallest, in a sentence."""
    first, last = growth.sizes[0], growth.sizes[-1]
    ratios = {name: growth.ratio(growth.pages_of(name), last, slowest_of_pages) for name in growth.plans}
    worst = max(ratios, key=lambda name: ratios[name])
    return (
        f"From {first:,} to {last:,} job actions, what one page in a hundred exceeds became {ratios[worst]:.2f} times "
        f"as much at most ({worst}), and {median(ratios.values()):.2f} times as much at the median of all kinds."
    )


def costs_table(growth: Growth) -> str:
    """Each size, and what a job action costs there."""
    head = ("job actions", "file", "bytes", "one more", "job actions/s", "ratio", "CPU of each", "ratio")
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


def pages_table(growth: Growth, figure: Figure) -> str:
    """A figure of every kind of pages, at each size."""
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
    """The indexes by which rows of a table are found for these questions."""
    lines = (_PLAN.fullmatch(line) for name in questions for line in growth.plans[name])
    return list(dict.fromkeys(match["by"] or "no index" for match in lines if match and match["table"] == of))


def listed(names: Iterable[str]) -> str:
    """Names of indexes, as they are written on the page."""
    return ", ".join(f"`{name}`" for name in names)
