"""The page docs/resilience-figures.md, generated from the results alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.markdown import table, verdict
from bench.resilience.plot import recovery_svg
from bench.resilience.results import Amplification, Isolation, Overload, Results, read, write

PAGE = "resilience-figures.md"
FOLDER = "resilience"
RESULTS = "results.json"
PLOT = "recovery.svg"

NOTICE = "<!-- Made by `python -m bench resilience` from resilience/results.json; edit what it is made from. -->"
ABOUT = """\
Figures for the promises of [resilience.md](resilience.md). The gateway is `jobgate serve` with one worker and its
ledger in SQLite. The benchmark's own vendors and clients run on the machine's other core."""
AMPLIFICATION = """\
**Amplification.** 50 reads per second for 15 seconds on each of three connections, whose vendors answer 500, answer
503, or reset the connection; once with the default settings, and once with a circuit breaker that never opens, so that
only the retry budget limits the calls. A connection starts with ten saved retries, which the figure leaves out."""
ISOLATION = """\
**Isolation.** A connection gets 200 requests per second, half of them actions; its vendor answers after 20 ms. It is
measured alone, and then beside a connection with 100 requests per second whose vendor never answers. In the rounds
without a breaker, 200 requests hang at any time. The ratio is that of the median round."""
RECOVERY = """\
**Recovery.** A vendor gets 20 requests per second, fails until the breaker opens, and then recovers. Until the first
successful answer, only the breaker's probe reaches the vendor."""
OVERLOAD = """\
**Overload.** A vendor handles 20 requests at the same time, in 100 ms each. The connection sends up to 20 and lets 20
wait. 24 clients, each of which sends its next request after an answer, show the peak; then ten times as many requests
are sent at fixed times. Requests beyond the limits are refused: 503 `connection-busy` with Retry-After. A refused
action has its row in the ledger too."""
STOPPING = """\
**Stopping.** 40 clients send requests on persistent connections, and reconnect when one ends, until connections are
refused. After one second the gateway gets SIGTERM. An answer is lost if a request was sent and the connection ended
without an answer."""


@dataclass(frozen=True)
class JudgedFigure:
    """A figure and its upper limit. `unit` is written after each number."""

    name: str
    reached: float
    most: float
    unit: str = ""
    digits: int = 0

    @property
    def is_met(self) -> bool:
        """True if the figure is within its limit."""
        return self.reached <= self.most

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """The row of the figure in the table."""
        reached = f"{self.reached:.{self.digits}f}{self.unit}"
        return self.name, f"at most {self.most:g}{self.unit}", reached, verdict(is_met=self.is_met)


def judged_figures(results: Results) -> Iterator[JudgedFigure]:
    """All measured figures with their limits."""
    yield from map(_of_amplification, results.amplification)
    for isolated in results.isolation:
        yield from _of_isolation(isolated)
    for recovered in results.recovery:
        yield JudgedFigure("recovery", recovered.seconds, 35, " s", 1)
        yield JudgedFigure("probes of the breaker", recovered.probes, 1)
    for what in dict.fromkeys(each.what for each in results.overload):
        yield from _of_overload(what, [each for each in results.overload if each.what == what])
    if results.stopping:
        yield JudgedFigure("answers lost at SIGTERM", sum(each.lost for each in results.stopping), 0)
        yield JudgedFigure("time until the end", max(each.seconds for each in results.stopping), 15, " s", 1)


def _of_amplification(each: Amplification) -> JudgedFigure:
    breaker = "" if each.with_breaker else ", without breaker"
    name = f"calls per request, without 1/s and the {each.saved:g} saved, vendor: {each.failure}{breaker}"
    return JudgedFigure(name, each.ratio_without_saved, 1.2, " times", 2)


def _of_isolation(each: Isolation) -> Iterator[JudgedFigure]:
    which = "with breaker" if each.with_breaker else "without breaker"
    slowest = max(max(one.health.slowest, one.ready.slowest) for one in each.rounds)
    yield JudgedFigure(f"errors of the other connection, {which}", sum(one.errors_beside for one in each.rounds), 0)
    yield JudgedFigure(f"99th percentile of the other connection, {which}", each.ratio, 1.5, " times", 2)
    yield JudgedFigure(f"slowest answer to health, {which}", slowest, 100, " ms")


def _of_overload(what: str, rounds: list[Overload]) -> Iterator[JudgedFigure]:
    yield JudgedFigure(f"share of the peak that is lost, {what}", 1 - median(each.share for each in rounds), 0.2, "", 2)
    yield JudgedFigure(f"99th percentile of refusals, {what}", median(each.refusals.p99 for each in rounds), 50, " ms")
    yield JudgedFigure(f"other answers, {what}", sum(sum(each.others.values()) for each in rounds), 0)
    yield JudgedFigure(f"growth of memory, {what}", max(each.growth for each in rounds), 50, " MB")


def page(results: Results) -> str:
    """The whole page."""
    return "\n\n".join([NOTICE, "# Figures of resilience", *_parts(results)]) + "\n"


def _parts(results: Results) -> Iterator[str]:
    yield ABOUT
    yield f"Made with `{results.command}`, in {results.seconds:.0f} seconds."
    yield table(("", "target", "reached", ""), (each.cells for each in judged_figures(results))).strip()
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
    head = ("breaker", "median alone", "beside", "99 % alone", "beside", "hanging")
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
    head = ("", "peak", "load", "done", "refused", "median", "99 %", "gateway's core")
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
    return f"{len(results.stopping)} rounds: {answered:,} answers, {last:,} of them the last on their connections."


def publish(folder: Path, results: Results) -> None:
    """Store the results below a folder, and write the page."""
    write(folder / FOLDER / RESULTS, results)
    regenerate(folder)


def regenerate(folder: Path) -> list[Path]:
    """Regenerate page and plot from the stored results; returns the written files."""
    results = read(folder / FOLDER / RESULTS)
    (folder / PAGE).write_text(page(results), encoding="utf-8")
    (folder / FOLDER / PLOT).write_bytes(recovery_svg(results.recovery[0]))
    return [folder / PAGE, folder / FOLDER / PLOT]


def missed(results: Results) -> Iterable[JudgedFigure]:
    """The figures beyond their limits."""
    return (each for each in judged_figures(results) if not each.is_met)
