"""Results, as stored beside the page."""

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
    """A distribution of durations, in milliseconds, and the number of measurements."""

    count: int
    p50: float
    p99: float
    slowest: float

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Spread:
        """The distribution of these durations."""
        times = sorted(each * 1_000 for each in seconds)
        if not times:
            return cls(0, 0.0, 0.0, 0.0)
        ninety_nine = quantiles(times, n=100, method="inclusive")[-1] if len(times) > 1 else times[0]
        return cls(len(times), median(times), ninety_nine, times[-1])


@dataclass(frozen=True)
class Amplification:
    """Reads while every call fails in one way. `calls` reached the vendor; `saved` is the initial retry budget."""

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
        """The ratio of calls to requests, without the one extra call per second that is allowed."""
        return max(self.calls - self.seconds, 0.0) / self.requests

    @property
    def ratio_without_saved(self) -> float:
        """The same ratio, without the initially saved retries too."""
        return max(self.calls - self.seconds - self.saved, 0.0) / self.requests


@dataclass(frozen=True)
class Neighbours:
    """A round: a connection alone, and beside one whose vendor hangs.

    `errors_…` are all answers of the connection other than 200. `hanging` is the largest number of requests that hung
    at the same time. `answers` and `health` are of the hanging connection, `ready` is of the gateway.
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
        """The ratio of the 99th percentiles, beside to alone."""
        return self.beside.p99 / self.alone.p99


@dataclass(frozen=True)
class Isolation:
    """All rounds, with the breaker or without."""

    with_breaker: bool
    rounds: tuple[Neighbours, ...]

    @property
    def ratio(self) -> float:
        """The ratio of the median round."""
        return median(each.ratio for each in self.rounds)


@dataclass(frozen=True)
class Recovery:
    """An outage: the seconds after the first request at which the vendor failed, the breaker opened, and it recovered.

    `through`: the time of the first successful answer after that. `probes`: calls between recovery and that answer.
    `failed_probes`: calls between the opening of the breaker and recovery.
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
        """The seconds from the vendor's recovery to the first successful answer."""
        return self.through - self.healed


@dataclass(frozen=True)
class Overload:
    """A round: clients that just saturate the vendor, then ten times that load.

    `peak` and `goodput` are successful answers per second. `others` are answers other than successes and refusals (503
    `connection-busy` with `Retry-After`). `late`: the delays of sending. `gateway` and `load`: the numbers of cores
    that each kept busy. Memory is in MB; `memory_most` is the peak during the overload.
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
        """The ratio of goodput to the peak of the same round."""
        return self.goodput / self.peak

    @property
    def growth(self) -> float:
        """The growth of memory during the overload, in MB."""
        return self.memory_most - self.memory_before


@dataclass(frozen=True)
class Stop:
    """A gateway that stops under load. `seconds`: until its process ended. `said`: the end of its log."""

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
    """The results of a run. Parts that were not measured are empty."""

    command: str
    seconds: float
    machine: dict[str, str]
    amplification: tuple[Amplification, ...] = ()
    isolation: tuple[Isolation, ...] = ()
    recovery: tuple[Recovery, ...] = ()
    overload: tuple[Overload, ...] = ()
    stopping: tuple[Stop, ...] = ()


def told(answers: Iterable[Answer]) -> dict[str, int]:
    """The number of each kind of answer, the most frequent first."""
    return dict(Counter(each.what for each in answers).most_common())


def each_second(moments: Sequence[float], begin: float, seconds: float) -> tuple[int, ...]:
    """The number of `moments` in each second from `begin`."""
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
