"""Memory of the workers of a gateway: idle, after many requests, after many more, and with many in flight.

It is their proportional set size: a page that several processes share counts for each of them in part.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import load
from bench.markdown import table, verdict
from bench.processes import BenchError, Program
from bench.servers import Server, running_vendor
from bench.workers.measuring import contender
from gateway.serving.supervisor import WORKER

WORKERS = 2
USUAL, MANY = 64, 1_000
"""Connections for requests one after another, and for those that are in flight at the same time."""
AFTER = 10_000
"""Requests after which the memory is taken."""
DELAY_SECONDS = 0.02
"""The vendor's delay, so that requests are in flight."""
FLIGHT_SECONDS = 5
BATCH_SECONDS = 5
SETTLE_SECONDS = 2.0
"""Time for a worker to give back what it no longer needs."""
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Memory:
    """The proportional set size of the largest worker in MB, at each moment. `more`: the requests before `later`."""

    idle: float
    after: float
    later: float
    more: int
    in_flight: float


@dataclass(frozen=True)
class Limit:
    """A target: at most so many MB."""

    what: str
    most: float
    figure: Callable[[Memory], float]

    def row(self, memory: Memory) -> tuple[str, ...]:
        """The row of the table."""
        figure = self.figure(memory)
        return (
            self.what,
            f"{figure:.0f} MB",
            f"at most {self.most:g} MB",
            verdict(is_met=figure <= self.most),
        )


LIMITS = (
    Limit("Idle", 100, lambda memory: memory.idle),
    Limit(f"After {AFTER:,} requests", 120, lambda memory: memory.after),
    # The allocator's own size varies by some MB from one moment to the next.
    Limit(f"Growth by the requests after the first {AFTER:,}", 5, lambda memory: memory.later - memory.after),
    Limit(f"With {MANY:,} requests in flight", 120, lambda memory: memory.in_flight),
)


def measure(requests: int, tell: Tell) -> Memory:
    """Run a gateway with two workers, and let it answer so many requests. Raises BenchError."""
    with (
        TemporaryDirectory(prefix="jobgate-bench-") as folder,
        running_vendor(Path(folder), DELAY_SECONDS) as vendor,
        vendor.serving(contender("sqlite", WORKERS)) as server,
    ):
        _wait_for_workers(server.program)
        tell("idle")
        idle = _settled(server.program)
        tell(f"{AFTER:,} requests")
        _ask(server, AFTER)
        after = _settled(server.program)
        more = 0
        while more < requests:
            tell(f"{more:,} of {requests:,} more requests")
            more += _ask(server, 1)
        later = _settled(server.program)
        tell(f"{MANY:,} requests in flight")
        return Memory(idle, after, later, more, _in_flight(server))


def _wait_for_workers(program: Program) -> None:
    end = time.monotonic() + load.TIMEOUT_SECONDS * 60
    while len(sizes(program)) < WORKERS:
        if time.monotonic() > end:
            raise BenchError(f"there are no {WORKERS} workers:\n{program.last_words()}")
        time.sleep(0.1)


def _ask(server: Server, least: int) -> int:
    """Send at least so many requests. Returns how many were sent."""
    sent = 0
    while sent < least:
        done = load.run(server.target, USUAL, BATCH_SECONDS)
        if not done.good:
            raise BenchError(f"no request was answered:\n{server.program.last_words()}")
        sent += done.requests
    return sent


def _in_flight(server: Server) -> float:
    """The largest size while many requests are in flight."""
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(load.run, server.target, MANY, FLIGHT_SECONDS)
        most = 0.0
        while not running.done():
            most = max(most, *sizes(server.program))
            time.sleep(0.2)
        running.result()
        return most


def _settled(program: Program) -> float:
    time.sleep(SETTLE_SECONDS)
    return max(sizes(program))


def sizes(program: Program) -> Sequence[float]:
    """The proportional set size of each worker, in MB."""
    return list(_sizes(program))


def _sizes(program: Program) -> Iterator[float]:
    for folder, _ in program.members():
        with suppress(OSError):
            if (folder / "comm").read_text().strip() == WORKER:
                lines = (folder / "smaps_rollup").read_text().splitlines()
                (size,) = (int(line.split()[1]) for line in lines if line.startswith("Pss:"))
                yield size * 1_024 / 1e6


def part(memory: Memory) -> str:
    """The part of the page."""
    about = (
        f"The proportional set size of the larger of {WORKERS} workers, with a ledger in SQLite and a vendor that "
        f"answers after {DELAY_SECONDS:g} seconds. The growth is that by {memory.more:,} requests. Memory that several "
        "processes share counts for each of them in part."
    )
    rows = [limit.row(memory) for limit in LIMITS]
    return "\n\n".join(["## Memory", about, table(("", "memory", "target", ""), rows, ":--:")])
