"""What was measured of ledgers of several sizes, and what is made of it: medians, and ratios within one round."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

from pydantic import TypeAdapter


@dataclass(frozen=True)
class Filled:
    """A ledger of `size` job actions: how long it took to make, its bytes, and those that each further one added."""

    size: int
    seconds: float
    bytes: int
    added: float


@dataclass(frozen=True)
class Reading:
    """Pages of one kind, in milliseconds, and how many job actions were on each, at the median."""

    size: int
    question: str
    round: int
    p50: float
    p99: float
    found: float


@dataclass(frozen=True)
class Writing:
    """Job actions by 64 clients at once: how many in a second, and the milliseconds of CPU that each took."""

    size: int
    round: int
    per_second: float
    cpu: float


Measured: TypeAlias = Sequence[Reading] | Sequence[Writing]
Figure: TypeAlias = Callable[[Any], float]


@dataclass(frozen=True)
class Growth:
    """A run. `plans` says of each question how its pages are found, in the words of the database."""

    command: str
    rounds: int
    pages: int
    machine: dict[str, str]
    filled: tuple[Filled, ...]
    plans: dict[str, tuple[str, ...]]
    readings: tuple[Reading, ...]
    writings: tuple[Writing, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many job actions the ledgers have, the smallest first."""
        return tuple(each.size for each in self.filled)

    def pages_of(self, question: str) -> Sequence[Reading]:
        """Every round of a question, of all sizes."""
        return [each for each in self.readings if each.question == question]

    def median(self, made: Measured, size: int, figure: Figure) -> float:
        """A figure of one size, in the median round."""
        return median(map(figure, rounds(made, size)))

    def ratio(self, made: Measured, size: int, figure: Figure) -> float:
        """What a figure of one size is to that of the smallest, in the median round."""
        pairs = zip(rounds(made, size), rounds(made, self.sizes[0]), strict=True)
        return median(figure(one) / figure(smallest) for one, smallest in pairs)


def rounds(made: Measured, size: int) -> list[Any]:
    """What was measured of one size, round by round."""
    return sorted((each for each in made if each.size == size), key=lambda each: each.round)


_GROWTH = TypeAdapter(Growth)


def read(file: Path) -> Growth | None:
    """Read results from a file, None where there is none."""
    return _GROWTH.validate_json(file.read_bytes()) if file.exists() else None


def write(file: Path, growth: Growth) -> None:
    """Write results to a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(_GROWTH.dump_json(growth, indent=1) + b"\n")
