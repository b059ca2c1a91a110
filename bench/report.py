"""The page: docs/benchmarks.md, made from the results alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench import plots
from bench.growth import page as growth_page
from bench.growth import results as growth_results
from bench.growth.results import Growth
from bench.markdown import counted, milliseconds, table
from bench.measure import BY_NAME
from bench.plan import SECTIONS, Section
from bench.results import NotMeasured, Place, Results, busy, latency, read, slowest, throughput, write
from bench.targets import judge

PAGE = "benchmarks.md"
FOLDER = "benchmarks"
RESULTS = "results.json"
LEDGER = "ledger.json"

NOTICE = (
    "<!-- Made by `python -m bench report` from benchmarks/results.json and benchmarks/ledger.json; "
    "edit what it is made from. -->"
)
WORK = """\
One job action, the same for every contender: the client asks to cancel a job, with a note and a disposition code. The
contender checks the request against its document, where it checks anything, makes the vendor's documented request of
it, sends that, and answers with what came of it. Before it is measured, each contender must show that it does so: its
vendor must have seen exactly this one request, and what must be refused (an unknown member, a member of the wrong
type, an unknown key) must be refused and must not reach the vendor.

`make bench` measures for about 35 minutes, needs 8 GB on the disk for a while, and writes this page; `make bench
BENCH_FLAGS=--quick` takes a first look in four. It needs Linux, two cores and wrk, and node for three of the
contenders. The code is in `bench/`."""
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
WITH_LEDGER = "Jobgate as it is served, with its ledger:"
WITHOUT_LEDGER = """\
Jobgate without its ledger. These targets were set for a gateway that keeps no durable record, as none of the other
contenders keeps one, so they judge the Jobgate whose records are in memory and end with its process. The tables below
have both, and so say what the ledger costs."""


def regenerate(folder: Path) -> list[Path]:
    """Make the page and its plots anew from the results that are there; gives what was written."""
    results, growth = kept(folder)
    made = {folder / PAGE: page(results, growth).encode()}
    made |= {folder / FOLDER / name: plots.svg(plot, results) for name, plot in plots.plots().items()}
    if growth is not None:
        made[folder / FOLDER / growth_page.PLOT] = plots.svg(plots.growth_plot, growth)
    for path, content in made.items():
        path.write_bytes(content)
    return list(made)


def kept(folder: Path) -> tuple[Results, Growth | None]:
    """The results that are there."""
    return read(folder / FOLDER / RESULTS), growth_results.read(folder / FOLDER / LEDGER)


def publish(folder: Path, results: Results | None, growth: Growth | None) -> list[Path]:
    """Keep the results that there are, and make the page and its plots of all that are kept; gives what was written."""
    files = folder / FOLDER / RESULTS, folder / FOLDER / LEDGER
    if results is not None:
        write(files[0], results)
    if growth is not None:
        growth_results.write(files[1], growth)
    written = [file for file, made in zip(files, (results, growth), strict=True) if made is not None]
    return [*written, *regenerate(folder)] if files[0].exists() else written


def page(results: Results, growth: Growth | None) -> str:
    """The whole page."""
    return "\n\n".join([NOTICE, "# Benchmarks", WORK, *_body(results, growth)]) + "\n"


def growth_part(growth: Growth) -> str:
    """What is on the page of the ledger as it grows."""
    return "\n\n".join(growth_page.part(growth, FOLDER)) + "\n"


def _body(results: Results, growth: Growth | None) -> Iterator[str]:
    length = f"{counted(results.rounds, 'round')}, {counted(results.seconds, 'second')} for each measurement"
    yield f"Made with `{results.command}`: {length}."
    yield from _left_out(results)
    yield from _disturbed(results)
    yield "## Targets"
    yield AIMS
    yield WITH_LEDGER
    yield targets_table(results, with_ledger=True)
    yield WITHOUT_LEDGER
    yield targets_table(results, with_ledger=False)
    yield "## At a glance"
    yield f"![Throughput at 64 connections]({FOLDER}/throughput.svg)"
    yield f"![Latency at 1, 16 and 64 connections]({FOLDER}/latency.svg)"
    for section in SECTIONS:
        yield from _section(section, results)
    yield from growth_page.part(growth, FOLDER)
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


def targets_table(results: Results, *, with_ledger: bool) -> str:
    """The targets of Jobgate with its ledger or without, and what came of them."""
    judged = (each for each in judge(results) if each.target.with_ledger is with_ledger)
    rows = ((each.target.what, each.target.aim, each.reached, each.verdict) for each in judged)
    return table(("", "target", "reached", ""), rows)


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
