"""The measuring: ledgers of several sizes get the same queries in turn."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

from bench.growth.filling import SOON, VENDOR, Year, applied, fill
from bench.growth.questions import CALLER, LIMIT, QUESTIONS, QuestionMaker, plan, question_maker
from bench.growth.results import Filled, Growth, Reading, Writing
from bench.machine import Cores
from bench.plan import rotated
from gateway.domain.clock import SystemClock
from gateway.domain.model import JobAction
from gateway.domain.record import JobActionRecord, Requested
from gateway.ledger.database import Database
from gateway.ledger.ledger import SqlLedger
from gateway.startup.serve import settle_in

CLIENTS = 64
"""Number of concurrent writers."""
_CLOCK = SystemClock()

Show = Callable[[str, int, int], None]
"""Called with a description of the present step, its progress and its total."""


@dataclass(frozen=True)
class Extent:
    """The extent of a run: sizes of ledgers, rounds, and pages of each kind and job actions in each round."""

    sizes: tuple[int, ...]
    rounds: int
    pages: int
    job_actions: int

    def up_to(self, largest: int) -> Extent:
        """The extent without larger ledgers. The smallest one always stays."""
        kept = tuple(size for size in self.sizes if size <= largest)
        return Extent(kept or self.sizes[:1], self.rounds, self.pages, self.job_actions)


WHOLE = Extent((5_000, 50_000, 500_000, 5_000_000), rounds=5, pages=200, job_actions=100 * CLIENTS)
QUICK = Extent((5_000, 50_000), rounds=1, pages=50, job_actions=10 * CLIENTS)


@dataclass(frozen=True)
class Subject:
    """A measured ledger."""

    year: Year
    seconds: float
    bytes: int
    database: Database
    ledger: SqlLedger
    questions: QuestionMaker

    @property
    def size(self) -> int:
        """The number of job actions with which it was filled."""
        return self.year.size


def measure(extent: Extent, command: str, machine: dict[str, str], show: Show) -> Growth:
    """Fill the ledgers, in a folder that is deleted at the end, and measure them."""
    with TemporaryDirectory(prefix="jobgate-bench-") as folder:
        subjects = [filled(Path(folder) / str(size), size, show) for size in extent.sizes]
        plans = {name: plan_of(name, subjects) for name in QUESTIONS}
        with settled_in(), busy_otherwise() as others:
            readings, writings = asyncio.run(side_by_side(subjects, extent, show))
        sizes = tuple(grown(each, extent) for each in subjects)
    made = tuple(readings), tuple(writings)
    return Growth(command, extent.rounds, extent.pages, machine, sizes, plans, *made, others())


@contextmanager
def busy_otherwise() -> Iterator[Callable[[], float]]:
    """A function that returns, after the block, how many cores other programs kept busy within it."""
    cores = Cores(tuple(sorted(os.sched_getaffinity(0))), ())
    busy, own, start = cores.busy_seconds(), cpu_seconds(), time.monotonic()
    found: list[float] = []
    yield lambda: found[0]
    spent = (cores.busy_seconds() - busy) - (cpu_seconds() - own)
    found.append(max(spent, 0.0) / (time.monotonic() - start))


@contextmanager
def settled_in() -> Iterator[None]:
    """Configure garbage collection within the block as in a running gateway."""
    before = gc.get_threshold()
    settle_in()
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def filled(folder: Path, size: int, show: Show) -> Subject:
    """Create and fill a ledger."""
    database = Database.in_folder(folder)
    year = Year(size, datetime.now(UTC))
    start = time.monotonic()
    fill(database, year, lambda done: show(f"growth: filling a ledger of {size:,}", done, size))
    seconds = time.monotonic() - start
    ledger = SqlLedger(database, _CLOCK)
    return Subject(year, seconds, file_bytes(database), database, ledger, question_maker(database, year))


def file_bytes(database: Database) -> int:
    """The size of a database in bytes. While it is closed, it is one file."""
    return Path(database.name).stat().st_size


def grown(subject: Subject, extent: Extent) -> Filled:
    """The sizes of a closed ledger, into which job actions were written during the measurements."""
    more = CLIENTS + extent.rounds * extent.job_actions
    added = (file_bytes(subject.database) - subject.bytes) / more
    return Filled(subject.size, subject.seconds, subject.bytes, added)


def plan_of(question: str, subjects: Sequence[Subject]) -> tuple[str, ...]:
    """The query plans of the ledgers for a question, each distinct line once."""
    plans = (plan(each.database, QUESTIONS[question](each.questions)) for each in subjects)
    return tuple(dict.fromkeys(line for lines in plans for line in lines))


async def side_by_side(subjects: Sequence[Subject], extent: Extent, show: Show) -> tuple[list[Reading], list[Writing]]:
    """Measure the ledgers, first reading and then writing, and close them."""
    readings: list[Reading] = []
    writings: list[Writing] = []
    async with AsyncExitStack() as stack:
        for subject in subjects:
            stack.push_async_callback(subject.ledger.close)
            await subject.ledger.start()
        for number in range(-1, extent.rounds):  # the first round is a warm-up
            order = rotated(subjects, number % len(subjects))
            for position, question in enumerate(QUESTIONS):
                show(f"growth, round {max(number, 0) + 1}: pages, {question}", position, len(QUESTIONS))
                made = await read_pages(order, question, number, extent.pages if number >= 0 else 2)
                readings += made if number >= 0 else ()
        for subject in subjects:
            await write(subject, -1, CLIENTS)
        for number in range(extent.rounds):
            show(f"growth, round {number + 1}: {CLIENTS} clients that write", number, extent.rounds)
            order = rotated(subjects, number % len(subjects))
            writings += [await write(subject, number, extent.job_actions) for subject in order]
    return readings, writings


async def read_pages(subjects: Sequence[Subject], question: str, number: int, pages: int) -> list[Reading]:
    """Read `pages` pages from each ledger in turn, so that a disturbance affects all of them."""
    milliseconds: dict[int, list[float]] = {each.size: [] for each in subjects}
    found: dict[int, list[int]] = {each.size: [] for each in subjects}
    for _ in range(pages):
        for each in subjects:
            asked = QUESTIONS[question](each.questions)
            start = time.perf_counter()
            page = await each.ledger.page(asked.selection, LIMIT, asked.before)
            milliseconds[each.size].append((time.perf_counter() - start) * 1_000)
            found[each.size].append(len(page.items))
    return [
        Reading(size, question, number, median(times), percentile(times), median(found[size]))
        for size, times in milliseconds.items()
    ]


def percentile(times: Sequence[float]) -> float:
    """The 99th percentile."""
    return quantiles(times, n=100, method="inclusive")[-1]


async def write(subject: Subject, number: int, job_actions: int) -> Writing:
    """Write `job_actions` job actions with `CLIENTS` concurrent clients."""
    times: list[float] = []
    cpu, start = cpu_seconds(), time.perf_counter()
    await asyncio.gather(*(client(subject.ledger, job_actions // CLIENTS, times) for _ in range(CLIENTS)))
    seconds = time.perf_counter() - start
    used = (cpu_seconds() - cpu) / job_actions * 1_000
    return Writing(subject.size, number, job_actions / seconds, used, median(times), percentile(times))


async def client(ledger: SqlLedger, job_actions: int, times: list[float]) -> None:
    """Write job actions as the engine does: the claim with the sending, and the conclusion.

    The milliseconds of each are added to `times`.
    """
    for _ in range(job_actions):
        now = _CLOCK.now()
        job = JobAction("cancel", _CLOCK.new_id(now), {"note": "Closing job"})
        record = JobActionRecord(_CLOCK.new_id(now), Requested(now, CALLER, "emea", VENDOR, job))
        sent, concluded = applied(now)
        start = time.perf_counter()
        await ledger.claim(record, now + SOON, None)
        longer = await ledger.sent(record, sent)
        middle = time.perf_counter()
        await ledger.append(longer, concluded, None)
        times += [(middle - start) * 1_000, (time.perf_counter() - middle) * 1_000]


def cpu_seconds() -> float:
    """The CPU seconds that this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
