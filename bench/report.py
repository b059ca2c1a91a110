"""The page: docs/benchmarks.md, made from the results alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from bench import plots
from bench.measure import BY_NAME
from bench.plan import SECTIONS, Section
from bench.results import NotMeasured, Place, Results, busy, latency, read, slowest, throughput, write
from bench.targets import judge

PAGE = "benchmarks.md"
FOLDER = "benchmarks"
RESULTS = "results.json"

NOTICE = "<!-- Made by `python -m bench report` from benchmarks/results.json; edit what it is made from. -->"
WORK = """\
One job action, the same for every contender: the client asks to cancel a job, with a note and a disposition code. The
contender checks the request against its document, where it checks anything, makes the vendor's documented request of
it, sends that, and answers with what came of it. Before it is measured, each contender must show that it does so: its
vendor must have seen exactly this one request, and what must be refused (an unknown member, a member of the wrong
type, an unknown key) must be refused and must not reach the vendor.

`make bench` measures for about 20 minutes and writes this page; `make bench BENCH_FLAGS=--quick` takes a first look in
three. It needs Linux, two cores and wrk, and node for three of the contenders. The code is in `bench/`."""
READING = """\
* One core is the contender's, the other is shared by the vendor and by wrk, which keeps a number of connections busy
  and waits for each answer before it asks again. Nothing leaves the machine.
* In each section every contender is started and warmed up. Then come the rounds: in each, every contender is measured
  once, and each round begins with another one. While one is measured the others are idle.
* Every figure is a median over the rounds. A ratio is the median of the ratios within each round.
* *req/s* counts good answers only. *errors* are answers other than 2xx and 3xx, broken connections, and answers that
  took longer than 2 seconds, of all answers of all rounds. What was not answered when a measurement ended is in no
  figure but req/s, which is lower for it; *no answer* means that this was all of it.
* *core* is how busy the contender kept its core. Well below 100 % it was waiting: for the vendor, or for load.
* *memory* is the peak resident memory of all of the contender's processes since its start, in the highest round.
* Python contenders run on uvicorn with uvloop and httptools, one worker, no access log; node ones as in production.
* Everyone may open enough files for a thousand connections on both sides."""
AIMS = """\
At 64 connections and with a vendor that answers at once, but for two: latency is that of one connection, and a thousand
requests are in flight when the vendor answers after 100 ms. What is possible then is Jobgate's throughput with as many
connections and a vendor that answers at once, and never more than 10,000 per second. Memory is the peak of all that,
the thousand requests in flight included."""


def regenerate(folder: Path) -> list[Path]:
    """Make the page and its plots anew from the results that are there; gives what was written."""
    results = read(folder / FOLDER / RESULTS)
    made = {folder / PAGE: page(results).encode()}
    made |= {folder / FOLDER / name: plots.svg(plot, results) for name, plot in plots.plots().items()}
    for path, content in made.items():
        path.write_bytes(content)
    return list(made)


def publish(folder: Path, results: Results) -> list[Path]:
    """Keep results, and make the page and its plots of them; gives what was written."""
    file = folder / FOLDER / RESULTS
    write(file, results)
    return [file, *regenerate(folder)]


def page(results: Results) -> str:
    """The whole page."""
    return "\n\n".join([NOTICE, "# Benchmarks", WORK, *_body(results)]) + "\n"


def _body(results: Results) -> Iterator[str]:
    length = f"{counted(results.rounds, 'round')}, {counted(results.seconds, 'second')} for each measurement"
    yield f"Made with `{results.command}`: {length}."
    yield from _left_out(results)
    yield from _disturbed(results)
    yield "## Targets"
    yield AIMS
    yield targets_table(results)
    yield "## At a glance"
    yield f"![Throughput at 64 connections]({FOLDER}/throughput.svg)"
    yield f"![Latency at 1, 16 and 64 connections]({FOLDER}/latency.svg)"
    for section in SECTIONS:
        yield from _section(section, results)
    yield "## The contenders"
    yield contenders_table(results)
    yield "## How to read it"
    yield READING
    yield "## Where it was measured"
    yield table(("", ""), results.machine.items())


def _left_out(results: Results) -> Iterator[str]:
    if results.left_out:
        yield "Left out: " + "; ".join(f"{name}: {why}" for name, why in results.left_out.items()) + "."


def _disturbed(results: Results) -> Iterator[str]:
    number = results.disturbed()
    if number:
        share = f"{number} of {len(results.measurements)} measurements"
        yield f"**Not a quiet machine:** {share} were disturbed by something else."


def targets_table(results: Results) -> str:
    """The targets, and what came of them."""
    rows = ((each.target.what, each.target.aim, each.reached, each.verdict) for each in judge(results))
    return table(("Jobgate's", "target", "reached", ""), rows, "::::")


def _section(section: Section, results: Results) -> Iterator[str]:
    places = [Place(section.name, connections) for connections in section.connections]
    kept = [place for place in places if results.contenders(place)]
    if not kept:
        return
    yield f"## {section.title}"
    yield section.about
    for place in kept:
        yield f"{counted(place.connections, 'connection')}:"
        yield place_table(place, results)


def place_table(place: Place, results: Results) -> str:
    """Every contender at one number of connections, the fastest first."""
    head = ("", "req/s", "to floor", "median", "99 %", "errors", "core", "memory")
    return table(head, (_row(place, name, results) for name in results.contenders(place)), ":-------")


def _row(place: Place, name: str, results: Results) -> Iterator[str]:
    title = BY_NAME[name].title
    yield f"**{title}**" if name == "jobgate" else title
    yield f"{results.median(place, name, throughput):,.0f}"
    yield to_floor(place, name, results)
    yield milliseconds(results.median(place, name, latency))
    yield milliseconds(results.median(place, name, slowest))
    yield errors(place, name, results)
    yield f"{results.median(place, name, busy):.0%}" if BY_NAME[name].command else "-"
    yield f"{results.memory(place, name):.0f} MB" if BY_NAME[name].command else "-"


def to_floor(place: Place, name: str, results: Results) -> str:
    """A contender's throughput to the floor's, where the floor was measured."""
    try:
        return f"{results.ratio(place, name, 'floor', throughput):.2f}"
    except NotMeasured:
        return "-"


def counted(number: int, noun: str) -> str:
    """A number with its noun: `1 round`, `3 rounds`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def milliseconds(value: float) -> str:
    """A latency, with as many places as mean something. There is none where nothing was answered."""
    if not value:
        return "-"
    return f"{value:.2f} ms" if value < 10 else f"{value:,.0f} ms"  # noqa: PLR2004 - not a quantity of anything


def errors(place: Place, name: str, results: Results) -> str:
    """How many errors there were, and of how many answers."""
    total = sum(each.load.requests for each in results.at(place, name))
    number = results.errors(place, name)
    if number:
        return f"{number:,} of {total:,}"
    return "none" if total else "no answer"


def contenders_table(results: Results) -> str:
    """What each contender is."""
    names = {each.contender for each in results.measurements}
    rows = ((each.title, each.what) for each in BY_NAME.values() if each.name in names)
    return table(("", "what it is"), rows)


def table(head: Iterable[str], rows: Iterable[Iterable[str]], sides: str = "") -> str:
    """A Markdown table. `sides` has a colon for each column of text and a hyphen for each of numbers."""
    columns = list(head)
    rules = ["---:" if side == "-" else "---" for side in sides.ljust(len(columns), ":")]
    return "\n".join(f"| {' | '.join(line)} |" for line in [columns, rules, *rows])
