"""Results of all rounds, their medians, and ratios within one round."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from pydantic import TypeAdapter

from bench.load import Load


@dataclass(frozen=True)
class Measurement:
    """One contender under load.

    `busy` is the share of a core that the contender used, `others` the share that other programs used. `memory` is the
    peak since the contender's start, in MB.
    """

    section: str
    contender: str
    connections: int
    round: int
    load: Load
    busy: float
    others: float
    memory: float


_NOT_MUCH = 0.05
"""Tolerated share of a core for other programs. It includes the kernel's own work."""

Figure = Callable[[Measurement], float]


def throughput(measured: Measurement) -> float:
    """Good answers per second."""
    return measured.load.good


def latency(measured: Measurement) -> float:
    """The median latency in milliseconds."""
    return measured.load.p50


def slowest(measured: Measurement) -> float:
    """The 99th percentile of the latency, in milliseconds."""
    return measured.load.p99


def busy(measured: Measurement) -> float:
    """The number of cores that the contender kept busy."""
    return measured.busy


def cpu(measured: Measurement) -> float:
    """The microseconds of CPU for each answer; 0 if there were none."""
    answers = measured.load.requests / measured.load.seconds
    return 1e6 * measured.busy / answers if answers else 0.0


class NotMeasured(Exception):
    """The requested measurement is missing, because something was left out."""


@dataclass(frozen=True)
class Place:
    """A section with a number of connections."""

    section: str
    connections: int


@dataclass(frozen=True)
class Results:
    """The results of a run. `machine` describes the machine, `left_out` gives the reason for each missing contender."""

    command: str
    seconds: int
    rounds: int
    machine: dict[str, str]
    left_out: dict[str, str]
    measurements: tuple[Measurement, ...]

    def at(self, place: Place, contender: str) -> list[Measurement]:
        """All rounds of a contender. Raises NotMeasured if there are none."""
        found = [
            each
            for each in self.measurements
            if (each.section, each.connections, each.contender) == (place.section, place.connections, contender)
        ]
        if not found:
            raise NotMeasured(contender)
        return sorted(found, key=lambda each: each.round)

    def contenders(self, place: Place) -> tuple[str, ...]:
        """The contenders that were measured there, the fastest first."""
        names = {
            each.contender
            for each in self.measurements
            if (each.section, each.connections) == (place.section, place.connections)
        }
        return tuple(sorted(names, key=lambda name: (-self.median(place, name, throughput), name)))

    def median(self, place: Place, contender: str, figure: Figure) -> float:
        """The median over the rounds."""
        return median(map(figure, self.at(place, contender)))

    def ratio(self, place: Place, contender: str, other: str, figure: Figure) -> float:
        """The median of the ratios of two contenders' figures within the same round."""
        return median(self.ratios(place, contender, other, figure))

    def ratios(self, place: Place, contender: str, other: str, figure: Figure) -> list[float]:
        """The ratios of two contenders' figures within each round, the lowest first."""
        pairs = zip(self.at(place, contender), self.at(place, other), strict=True)
        return sorted(quotient(figure(mine), figure(theirs)) for mine, theirs in pairs)

    def memory(self, place: Place, contender: str) -> float:
        """The peak memory of a contender, in MB."""
        return max(each.memory for each in self.at(place, contender))

    def disturbed(self) -> int:
        """The number of measurements that other programs disturbed or delayed."""
        return sum(each.others > _NOT_MUCH or each.load.held_up(self.seconds) for each in self.measurements)

    def errors(self, place: Place, contender: str) -> int:
        """The number of errors in all rounds."""
        return sum(each.load.errors for each in self.at(place, contender))


def quotient(mine: float, theirs: float) -> float:
    """The quotient, infinite if the second value is 0."""
    return mine / theirs if theirs else float("inf")


_RESULTS = TypeAdapter(Results)


def read(file: Path) -> Results:
    """Read results from a file."""
    return _RESULTS.validate_json(file.read_bytes())


def write(file: Path, results: Results) -> None:
    """Write results to a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(_RESULTS.dump_json(results, indent=1) + b"\n")
