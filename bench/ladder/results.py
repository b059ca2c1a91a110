"""The results, and the figures made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

from pydantic import TypeAdapter


@dataclass(frozen=True)
class Measured:
    """One measurement: the microseconds of CPU for each request."""

    rung: str
    round: int
    cpu: float


@dataclass(frozen=True)
class Spread:
    """The median of a figure over the rounds, with the quartiles around it."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, figures: list[float]) -> Spread:
        """The spread of figures."""
        return cls(*quantiles(figures, n=4, method="inclusive")) if len(figures) > 1 else cls(*figures * 3)


@dataclass(frozen=True)
class Results:
    """The results of a run."""

    command: str
    rounds: int
    requests: int
    connections: int
    machine: Mapping[str, str]
    measurements: tuple[Measured, ...]

    @property
    def rungs(self) -> tuple[str, ...]:
        """The names of the rungs, the lowest first."""
        return tuple(dict.fromkeys(each.rung for each in self.measurements if each.round == 0))

    def cpu(self, rung: str) -> list[float]:
        """The CPU of a request on a rung, by round."""
        found = sorted((each for each in self.measurements if each.rung == rung), key=lambda each: each.round)
        return [each.cpu for each in found]

    def whole(self, rung: str) -> Spread:
        """The CPU of a request with all layers up to this one."""
        return Spread.of(self.cpu(rung))

    def added(self, rung: str) -> Spread:
        """The CPU that the layer of a rung adds to the one below it in the same round."""
        place = self.rungs.index(rung)
        if not place:
            return self.whole(rung)
        below = self.cpu(self.rungs[place - 1])
        return Spread.of([here - there for here, there in zip(self.cpu(rung), below, strict=True)])


_RESULTS = TypeAdapter(Results)


def read(file: Path) -> Results | None:
    """The results of a file, None if there is none."""
    return _RESULTS.validate_json(file.read_bytes()) if file.exists() else None


def write(file: Path, results: Results) -> None:
    """Write results to a file."""
    file.write_bytes(_RESULTS.dump_json(results, indent=1) + b"\n")
