"""The page docs/benchmarks.md, generated from the results alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from bench import plots
from bench import short as short_run
from bench.batches import measuring as batching
from bench.batches import page as batches_page
from bench.growth import page as growth_page
from bench.growth import results as growth_results
from bench.growth.results import Growth
from bench.ladder import page as ladder_page
from bench.ladder import results as ladder_results
from bench.markdown import counted, milliseconds, ranged, table
from bench.measure import BY_NAME
from bench.plan import SECTIONS, Section
from bench.results import NotMeasured, Place, Results, busy, cpu, latency, read, slowest, throughput, write
from bench.targets import BUSY, judge
from bench.workers import page as workers_page
from bench.workers import results as workers_results

FLOOR, LEDGER_ON = "floor", "jobgate"
PAGE = "benchmarks.md"
FOLDER = "benchmarks"
RESULTS = "results.json"
LEDGER = "ledger.json"
WORKERS = "workers.json"
BATCHES = "batches.json"
LADDER = "ladder.json"
SHORT = "short.json"

NOTICE = "<!-- Made by `python -m bench report` from the results in benchmarks/; edit what it is made from. -->"
WORK = """\
Every contender does the same work: the client requests to cancel a job, with a note and a disposition code. The
contender validates the request against its document, if it validates at all, translates it to the vendor's documented
request, sends that, and answers with the outcome. Before it is measured, each contender is verified: its vendor must
receive exactly this one request, and invalid requests (an unknown member, a member of the wrong type, an unknown key)
must be refused and must not reach the vendor.

