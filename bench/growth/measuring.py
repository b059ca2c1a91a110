"""The measuring: ledgers of several sizes stand side by side, and each is asked the same in turn."""

from __future__ import annotations

import asyncio
import gc
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
from bench.growth.questions import CALLER, LIMIT, QUESTIONS, Asker, asker, plan
from bench.growth.results import Filled, Growth, Reading, Writing
from bench.plan import rotated
from gateway.domain.clock import SystemClock
from gateway.domain.model import JobAction
from gateway.domain.record import JobActionRecord, Requested
from gateway.ledger.database import Database
from gateway.ledger.ledger import SqlLedger
from gateway.startup.serve import settle_in

CLIENTS = 64
"""How many write at once."""
_CLOCK = SystemClock()
_CANCEL = JobAction("cancel", "8780b28c-7079-4de1-9143-4d369289e958", {"note": "Closing job"})

Show = Callable[[str, int, int], None]
"""Takes what is being done now, how far that is, and how far it goes."""


@dataclass(frozen=True)
class Extent:
    """How much is measured: ledgers of these sizes, and in each round so many pages of a kind, and job actions."""

    sizes: tuple[int, ...]
    rounds: int
    pages: int
    job_actions: int

    def up_to(self, largest: int) -> Extent:
        """The same without ledgers that are larger, but for the smallest."""
        kept = tuple(size for size in self.sizes if size <= largest)
        return Extent(kept or self.sizes[:1], self.rounds, self.pages, self.job_actions)


WHOLE = Extent((5_000, 50_000, 500_000, 5_000_000), rounds=5, pages=100, job_actions=20 * CLIENTS)
QUICK = Extent((5_000, 50_000), rounds=1, pages=50, job_actions=10 * CLIENTS)


@dataclass(frozen=True)
class Subject:
    """A ledger that is measured."""

    year: Year
    seconds: float
    bytes: int
    database: Database
    ledger: SqlLedger
    asker: Asker

    @property
    def size(self) -> int:
        """How many job actions it was filled with."""
        return self.year.size


def measure(extent: Extent, command: str, machine: dict[str, str], show: Show) -> Growth:
    """Fill the ledgers, in a folder that is deleted at the end, and measure them."""
    with TemporaryDirectory(prefix="jobgate-bench-") as folder:
        subjects = [filled(Path(folder) / str(size), size, show) for size in extent.sizes]
        plans = {name: plan_of(name, subjects) for name in QUESTIONS}
        with settled_in():
            readings, writings = asyncio.run(side_by_side(subjects, extent, show))
        sizes = tuple(grown(each, extent) for each in subjects)
    return Growth(command, extent.rounds, extent.pages, machine, sizes, plans, tuple(readings), tuple(writings))


@contextmanager
def settled_in() -> Iterator[None]:
    """Until the block ends, Python collects garbage as it does in a gateway that serves."""
    before = gc.get_threshold()
    settle_in()
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def filled(folder: Path, size: int, show: Show) -> Subject:
    """Make a ledger."""
    database = Database.in_folder(folder)
    year = Year(size, datetime.now(UTC))
    start = time.monotonic()
    fill(database, year, lambda done: show(f"growth: filling a ledger of {size:,}", done, size))
    seconds = time.monotonic() - start
    ledger = SqlLedger(database, _CLOCK)
    return Subject(year, seconds, file_bytes(database), database, ledger, asker(database, year))


def file_bytes(database: Database) -> int:
    """How large a database is, all of which is in its one file while nobody has it open."""
    return Path(database.name).stat().st_size


def grown(subject: Subject, extent: Extent) -> Filled:
    """What became of a ledger that is closed, into which job actions were written while it was measured."""
    more = CLIENTS + extent.rounds * extent.job_actions
    added = (file_bytes(subject.database) - subject.bytes) / more
    return Filled(subject.size, subject.seconds, subject.bytes, added)


def plan_of(question: str, subjects: Sequence[Subject]) -> tuple[str, ...]:
    """How the ledgers find the pages of a question: each line that one of their databases says, once."""
    plans = (plan(each.database, QUESTIONS[question](each.asker)) for each in subjects)
    return tuple(dict.fromkeys(line for lines in plans for line in lines))


async def side_by_side(subjects: Sequence[Subject], extent: Extent, show: Show) -> tuple[list[Reading], list[Writing]]:
    """Measure the ledgers, first as they are and then while they are written to, and close them."""
    readings: list[Reading] = []
    writings: list[Writing] = []
    async with AsyncExitStack() as stack:
        for subject in subjects:
            stack.push_async_callback(subject.ledger.close)
            await subject.ledger.start()
        for number in range(-1, extent.rounds):  # the first is to warm up
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
    """Ask each ledger in turn for a page, so often; what slows down one of them slows down the others too."""
    milliseconds: dict[int, list[float]] = {each.size: [] for each in subjects}
    found: dict[int, list[int]] = {each.size: [] for each in subjects}
    for _ in range(pages):
        for each in subjects:
            asked = QUESTIONS[question](each.asker)
            start = time.perf_counter()
            page = await each.ledger.page(asked.selection, LIMIT, asked.before)
            milliseconds[each.size].append((time.perf_counter() - start) * 1_000)
            found[each.size].append(len(page.items))
    return [
        Reading(size, question, number, median(times), percentile(times), median(found[size]))
        for size, times in milliseconds.items()
    ]


def percentile(times: Sequence[float]) -> float:
    """What one in a hundred exceeds."""
    return quantiles(times, n=100, method="inclusive")[-1]


async def write(subject: Subject, number: int, job_actions: int) -> Writing:
    """Have as many clients as there are write so many job actions, one after another each."""
    cpu, start = cpu_seconds(), time.perf_counter()
    await asyncio.gather(*(client(subject.ledger, job_actions // CLIENTS) for _ in range(CLIENTS)))
    seconds = time.perf_counter() - start
    return Writing(subject.size, number, job_actions / seconds, (cpu_seconds() - cpu) / job_actions * 1_000)


async def client(ledger: SqlLedger, job_actions: int) -> None:
    """Write job actions as the engine does: the claim, that it is sent, and what came of it."""
    for _ in range(job_actions):
        now = _CLOCK.now()
        record = JobActionRecord(_CLOCK.new_id(now), Requested(now, CALLER, "emea", VENDOR, _CANCEL))
        sent, concluded = applied(now)
        await ledger.claim(record, now + SOON, None)
        await ledger.append(await ledger.sent(record, sent), concluded, None)


def cpu_seconds() -> float:
    """The time that this process has kept a core busy so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
