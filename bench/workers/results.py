"""The results, and the figures made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import NamedTuple

from pydantic import TypeAdapter

from bench.load import Load

NUMBERS = (1, 2, 4)
"""Numbers of workers."""
CONNECTIONS = (64, 256)
"""Numbers of connections of all workers together."""
STORAGES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
AIMS = {"sqlite": 1.5, "postgresql": 1.4}
"""Throughput of two workers to that of one, at least."""
SLOWER = 1.0
"""The 99th percentile of two workers to that of one, at most."""
QUIET = 0.1
"""Most cores that other programs may keep busy where targets are judged."""


class Place(NamedTuple):
    """A storage, and a number of connections, at which numbers of workers are compared."""

    storage: str
    connections: int


PLACES = tuple(Place(storage, connections) for storage in STORAGES for connections in CONNECTIONS)


@dataclass(frozen=True)
class Measured:
    """One measurement. `cpu` has the microseconds of CPU for each request, by kind of process.

    `others` is the number of cores that other programs kept busy in the second before it.
    """

    place: Place
    workers: int
    round: int
    load: Load
    cpu: Mapping[str, float]
    cores: float
    others: float


Figure = Callable[[Measured], float]


def throughput(measured: Measured) -> float:
    """Successful answers in a second."""
    return measured.load.good


def slowest(measured: Measured) -> float:
    """The 99th percentile of the latency, in milliseconds."""
    return measured.load.p99


@dataclass(frozen=True)
class Results:
    """The results of a run."""

    command: str
    seconds: int
    rounds: int
    machine: Mapping[str, str]
    measurements: tuple[Measured, ...]

    def at(self, place: Place, workers: int) -> list[Measured]:
        """All rounds of a number of workers, in order."""
        found = [each for each in self.measurements if (each.place, each.workers) == (place, workers)]
        return sorted(found, key=lambda each: each.round)

    def median(self, place: Place, workers: int, figure: Figure) -> float:
        """The median over the rounds."""
        return median(map(figure, self.at(place, workers)))

    def ratios(self, place: Place, workers: int, figure: Figure = throughput) -> list[float]:
        """The ratio of a figure to that of one worker, in each round, sorted."""
        pairs = zip(self.at(place, workers), self.at(place, 1), strict=True)
        return sorted(figure(many) / figure(one) for many, one in pairs)

    @property
    def others(self) -> float:
        """The cores that other programs kept busy, in the median. Above `QUIET`, ratios show who got more of them."""
        return median(each.others for each in self.measurements)

    def kinds(self) -> tuple[str, ...]:
        """The kinds of processes, in the order in which they are shown."""
        found = {kind for each in self.measurements for kind in each.cpu}
        return tuple(kind for kind in ("workers", "writer", "supervisor") if kind in found)


_RESULTS = TypeAdapter(Results)


def read(file: Path) -> Results | None:
    """Read results from a file, None if there are none."""
    return _RESULTS.validate_json(file.read_bytes()) if file.exists() else None


def write(file: Path, results: Results) -> None:
    """Write results to a file."""
    file.write_bytes(_RESULTS.dump_json(results, indent=1) + b"\n")