`make bench` measures for about an hour, temporarily needs 8 GB on the disk, and writes this page and that about
[start and memory](startup.md); `make bench BENCH_FLAGS=--quick` is a [short run](#the-short-run) of at most five
minutes, of the contenders alone. It needs Linux, two cores and wrk, and node for three of the contenders. The code is
in `bench/`."""
READING = """\
* The contender has one core. The vendor and wrk share the other; wrk keeps a number of connections busy and waits for
  each answer before it sends the next request. Nothing leaves the machine.
* In each section every contender is started and warmed up. In each of the rounds that follow, every contender is
  measured once, and each round starts with a different one. While one is measured, the others are halted.
* Every figure is a median over the rounds. A ratio is the median of the ratios within each round, with the lowest and
  the highest.
* *req/s* counts successful answers only. *errors* are answers other than 2xx and 3xx, broken connections, and answers
  that took longer than 2 seconds, of all answers of all rounds. Requests without an answer at the end of a measurement
  count in no figure, and lower req/s; *no answer* means that there were no answers at all.
* *CPU* is the CPU time of all of the contender's processes for each answer, in microseconds.
* *core* is the share of time for which the contender's core was busy. Well below 100 % it was waiting for the vendor or
  for load.
* *memory* is the peak resident memory of all of the contender's processes since its start, in the highest round.
* Python contenders run on uvicorn with uvloop and httptools, one worker, no access log; node ones in production mode.
* Every program can open enough files for a thousand connections on both sides."""
AIMS = """\
Measured at 64 connections and with a vendor that answers immediately, where nothing else is said. For a thousand
requests in flight, the vendor answers after 100 ms; what is possible then is Jobgate's throughput with as many
connections and a vendor that answers immediately, but at most 10,000 per second."""
WITH_LEDGER = "Jobgate with its ledger:"
WITHOUT_LEDGER = """\
Jobgate without its ledger, with its records in memory, beside contenders that keep no records either. The tables below
have both, and so show the cost of the ledger."""
OTHER_AIMS = """\
[Workers](#workers), [batches](#batches) and [ledgers of growing size](#ledgers-of-growing-size) have targets of their
own below, and [start and memory](startup.md) have a page."""


def regenerate(folder: Path) -> list[Path]:
    """Regenerate the page and its plots from the stored results; returns the written files."""
    results, growth, workers = kept(folder)
    made = {folder / PAGE: kept_page(folder).encode()}
    made |= {folder / FOLDER / name: plots.svg(plot, results) for name, plot in plots.plots().items()}
    if growth is not None:
        made[folder / FOLDER / growth_page.PLOT] = plots.svg(plots.growth_plot, growth)
    if workers is not None:
        made[folder / FOLDER / workers_page.PLOT] = plots.svg(workers_page.plot, workers)
    for path, content in made.items():
        path.write_bytes(content)
    return list(made)


def kept(folder: Path) -> tuple[Results, Growth | None, workers_results.Results | None]:
    """The stored results."""
    place = folder / FOLDER
    return read(place / RESULTS), growth_results.read(place / LEDGER), workers_results.read(place / WORKERS)


def kept_page(folder: Path) -> str:
    """The page of the stored results."""
    place = folder / FOLDER
    ladder, batches = ladder_results.read(place / LADDER), batching.read(place / BATCHES)
    return page(*kept(folder), ladder, batches, short_run.read(place / SHORT))


def publish(folder: Path, results: Results | None, growth: Growth | None) -> list[Path]:
    """Store the given results, and regenerate the page from all stored ones; returns the written files."""
    files = folder / FOLDER / RESULTS, folder / FOLDER / LEDGER
    if results is not None:
        write(files[0], results)
    if growth is not None:
        growth_results.write(files[1], growth)
    written = [file for file, made in zip(files, (results, growth), strict=True) if made is not None]
    return [*written, *regenerate(folder)] if files[0].exists() else written


def publish_workers(folder: Path, workers: workers_results.Results) -> list[Path]:
    """Store the results of workers, and regenerate the page; returns the written files."""
    file = folder / FOLDER / WORKERS
    file.parent.mkdir(parents=True, exist_ok=True)
    workers_results.write(file, workers)
    return [file, *(regenerate(folder) if (folder / FOLDER / RESULTS).exists() else ())]


def publish_batches(folder: Path, batches: batching.Results) -> list[Path]:
    """Store the results of batches, and regenerate the page; returns the written files."""
    file = folder / FOLDER / BATCHES
    file.parent.mkdir(parents=True, exist_ok=True)
    batching.write(file, batches)
    return [file, *(regenerate(folder) if (folder / FOLDER / RESULTS).exists() else ())]


def publish_ladder(folder: Path, ladder: ladder_results.Results) -> list[Path]:
    """Store the results of the ladder, and regenerate the page; returns the written files."""
    file = folder / FOLDER / LADDER
    file.parent.mkdir(parents=True, exist_ok=True)
    ladder_results.write(file, ladder)
    return [file, *(regenerate(folder) if (folder / FOLDER / RESULTS).exists() else ())]


def publish_short(folder: Path, short: short_run.Short) -> list[Path]:
    """Store the results of a short run, and regenerate the page; returns the written files."""
    file = folder / FOLDER / SHORT
    short_run.write(file, short)
    return [file, *(regenerate(folder) if (folder / FOLDER / RESULTS).exists() else ())]


def page(  # noqa: PLR0913, PLR0917 - the parts of the page
    results: Results,
    growth: Growth | None,
    workers: workers_results.Results | None = None,
    ladder: ladder_results.Results | None = None,
    batches: batching.Results | None = None,
    short: short_run.Short | None = None,
) -> str:
    """The whole page."""
    return "\n\n".join([NOTICE, "# Benchmarks", WORK, *_body(results, growth, workers, ladder, batches, short)]) + "\n"


def growth_part(growth: Growth) -> str:
    """The part of the page about ledgers of growing size."""
    return "\n\n".join(growth_page.part(growth, FOLDER)) + "\n"


def _body(  # noqa: PLR0913, PLR0917 - the parts of the page
    results: Results,
    growth: Growth | None,
    workers: workers_results.Results | None,
    ladder: ladder_results.Results | None,
    batches: batching.Results | None,
    short: short_run.Short | None,
) -> Iterator[str]:
    length = f"{counted(results.rounds, 'round')}, {counted(results.seconds, 'second')} for each measurement"
    yield f"Made with `{results.command}`: {length}."
    yield from _left_out(results)
    yield from _disturbed(results)
    yield "## Targets"
    yield AIMS
    yield WITH_LEDGER
    yield targets_table(results, with_ledger=True)
    yield from _to_fastify(results)
    yield WITHOUT_LEDGER
    yield targets_table(results, with_ledger=False)
    yield from _reasons(results)
    yield OTHER_AIMS
    yield "## At a glance"
    yield f"![Throughput at 64 connections]({FOLDER}/throughput.svg)"
    yield f"![Latency at 1, 16 and 64 connections]({FOLDER}/latency.svg)"
    for section in SECTIONS:
        yield from _section(section, results)
    yield from ladder_page.part(ladder)
    yield from workers_page.part(workers, FOLDER)
    yield from batches_page.part(batches)
    yield from growth_page.part(growth, FOLDER)
    yield from short_run.part(short, results)
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
        yield f"**Not a quiet machine:** {share} were disturbed by other programs."


def targets_table(results: Results, *, with_ledger: bool) -> str:
    """The targets of Jobgate with or without its ledger, with the figures reached."""
    judged = (each for each in judge(results) if each.target.with_ledger is with_ledger)
    rows = ((each.target.what, each.target.aim, each.reached, each.verdict) for each in judged)
    return table(("", "target", "reached", ""), rows)


def _to_fastify(results: Results) -> Iterator[str]:
    """The distance to the fastest contender that validates, which is no target."""
    with suppress(NotMeasured):
        ratio = results.ratio(BUSY, "fastify", "jobgate", throughput)
        yield f"{BY_NAME['fastify'].title} answers {ratio:.1f} times as many requests, and keeps no record of them."


def _reasons(results: Results) -> Iterator[str]:
    """Why targets are missed, and what was tried."""
    kinds = {True: "with ledger", False: "without"}
    missed: dict[str, list[str]] = {}
    for each in (judged.target for judged in judge(results) if judged.is_missed and judged.target.reason):
        missed.setdefault(each.reason, []).append(f"{each.what}, {kinds[each.with_ledger]}")
    if missed:
        yield "\n".join(f"* {'; '.join(its)}: {reason}" for reason, its in missed.items())


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
    head = (
        "",
        "req/s",
        f"to {'floor' if base(place, results) == FLOOR else 'Jobgate'}",
        "median",
        "99 %",
        "errors",
        "CPU",
        "core",
        "memory",
    )
    return table(head, (_row(place, name, results) for name in results.contenders(place)), ":--------")


def _row(place: Place, name: str, results: Results) -> Iterator[str]:
    title = BY_NAME[name].title
    yield f"**{title}**" if name == "jobgate" else title
    yield f"{results.median(place, name, throughput):,.0f}"
    yield to_base(place, name, results)
    yield milliseconds(results.median(place, name, latency))
    yield milliseconds(results.median(place, name, slowest))
    yield errors(place, name, results)
    yield f"{results.median(place, name, cpu):,.0f} µs" if BY_NAME[name].command else "-"
    yield f"{results.median(place, name, busy):.0%}" if BY_NAME[name].command else "-"
    yield f"{results.memory(place, name):.0f} MB" if BY_NAME[name].command else "-"


def base(place: Place, results: Results) -> str:
    """The contender that the others are compared with: the floor, or Jobgate where the floor was not measured."""
    return FLOOR if FLOOR in results.contenders(place) else LEDGER_ON


def to_base(place: Place, name: str, results: Results) -> str:
    """The ratio of a contender's throughput to that of the base, with its range; `-` if there is no base."""
    try:
        ratios = results.ratios(place, name, base(place, results), throughput)
    except NotMeasured:
        return "-"
    return ranged(ratios) if ratios[0] < ratios[-1] else f"{ratios[0]:.2f}"


def errors(place: Place, name: str, results: Results) -> str:
    """The number of errors, and of all answers."""
    total = sum(each.load.requests for each in results.at(place, name))
    number = results.errors(place, name)
    if number:
        return f"{number:,} of {total:,}"
    return "none" if total else "no answer"


def contenders_table(results: Results) -> str:
    """The contenders with their descriptions."""
    names = {each.contender for each in results.measurements}
    rows = ((each.title, each.what) for each in BY_NAME.values() if each.name in names)
    return table(("", "description"), rows)
