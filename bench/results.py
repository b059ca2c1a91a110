"""What was measured, round by round, and what is made of it: medians, and ratios within one round."""

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

    `busy` is how much of a core the contender used, `others` how much of its core something else did. `memory` is the
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
"""Cores. The kernel's own work is in it too."""

Figure = Callable[[Measurement], float]


def throughput(measured: Measurement) -> float:
    """Good answers per second."""
    return measured.load.good


def latency(measured: Measurement) -> float:
    """The median latency in milliseconds."""
    return measured.load.p50


def slowest(measured: Measurement) -> float:
    """The latency in milliseconds that one in a hundred requests exceeds."""
    return measured.load.p99


def busy(measured: Measurement) -> float:
    """How many cores the contender kept busy."""
    return measured.busy


class NotMeasured(Exception):
    """There is no such measurement, because something was left out."""


@dataclass(frozen=True)
class Place:
    """A section, at so many connections."""

    section: str
    connections: int


@dataclass(frozen=True)
class Results:
    """A run. `machine` says where it was, `left_out` which contenders are missing and why."""

    command: str
    seconds: int
    rounds: int
    machine: dict[str, str]
    left_out: dict[str, str]
    measurements: tuple[Measurement, ...]

    def at(self, place: Place, contender: str) -> list[Measurement]:
        """Every round of a contender. Raises NotMeasured where there is none."""
        found = [
            each
            for each in self.measurements
            if (each.section, each.connections, each.contender) == (place.section, place.connections, contender)
        ]
        if not found:
            raise NotMeasured(contender)
        return sorted(found, key=lambda each: each.round)

    def contenders(self, place: Place) -> tuple[str, ...]:
        """Who was measured there, the fastest first."""
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
        """The median of what a contender's figure is to another's of the same round."""
        pairs = zip(self.at(place, contender), self.at(place, other), strict=True)
        return median(quotient(figure(mine), figure(theirs)) for mine, theirs in pairs)

    def memory(self, place: Place, contender: str) -> float:
        """The most memory that a contender has had."""
        return max(each.memory for each in self.at(place, contender))

    def disturbed(self) -> int:
        """How many measurements something else took part in, or held up."""
        return sum(each.others > _NOT_MUCH or each.load.held_up(self.seconds) for each in self.measurements)

    def errors(self, place: Place, contender: str) -> int:
        """All errors of all rounds."""
        return sum(each.load.errors for each in self.at(place, contender))


def quotient(mine: float, theirs: float) -> float:
    """Their quotient, infinite where the other did nothing at all."""
    return mine / theirs if theirs else float("inf")


_RESULTS = TypeAdapter(Results)


def read(file: Path) -> Results:
    """Read results from a file."""
    return _RESULTS.validate_json(file.read_bytes())


def write(file: Path, results: Results) -> None:
    """Write results to a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(_RESULTS.dump_json(results, indent=1) + b"\n")
