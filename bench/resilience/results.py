"""What was measured, as it is kept beside the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from pydantic import TypeAdapter

from bench.resilience.clients import Answer


@dataclass(frozen=True)
class Spread:
    """How long something took: how often it was measured, and milliseconds."""

    count: int
    p50: float
    p99: float
    slowest: float

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Spread:
        """Of these times."""
        times = sorted(each * 1_000 for each in seconds)
        if not times:
            return cls(0, 0.0, 0.0, 0.0)
        ninety_nine = quantiles(times, n=100, method="inclusive")[-1] if len(times) > 1 else times[0]
        return cls(len(times), median(times), ninety_nine, times[-1])


@dataclass(frozen=True)
class Amplification:
    """Reads while every call fails in one way; `calls` reached the vendor, `saved` retries were there at the start."""

    failure: str
    with_breaker: bool
    seconds: float
    saved: float
    requests: int
    calls: int
    answers: dict[str, int]
    asked_each_second: tuple[int, ...]
    called_each_second: tuple[int, ...]

    @property
    def ratio(self) -> float:
        """Calls to requests, without the one a second that is allowed beside."""
        return max(self.calls - self.seconds, 0.0) / self.requests

    @property
    def ratio_without_saved(self) -> float:
        """The same, without what was saved up before."""
        return max(self.calls - self.seconds - self.saved, 0.0) / self.requests


@dataclass(frozen=True)
class Neighbours:
    """A round: a connection by itself, and beside one whose vendor hangs.

    `errors` are all its answers but 200. `hanging`: how many requests hung at once, at most. Of the hanging connection:
    what was answered, and how long its health took, and that of the gateway.
    """

    alone: Spread
    beside: Spread
    errors_alone: int
    errors_beside: int
    hanging: int
    answers: dict[str, int]
    health: Spread
    ready: Spread

    @property
    def ratio(self) -> float:
        """What the slowest hundredth became."""
        return self.beside.p99 / self.alone.p99


@dataclass(frozen=True)
class Isolation:
    """Rounds of neighbours."""

    with_breaker: bool
    rounds: tuple[Neighbours, ...]

    @property
    def ratio(self) -> float:
        """That of the median round."""
        return median(each.ratio for each in self.rounds)


@dataclass(frozen=True)
class Recovery:
    """An outage, in seconds after the first request: when the vendor failed, was left alone, and was well again.

    `through`: when the first answer came again. `probes`: calls from when it was left alone, or if that is later was
    well again, until the first of them was answered.
    """

    outage: str
    failed: float
    opened: float
    healed: float
    through: float
    probes: int
    failed_probes: int
    asked_each_second: tuple[int, ...]
    called_each_second: tuple[int, ...]

    @property
    def seconds(self) -> float:
        """How long the vendor was well and nobody noticed."""
        return self.through - self.healed


@dataclass(frozen=True)
class Overload:
    """A round: clients that just fill the vendor, then ten times as much as it can do.

    `peak` and `goodput` are good answers per second. `others` is what was answered but good ones and refusals, which
    are 503 `connection-busy` with `Retry-After`. `late`: by how much requests were sent late. `gateway` and `load`: how
    many cores each kept busy. Memory is in MB; `memory_most` while it lasted.
    """

    what: str
    round: int
    peak: float
    rate: float
    requests: int
    goodput: float
    refused: int
    others: dict[str, int]
    refusals: Spread
    late: Spread
    gateway: float
    load: float
    most_at_vendor: int
    memory_before: float
    memory_most: float
    memory_after: float

    @property
    def share(self) -> float:
        """Goodput to the peak of the same round."""
        return self.goodput / self.peak

    @property
    def growth(self) -> float:
        """How much more memory it had, in MB."""
        return self.memory_most - self.memory_before


@dataclass(frozen=True)
class Stop:
    """A gateway that is told to stop while it is asked. `seconds`: until its process had ended. `said`: by then."""

    vendor: str
    round: int
    clients: int
    seconds: float
    status: int
    said: str
    answers: dict[str, int]
    goodbyes: int
    refused: int
    unasked: int
    lost: int


@dataclass(frozen=True)
class Results:
    """A run. What was not measured is empty."""

    command: str
    seconds: float
    machine: dict[str, str]
    amplification: tuple[Amplification, ...] = ()
    isolation: tuple[Isolation, ...] = ()
    recovery: tuple[Recovery, ...] = ()
    overload: tuple[Overload, ...] = ()
    stopping: tuple[Stop, ...] = ()


def told(answers: Iterable[Answer]) -> dict[str, int]:
    """How often there was each answer, the most frequent first."""
    return dict(Counter(each.what for each in answers).most_common())


def each_second(moments: Sequence[float], begin: float, seconds: float) -> tuple[int, ...]:
    """How many of these moments are in each second from the first one."""
    counted = Counter(int(at - begin) for at in moments)
    return tuple(counted[second] for second in range(int(seconds) + 1))


_RESULTS = TypeAdapter(Results)


def read(file: Path) -> Results:
    """Read results from a file."""
    return _RESULTS.validate_json(file.read_bytes())


def write(file: Path, results: Results) -> None:
    """Write results to a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(_RESULTS.dump_json(results, indent=1) + b"\n")
