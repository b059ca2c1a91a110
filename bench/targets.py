"""The targets: what Jobgate is to reach, as data, each computed from the results of one run.

Most of them hold it against contenders that keep no record, and judge it without its ledger.
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
    """One of them. `shown` is how its figures are written, `with_ledger` whether Jobgate has its ledger."""

    what: str
    limit: float
    figure: Callable[[Results], float]
    shown: str
    at_least: bool = True
    with_ledger: bool = False

    @property
    def aim(self) -> str:
        """What is to be reached."""
        return f"at {'least' if self.at_least else 'most'} {self.shown.format(self.limit)}"

    def met_by(self, figure: float) -> bool:
        """Whether a figure reaches it."""
        return figure >= self.limit if self.at_least else figure <= self.limit


@dataclass(frozen=True)
class Judged:
    """A target and what came of it: nothing where it could not be measured."""

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
    """How many times another contender's throughput it is."""
    return lambda results: results.ratio(place, contender, other, throughput)


def added_latency(results: Results) -> float:
    """What Jobgate adds to the floor's latency, to what the floor itself adds to the vendor's."""
    rounds = zip(*(results.at(ONE, name) for name in (NO_LEDGER, "floor", "straight")), strict=True)
    return median(
        quotient(latency(jobgate) - latency(floor), latency(floor) - latency(straight))
        for jobgate, floor, straight in rounds
    )


def of_what_is_possible(results: Results) -> float:
    """Throughput while a thousand wait, to what the wait allows or, if that is less, the CPU.

    The CPU allows as much as with a thousand connections and a vendor that answers at once.
    """
    wait_allows = WAITING.connections / AFTER_100_MS.delay
    cpu_allows = results.median(CROWDED, NO_LEDGER, throughput)
    return results.median(WAITING, NO_LEDGER, throughput) / min(wait_allows, cpu_allows)


def errors(results: Results) -> float:
    """Everything that went wrong while a thousand waited."""
    return results.errors(WAITING, NO_LEDGER)


def memory(results: Results) -> float:
    """The most memory that was resident, the thousand requests in flight included."""
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
        "Throughput asked as the vendor is, to that asked by the unified API",
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
