"""The measuring: gateways with one, two and four workers run at the same time, and one at a time is under load."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import load
from bench.contenders import Contender, jobgate
from bench.machine import Cores
from bench.plan import rotated
from bench.processes import Program, halted
from bench.servers import Server, running_vendor
from bench.verify import verify
from bench.workers.results import CONNECTIONS, NUMBERS, QUIET, STORAGES, Measured, Place, Results
from gateway.serving.writing import NAME

TRIES = 10
"""Seconds to wait for a quiet moment before a measurement."""
Tell = Callable[[str], None]
"""Called with a description of the present step."""
Point = tuple[str, int]
"""A storage and a number of workers."""


def contender(storage: str, workers: int) -> Contender:
    """Jobgate with so many workers."""
    return Contender(
        f"{storage}-{workers}",
        f"{workers} on {STORAGES[storage]}",
        "",
        jobgate("--no-access-log", "--workers", str(workers)),
        needs_postgresql=storage == "postgresql",
    )


@dataclass(frozen=True)
class Extent:
    """The number of rounds, the seconds of each measurement, and the cores."""

    rounds: int
    seconds: int
    cores: Cores


def measure(extent: Extent, command: str, machine: dict[str, str], tell: Tell) -> Results:
    """Make every measurement. Raises BenchError if a gateway does not start or does not do the work."""
    points = [(storage, workers) for storage in STORAGES for workers in NUMBERS]
    measurements: list[Measured] = []
    rounds, seconds, cores = extent.rounds, extent.seconds, extent.cores
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        place = stack.enter_context(running_vendor(folder, 0.0, load=cores.load, cores=cores.both))
        servers: dict[Point, Server] = {}
        for point in points:
            tell(f"starting {point}")
            servers[point] = stack.enter_context(place.serving(contender(*point)))
            verify(servers[point], place.upstream)
            load.run(servers[point].target, CONNECTIONS[0], seconds, cores.load)
        for number in range(rounds):
            for point in rotated(points, number * len(points) // rounds):
                others = [each.program for other, each in servers.items() if other != point]
                for connections in CONNECTIONS:
                    tell(f"round {number + 1}: {point}, {connections} connections")
                    with halted(others):
                        measurements.append(once(servers[point], point, connections, number, extent))
    return Results(command, seconds, rounds, machine, tuple(measurements))


def once(server: Server, point: Point, connections: int, number: int, extent: Extent) -> Measured:
    """Measure a gateway under load, and wait until it is idle again."""
    server.program.wait_until_idle()
    others = quiet(extent.cores)
    before = cpu_of(server.program)
    seen = load.run(server.target, connections, extent.seconds, extent.cores.load)
    server.program.wait_until_idle()
    used = cpu_of(server.program)
    used.subtract(before)
    cpu = {kind: spent / 1e3 / max(seen.requests, 1) for kind, spent in used.items()}
    storage, workers = point
    cores = used.total() / 1e9 / seen.seconds
    return Measured(Place(storage, connections), workers, number, seen, cpu, cores, others)


def quiet(cores: Cores) -> float:
    """Wait for a quiet moment, but not for ever. Returns the number of cores that other programs keep busy."""
    for _ in range(TRIES - 1):
        others = busy_otherwise(cores)
        if others < QUIET:
            return others
    return busy_otherwise(cores)


def busy_otherwise(cores: Cores) -> float:
    """The number of cores that are busy while nothing is measured."""
    both = Cores(cores.both, ())
    before, began = both.busy_seconds(), time.monotonic()
    time.sleep(1.0)
    return (both.busy_seconds() - before) / (time.monotonic() - began)


def cpu_of(program: Program) -> Counter[str]:
    """The nanoseconds of CPU of a gateway so far, by kind of process."""
    used: Counter[str] = Counter()
    for folder, _ in program.members():
        with suppress(OSError):
            used[kind_of(folder, program)] += sum(spent(each) for each in folder.glob("task/*"))
    return used


def kind_of(folder: Path, program: Program) -> str:
    """The kind of a process. A gateway with one worker is that worker, one with several is their supervisor."""
    if (folder / "comm").read_text().strip() == NAME:
        return "writer"
    is_first = int(folder.name) == program.process.pid
    return "supervisor" if is_first and sum(1 for _ in program.members()) > 1 else "workers"


def spent(thread: Path) -> int:
    """The nanoseconds that a thread has run, by the scheduler's accounting."""
    return int((thread / "schedstat").read_text().split()[0])
