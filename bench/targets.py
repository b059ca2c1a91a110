"""The targets of Jobgate, as data; each figure is computed from the results of one run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench.markdown import verdict
from bench.plan import A_THOUSAND, AFTER_50_MS, AFTER_100_MS, AT_ONCE, EXTRAS
from bench.results import NotMeasured, Place, Results, latency, throughput

ONE = Place(AT_ONCE.name, 1)
BUSY = Place(AT_ONCE.name, 64)
NEAR = Place(AFTER_50_MS.name, 64)
WAITING = Place(AFTER_100_MS.name, 1_000)
CROWDED = Place(A_THOUSAND.name, 1_000)
AMONG_EXTRAS = Place(EXTRAS.name, 64)

LEDGER, NO_LEDGER = "jobgate", "jobgate-without-ledger"

RECORD = (
    "nearly half of a request's CPU is its record in the ledger ([the ladder](#the-ladder)): two commits, each with"
    " events, their chained hashes and the searched row. Tried: one writer for all (ADR 10), a write-ahead log that"
    " begins anew in the same space, which took a sixth off a commit (ADR 13), statements of many rows, which were"
    " slower, and a slim schema, which gained less than one percent."
)
LAYERS = (
    "the layer of the engine is the largest ([the ladder](#the-ladder)), and its profile is flat. Tried: a compiled"
    " plan and a way past Connexion's layers (ADR 12), which nearly halved it, and a transport of our own (ADR 11). The"
    " floor checks nothing, and translates by a line of Python."
)
DELAYS = (
    "two commits wait for the disk, before and after the vendor's call. Tried: answers of a commit in slices (ADR 12)."
)
NATIVE = (
    "a request takes as much CPU as one of the unified API, within a few percent, which is as much as a run can tell."
    " Each was walked value by value to find that nothing of it is lost, which made it 0.86 times (ADR 12)."
)
SHORT = (
    "each measurement begins with 100 ms without an answer, which count the more the shorter it is. With four seconds"
    " it was 94% in the run of version 0.1.0."
)


@dataclass(frozen=True)
class Target:
    """A target. `shown` is the format of its figures; `with_ledger`: Jobgate has its ledger.

    `reason`: why it is missed, and what was tried, if it is.
    """

    what: str
    limit: float
    figure: Callable[[Results], float]
    shown: str
    at_least: bool = True
    with_ledger: bool = False
    reason: str = ""

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
    def is_missed(self) -> bool:
        """True if it was measured, and is not met."""
        return self.figure is not None and not self.target.met_by(self.figure)

    @property
    def verdict(self) -> str:
        """Met, missed, or neither."""
        if self.figure is None:
            return "-"
        return verdict(is_met=not self.is_missed)


def times(other: str, contender: str = NO_LEDGER, place: Place = BUSY) -> Callable[[Results], float]:
    """The ratio of a contender's throughput to another's."""
    return lambda results: results.ratio(place, contender, other, throughput)


def slower(contender: str, place: Place) -> Callable[[Results], float]:
    """The ratio of a contender's median latency to the floor's."""
    return lambda results: results.ratio(place, contender, "floor", latency)


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


TARGETS = (
    Target("Throughput, to the floor's", 0.75, times("floor", LEDGER), "{:.0%}", with_ledger=True, reason=RECORD),
    Target(
        "Throughput, to that of express-openapi-validator",
        2,
        times("express", LEDGER),
        "{:.1f} times",
        with_ledger=True,
        reason=RECORD,
    ),
    Target("Throughput, to that of Prism", 4, times("prism", LEDGER), "{:.1f} times", with_ledger=True, reason=RECORD),
    Target(
        "Median latency at a vendor of 50 ms, to the floor's",
        1.15,
        slower(LEDGER, NEAR),
        "{:.2f} times",
        at_least=False,
        with_ledger=True,
        reason=DELAYS,
    ),
    Target(
        "Throughput of the native API, to that of the unified API",
        1,
        times(LEDGER, "jobgate-native", AMONG_EXTRAS),
        "{:.2f} times",
        with_ledger=True,
        reason=NATIVE,
    ),
    Target("Throughput, to the floor's", 0.9, times("floor"), "{:.0%}", reason=LAYERS),
    Target(
        "Throughput, to that of Connexion FlaskApp + requests",
        6,
        times("connexion-flask"),
        "{:.1f} times",
        reason=LAYERS,
    ),
    Target("Throughput, to that of FastAPI + httpx", 8, times("fastapi"), "{:.1f} times", reason=LAYERS),
    Target(
        "Median latency with one connection, to the floor's",
        1.6,
        slower(NO_LEDGER, ONE),
        "{:.2f} times",
        at_least=False,
        reason=LAYERS,
    ),
    Target("Errors with 1,000 requests in flight", 0, errors, "{:.0f}", at_least=False),
    Target(
        "Throughput with 1,000 requests in flight, to what is possible",
        0.9,
        of_what_is_possible,
        "{:.0%}",
        reason=SHORT,
    ),
)


def judge(results: Results) -> Iterator[Judged]:
    """Every target with its figure."""
    for target in TARGETS:
        try:
            yield Judged(target, target.figure(results))
        except NotMeasured:
            yield Judged(target, None)
