"""The targets of Jobgate, as data; each figure is computed from the results of one run.

Most of them compare Jobgate without its ledger, since the other contenders keep no records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

from bench.plan import A_THOUSAND, AFTER_100_MS, AT_ONCE, EXTRAS, WORKERS
from bench.results import NotMeasured, Place, Results, latency, quotient, throughput

ONE = Place(AT_ONCE.name, 1)
BUSY = Place(AT_ONCE.name, 64)
WAITING = Place(AFTER_100_MS.name, 1_000)
CROWDED = Place(A_THOUSAND.name, 1_000)
AMONG_EXTRAS = Place(EXTRAS.name, 64)
BOTH_CORES = Place(WORKERS.name, 64)

LEDGER, NO_LEDGER = "jobgate", "jobgate-without-ledger"


@dataclass(frozen=True)
class Target:
    """A target. `shown` is the format of its figures; `with_ledger`: Jobgate has its ledger."""

    what: str
    limit: float
    figure: Callable[[Results], float]
    shown: str
    at_least: bool = True
    with_ledger: bool = False

    @property
    def aim(self) -> str:
        """The target as text."""
        return f"at {'least' if self.at_least else 'most'} {self.shown.format(self.limit)}"

    def met_by(self, figure: float) -> bool:
        """True if a figure meets the target."""
        return figure >= self.limit if self.at_least else figure <= self.limit


@dataclass(frozen=True)
class Judged:
    """A target with its figure, None if it was not measured."""

    target: Target
    figure: float | None

    @property
    def reached(self) -> str:
        """The figure as text."""
        return "not measured" if self.figure is None else self.target.shown.format(self.figure)

    @property
    def verdict(self) -> str:
        """Met, missed, or neither."""
        if self.figure is None:
            return "-"
        return "met" if self.target.met_by(self.figure) else "**missed**"


def times(other: str, contender: str = NO_LEDGER, place: Place = BUSY) -> Callable[[Results], float]:
    """The ratio of a contender's throughput to another's."""
    return lambda results: results.ratio(place, contender, other, throughput)


def added_latency(results: Results) -> float:
    """The ratio of the latency that Jobgate adds to the floor's, to the latency that the floor adds to the vendor's."""
    rounds = zip(*(results.at(ONE, name) for name in (NO_LEDGER, "floor", "straight")), strict=True)
    return median(
        quotient(latency(jobgate) - latency(floor), latency(floor) - latency(straight))
        for jobgate, floor, straight in rounds
    )


def of_what_is_possible(results: Results) -> float:
    """The ratio of the throughput with a thousand waiting requests to the smaller of two limits.

    One limit is set by the vendor's delay, the other by the CPU: the throughput with a thousand connections and a
    vendor that answers immediately.
    """
    wait_allows = WAITING.connections / AFTER_100_MS.delay
    cpu_allows = results.median(CROWDED, NO_LEDGER, throughput)
    return results.median(WAITING, NO_LEDGER, throughput) / min(wait_allows, cpu_allows)


def errors(results: Results) -> float:
    """The number of errors with a thousand waiting requests."""
    return results.errors(WAITING, NO_LEDGER)


def memory(results: Results) -> float:
    """The peak resident memory in MB, including that with a thousand requests in flight."""
    return max(results.memory(place, NO_LEDGER) for place in (BUSY, WAITING))


TARGETS = (
    Target("Throughput, to the floor's", 0.45, times("floor", LEDGER), "{:.0%}", with_ledger=True),
    Target(
        "Throughput of 2 workers, to that of 1",
        1,
        times(LEDGER, "jobgate-2-workers", BOTH_CORES),
        "{:.2f} times",
        with_ledger=True,
    ),
    Target(
        "Throughput of the native API, to that of the unified API",
        1,
        times(LEDGER, "jobgate-native", AMONG_EXTRAS),
        "{:.2f} times",
        with_ledger=True,
    ),
    Target("Throughput, to the floor's", 0.7, times("floor"), "{:.0%}"),
    Target("Throughput, to that of Connexion FlaskApp + requests", 6, times("connexion-flask"), "{:.1f} times"),
    Target("Throughput, to that of FastAPI + httpx", 8, times("fastapi"), "{:.1f} times"),
    Target("Throughput, to that of Prism", 3, times("prism"), "{:.1f} times"),
    Target("Throughput, to that of express-openapi-validator", 1, times("express"), "{:.2f} times"),
    Target("Latency added to the floor's, to what the floor adds", 0.5, added_latency, "{:.2f} times", at_least=False),
    Target("Errors with 1,000 requests in flight", 0, errors, "{:.0f}", at_least=False),
    Target("Throughput with 1,000 requests in flight, to what is possible", 0.9, of_what_is_possible, "{:.0%}"),
    Target("Resident memory", 150, memory, "{:.0f} MB", at_least=False),
)


def judge(results: Results) -> Iterator[Judged]:
    """Every target with its figure."""
    for target in TARGETS:
        try:
            yield Judged(target, target.figure(results))
        except NotMeasured:
            yield Judged(target, None)
