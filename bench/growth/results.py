"""Results for ledgers of several sizes, their medians, and ratios within one round."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

from pydantic import TypeAdapter


@dataclass(frozen=True)
class Filled:
    """A ledger of `size` job actions: the seconds to fill it, its bytes, and the bytes added by each further one."""

    size: int
    seconds: float
    bytes: int
    added: float


@dataclass(frozen=True)
class Reading:
    """Times of pages of one kind, in milliseconds, and the median number of job actions on a page."""

    size: int
    question: str
    round: int
    p50: float
    p99: float
    found: float


@dataclass(frozen=True)
class Writing:
    """Job actions by 64 concurrent clients: the number per second, and the CPU milliseconds of each.

    `p50` and `p99` are milliseconds of a write: of a claim with its sending, or of a conclusion. 0: not measured.
    """

    size: int
    round: int
    per_second: float
    cpu: float
    p50: float = 0.0
    p99: float = 0.0


Measured: TypeAlias = Sequence[Reading] | Sequence[Writing]
Figure: TypeAlias = Callable[[Any], float]


@dataclass(frozen=True)
class Growth:
    """The results of a run. `plans` has the database's query plan for each question.

    `others` is the number of cores that other programs kept busy meanwhile, None if that was not measured.
    """

    command: str
    rounds: int
    pages: int
    machine: dict[str, str]
    filled: tuple[Filled, ...]
    plans: dict[str, tuple[str, ...]]
    readings: tuple[Reading, ...]
    writings: tuple[Writing, ...]
    others: float | None = None

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes of the ledgers, in job actions, the smallest first."""
        return tuple(each.size for each in self.filled)

    def pages_of(self, question: str) -> Sequence[Reading]:
        """All rounds of a question, for all sizes."""
        return [each for each in self.readings if each.question == question]

    def median(self, made: Measured, size: int, figure: Figure) -> float:
        """The median of a figure over the rounds of one size."""
        return median(map(figure, rounds(made, size)))

    def ratio(self, made: Measured, size: int, figure: Figure) -> float:
        """The median of the ratios of a figure to that of the smallest size in the same round; 0: not measured."""
        pairs = zip(rounds(made, size), rounds(made, self.sizes[0]), strict=True)
        return median(figure(one) / figure(smallest) if figure(smallest) else 0.0 for one, smallest in pairs)


def rounds(made: Measured, size: int) -> list[Any]:
    """The measurements of one size, in the order of rounds."""
    return sorted((each for each in made if each.size == size), key=lambda each: each.round)


_GROWTH = TypeAdapter(Growth)


def read(file: Path) -> Growth | None:
    """Read results from a file, None if it does not exist."""
    return _GROWTH.validate_json(file.read_bytes()) if file.exists() else None


def write(file: Path, growth: Growth) -> None:
    """Write results to a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(_GROWTH.dump_json(growth, indent=1) + b"\n")
