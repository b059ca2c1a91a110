"""The page: docs/resilience-figures.md, made from the results alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.markdown import table
from bench.resilience.plot import recovery_svg
from bench.resilience.results import Amplification, Isolation, Overload, Results, read, write

PAGE = "resilience-figures.md"
FOLDER = "resilience"
RESULTS = "results.json"
PLOT = "recovery.svg"

NOTICE = "<!-- Made by `python -m bench resilience` from resilience/results.json; edit what it is made from. -->"
ABOUT = """\
A gateway as it is served (`jobgate serve`, one worker, its ledger in SQLite), with vendors and clients of the
benchmark's own beside it on the machine's other core. What [resilience.md](resilience.md) promises, in figures."""
AMPLIFICATION = """\
**Amplification.** Reads, 50 a second for 15 seconds on each of three connections, whose vendors answer 500 or 503 or
break off; once as the gateway is, and once with a circuit breaker that never opens, so that only the retry budget
limits. A connection begins with ten retries saved up, which the figure leaves out."""
ISOLATION = """\
**Isolation.** A connection with a vendor that answers after 20 ms is asked 200 times a second, half of it actions: by
itself, and then beside one that is asked 100 times a second and whose vendor takes requests and never answers. In the
rounds without a breaker 200 requests hang at once all the time. The ratio is that of the median round."""
RECOVERY = """\
**Recovery.** A vendor is asked 20 times a second, fails until it is left alone, and is well again. Until the first
answer comes through, no call reaches it but the one that tries."""
OVERLOAD = """\
**Overload.** A vendor does 20 requests at once, in 100 ms each, and the connection may send as many and let 20 wait. 24
clients that ask again when they are answered show its peak; then ten times as many requests come by the clock. What
cannot be done is refused: 503 `connection-busy` with Retry-After. An action that is refused has its row in the ledger
all the same."""
STOPPING = """\
**Stopping.** 40 clients ask again and again on connections that they keep, and connect anew where one ends, until
nobody lets them in. A second later the gateway is told to stop (SIGTERM). An answer is lost where the bytes of a
request were sent and the connection ended without one."""


@dataclass(frozen=True)
class Verdict:
    """A figure beside its target: what was reached, and the most that it may be. `unit` follows each number."""

    name: str
    reached: float
    most: float
    unit: str = ""
    digits: int = 0

    @property
    def is_met(self) -> bool:
        """Whether it is no more than it may be."""
        return self.reached <= self.most

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """Its row in the table."""
        reached = f"{self.reached:.{self.digits}f}{self.unit}"
        return self.name, f"at most {self.most:g}{self.unit}", reached, "met" if self.is_met else "**missed**"


def verdicts(results: Results) -> Iterator[Verdict]:
    """Every figure that was measured."""
    yield from map(_of_amplification, results.amplification)
    for isolated in results.isolation:
        yield from _of_isolation(isolated)
    for recovered in results.recovery:
        yield Verdict("recovery", recovered.seconds, 35, " s", 1)
        yield Verdict("calls that try", recovered.probes, 1)
    for what in dict.fromkeys(each.what for each in results.overload):
        yield from _of_overload(what, [each for each in results.overload if each.what == what])
    if results.stopping:
        yield Verdict("answers lost at SIGTERM", sum(each.lost for each in results.stopping), 0)
        yield Verdict("until it has ended", max(each.seconds for each in results.stopping), 15, " s", 1)


def _of_amplification(each: Amplification) -> Verdict:
    breaker = "" if each.with_breaker else ", without breaker"
    name = f"calls for each request, less 1/s and the {each.saved:g} saved, vendor: {each.failure}{breaker}"
    return Verdict(name, each.ratio_without_saved, 1.2, " times", 2)


def _of_isolation(each: Isolation) -> Iterator[Verdict]:
    which = "with breaker" if each.with_breaker else "without breaker"
    slowest = max(max(one.health.slowest, one.ready.slowest) for one in each.rounds)
    yield Verdict(f"a neighbour's errors, {which}", sum(one.errors_beside for one in each.rounds), 0)
    yield Verdict(f"a neighbour's slowest hundredth, {which}", each.ratio, 1.5, " times", 2)
    yield Verdict(f"health meanwhile, {which}", slowest, 100, " ms")


def _of_overload(what: str, rounds: list[Overload]) -> Iterator[Verdict]:
    yield Verdict(f"part of the peak that is not done, {what}", 1 - median(each.share for each in rounds), 0.2, "", 2)
    yield Verdict(f"slowest hundredth of the refusals, {what}", median(each.refusals.p99 for each in rounds), 50, " ms")
    yield Verdict(f"answers that are neither, {what}", sum(sum(each.others.values()) for each in rounds), 0)
    yield Verdict(f"memory grows, {what}", max(each.growth for each in rounds), 50, " MB")


def page(results: Results) -> str:
    """All of it."""
    return "\n\n".join([NOTICE, "# Figures of resilience", *_parts(results)]) + "\n"


def _parts(results: Results) -> Iterator[str]:
    yield ABOUT
    yield f"Made with `{results.command}`, in {results.seconds:.0f} seconds."
    yield table(("", "target", "reached", ""), (each.cells for each in verdicts(results))).strip()
    yield AMPLIFICATION
    yield ISOLATION
    yield _isolation(results)
    yield RECOVERY
    yield f"![Requests and calls, second by second]({FOLDER}/{PLOT})"
    yield OVERLOAD
    yield _overload(results)
    yield STOPPING
    yield _stopping(results)
    yield table(("", ""), results.machine.items()).strip()


def _isolation(results: Results) -> str:
    head = ("breaker", "median alone", "beside", "99 % alone", "beside", "hung at once")
    rounds = [(each.with_breaker, one) for each in results.isolation for one in each.rounds]
    rows = [
        (
            "with" if with_breaker else "without",
            *(f"{value:.1f} ms" for value in (one.alone.p50, one.beside.p50, one.alone.p99, one.beside.p99)),
            str(one.hanging),
        )
        for with_breaker, one in rounds
    ]
    return table(head, rows).strip()


def _overload(results: Results) -> str:
    head = ("", "peak", "asked", "done", "refused", "median", "99 %", "gateway's core")
    rows = [
        (
            *(each.what, f"{each.peak:.0f}/s", f"{each.rate:.0f}/s", f"{each.goodput:.0f}/s", f"{each.refused:,}"),
            *(f"{each.refusals.p50:.1f} ms", f"{each.refusals.p99:.1f} ms", f"{each.gateway:.0%}"),
        )
        for each in results.overload
    ]
    return table(head, rows).strip()


def _stopping(results: Results) -> str:
    answered = sum(sum(each.answers.values()) for each in results.stopping)
    last = sum(each.goodbyes for each in results.stopping)
    return f"{len(results.stopping)} rounds: {answered:,} answers, {last:,} of them the last of their connection."


def publish(folder: Path, results: Results) -> None:
    """Keep the results below a folder, and write the page."""
    write(folder / FOLDER / RESULTS, results)
    regenerate(folder)


def regenerate(folder: Path) -> list[Path]:
    """Write page and plot anew from the results; gives what was written."""
    results = read(folder / FOLDER / RESULTS)
    (folder / PAGE).write_text(page(results), encoding="utf-8")
    (folder / FOLDER / PLOT).write_bytes(recovery_svg(results.recovery[0]))
    return [folder / PAGE, folder / FOLDER / PLOT]


def missed(results: Results) -> Iterable[Verdict]:
    """The figures that miss their targets."""
    return (each for each in verdicts(results) if not each.is_met)
