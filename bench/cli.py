"""The command line: `python -m bench`."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, NoReturn, Protocol

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench import memory
from bench import report as reporting
from bench import startup as starting
from bench.batches import measuring as batching
from bench.batches import page as batches_page
from bench.contenders import CONTENDERS, node_is_missing
from bench.growth import measuring as growing
from bench.growth.results import Growth
from bench.ladder import measuring as climbing
from bench.ladder import page as ladder_page
from bench.machine import Cores, described, prepare, with_ledgers
from bench.measure import measure
from bench.plan import A_THOUSAND, AFTER_50_MS, AFTER_100_MS, SECTIONS, Plan, chosen
from bench.processes import BenchError
from bench.resilience import measuring as failing
from bench.resilience import page as failing_page
from bench.results import Measurement, Results
from bench.short import Short
from bench.workers import measuring as working
from bench.workers import page as workers_page

DOCS = Path("docs")
NAMES = {each.name for each in CONTENDERS}
GROWTH = "growth"
"""The section without contenders: ledgers of growing size."""
KNOWN = NAMES | {each.name for each in SECTIONS} | {GROWTH}

QUICK = dict.fromkeys((AFTER_50_MS.name, AFTER_100_MS.name, A_THOUSAND.name), "a quick run")
"""The sections that a quick run leaves out, with the reason."""
QUICK_ROUNDS = 3
"""The rounds of a quick run, each of measurements of a second."""

application = typer.Typer(
    help="Compare Jobgate with other ways to do the same work.", pretty_exceptions_enable=False, add_completion=False
)


@application.callback(invoke_without_command=True)
def bench(
    context: typer.Context,
    seconds: Annotated[int, typer.Option(help="Seconds of each measurement.", min=1)] = 4,
    rounds: Annotated[int, typer.Option(help="Number of rounds; each makes every measurement once.", min=1)] = 3,
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this contender, or `growth`; can be repeated.")
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Without this contender or section; can be repeated.")
    ] = None,
    largest: Annotated[
        int, typer.Option(help="Largest ledger of the section `growth`, in job actions.", min=1)
    ] = growing.WHOLE.sizes[-1],
    quick: Annotated[
        bool, typer.Option("--quick", help="A short run of at most five minutes, for the section about it.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option(help="The folder of the page.  [default: docs for a whole run, otherwise none]")
    ] = None,
) -> None:
    """Measure everything, print the page, and write it."""
    if context.invoked_subcommand is not None:
        return
    check_names([*(only or ()), *(without or ())], KNOWN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = output or (None if quick or only or without else DOCS)
    begun = time.monotonic()
    contenders = [name for name in only or () if name != GROWTH]
    results = growth = None
    console = Console()
    if contenders or not only:
        left_out = {name: "not wanted" for name in without or () if name != GROWTH} | missing()
        left_out |= QUICK if quick else {}
        sections = chosen(contenders, left_out)
        plan = Plan(sections, 1, QUICK_ROUNDS, 1) if quick else Plan(sections, seconds, rounds, seconds)
        results = compare(console, plan, left_out)
        publish(None if quick else folder, results, None)
    if (not only or GROWTH in only) and GROWTH not in (without or ()):
        growth = grow(console, (growing.QUICK if quick else growing.WHOLE).up_to(largest))
        publish(None if quick else folder, None, growth)
    if quick and folder and results is not None:
        short = Short((time.monotonic() - begun) / 60, results)
        show_part(console, reporting.publish_short(folder, short), ())
    show(console, results, growth)


@application.command()
def report(
    folder: Annotated[Path, typer.Argument(help="The folder of the page.", exists=True, file_okay=False)] = DOCS,
) -> None:
    """Regenerate the page from the stored results, without measuring."""
    for path in reporting.regenerate(folder):
        typer.echo(f"wrote {path}")


@application.command()
def resilience(
    output: Annotated[Path, typer.Option(help="The folder of the page.", file_okay=False)] = DOCS,
) -> None:
    """Measure a gateway whose vendors fail, in three minutes, and write the page about it."""
    console = Console()
    with measuring(console) as (cores, tell):
        results = failing.measure(cores, command(), described(), lambda text, done: tell(text, done, failing.STEPS))
    failing_page.publish(output, results)
    console.print(Markdown(failing_page.page(results)))
    for each in failing_page.missed(results):
        typer.echo(f"missed: {': '.join(each.cells[:3])}", err=True)


@application.command()
def startup(
    rounds: Annotated[int, typer.Option(help="Number of starts of each command.", min=1)] = 5,
    requests: Annotated[int, typer.Option(help="Number of requests by which memory may grow.", min=0)] = 50_000,
    output: Annotated[Path, typer.Option(help="The folder of the page.", file_okay=False)] = DOCS,
) -> None:
    """Measure the start time of commands and the memory of workers, and write the page about them."""
    console = Console()
    with exiting(), progressing(console) as tell:
        measured = starting.measure(rounds, (), tell)
        used = memory.measure(requests, tell)
    made = starting.page(measured, used, with_ledgers())
    (output / starting.PAGE).write_text(made, encoding="utf-8")
    console.print(Markdown(made))


@application.command()
def workers(
    seconds: Annotated[int, typer.Option(help="Seconds of each measurement.", min=1)] = 4,
    rounds: Annotated[int, typer.Option(help="Number of rounds; each makes every measurement once.", min=1)] = 5,
    output: Annotated[Path, typer.Option(help="The folder of the page.", file_okay=False)] = DOCS,
) -> None:
    """Measure one, two and four workers in eight minutes, and write the section of the page about them."""
    console = Console()
    with measuring(console) as (cores, tell):
        made = working.measure(working.Extent(rounds, seconds, cores), command(), with_ledgers(), tell)
    show_part(console, reporting.publish_workers(output, made), workers_page.part(made, reporting.FOLDER))


@application.command()
def batches(
    items: Annotated[int, typer.Option(help="Items of each batch.", min=100)] = 20_000,
    largest: Annotated[int, typer.Option(help="Largest batch whose memory is measured.", min=0)] = batching.SIZES[-1],
    rounds: Annotated[int, typer.Option(help="Number of rounds; each makes every measurement once.", min=1)] = 3,
    output: Annotated[Path, typer.Option(help="The folder of the page.", file_okay=False)] = DOCS,
) -> None:
    """Measure a batch beside a bare client and single actions, and write the section of the page about it."""
    console = Console()
    sizes = tuple(each for each in batching.SIZES if each <= largest)
    with measuring(console) as (cores, tell):
        made = batching.measure(items, rounds, cores, command(), with_ledgers(), tell, sizes=sizes)
    show_part(console, reporting.publish_batches(output, made), batches_page.part(made))


@application.command()
def ladder(
    rounds: Annotated[int, typer.Option(help="Number of rounds; each climbs the ladder once.", min=1)] = 15,
    requests: Annotated[int, typer.Option(help="Requests on each rung of a round.", min=climbing.CONNECTIONS)] = 2_560,
    output: Annotated[Path, typer.Option(help="The folder of the page.", file_okay=False)] = DOCS,
) -> None:
    """Measure the CPU of each layer of a request in one minute, and write the section of the page about it."""
    console = Console()
    with measuring(console) as (cores, tell):
        made = climbing.measure(climbing.Extent(rounds, requests, cores), command(), with_ledgers(), tell)
    show_part(console, reporting.publish_ladder(output, made), ladder_page.part(made))


def compare(console: Console, plan: Plan, left_out: dict[str, str]) -> Results:
    """Measure the contenders."""
    return Results(command(), plan.seconds, plan.rounds, described(), left_out, run(console, plan))


def run(console: Console, plan: Plan) -> tuple[Measurement, ...]:
    """Carry out a plan, with a progress bar. Exits with a message if that is not possible."""
    made: list[Measurement] = []
    with (
        measuring(console) as (cores, tell),
        closing(measure(plan, cores, lambda text: tell(text, len(made), plan.length))) as measurements,
    ):
        for each in measurements:
            made.append(each)  # noqa: PERF402 - the progress counts them
    return tuple(made)


class Tell(Protocol):
    """Shows the progress: what is measured now, and of how many steps how many are done."""

    def __call__(self, text: str, done: int | None = None, total: int | None = None, /) -> None:
        """Show it. None leaves a figure as it was."""


@contextmanager
def measuring(console: Console) -> Iterator[tuple[Cores, Tell]]:
    """The cores of the contender, and the progress, for a measurement. Exits with a message if it is not possible."""
    with exiting(), sharing_cores() as cores, progressing(console) as tell:
        yield cores, tell


@contextmanager
def exiting() -> Iterator[None]:
    """Exit with a message if the measurement of the block is not possible."""
    try:
        yield
    except BenchError as error:
        fail(error)


@contextmanager
def progressing(console: Console) -> Iterator[Tell]:
    """A progress bar with a description."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, refresh_per_second=2, transient=True) as progress:
        task = progress.add_task("starting")

        def tell(text: str, done: int | None = None, total: int | None = None, /) -> None:
            progress.update(task, description=text, completed=done, total=total)

        yield tell


@contextmanager
def sharing_cores() -> Iterator[Cores]:
    """Reserve the contender's cores: this process does not run on them within the block. Raises BenchError."""
    cores = prepare()
    try:
        yield cores
    finally:
        os.sched_setaffinity(0, cores.both)


def grow(console: Console, extent: growing.Extent) -> Growth:
    """Measure ledgers of several sizes, with a progress bar."""
    with exiting(), progressing(console) as tell:
        return growing.measure(extent, command(), with_ledgers(), tell)


def publish(folder: Path | None, results: Results | None, growth: Growth | None) -> None:
    """Write the given results, if there is a folder for them."""
    for path in reporting.publish(folder, results, growth) if folder else ():
        typer.echo(f"wrote {path}")


def show_part(console: Console, written: Iterable[Path], part: Iterable[str]) -> None:
    """Name the files that a command has written, and print its section of the page."""
    for path in written:
        typer.echo(f"wrote {path}")
    console.print(Markdown("\n\n".join(part)))


def show(console: Console, results: Results | None, growth: Growth | None) -> None:
    """Print the page, or the part for which there are results."""
    if results is not None:
        console.print(Markdown(reporting.page(results, growth)))
    elif growth is not None:
        console.print(Markdown(reporting.growth_part(growth)))


def missing() -> dict[str, str]:
    """The contenders that cannot run, with the reason. Prints a notice about them."""
    why = node_is_missing()
    if why is None:
        return {}
    names = [each.name for each in CONTENDERS if each.needs_node]
    typer.echo(f"Without {', '.join(names)}: {why}.")
    return dict.fromkeys(names, why)


def check_names(names: list[str], known: set[str]) -> None:
    """Exit with a message if a name is unknown."""
    for name in names:
        if name not in known:
            fail(BenchError(f"unknown name {name}; known: {', '.join(sorted(known))}"))


def command() -> str:
    """The command line of this run."""
    return " ".join(["python -m bench", *sys.argv[1:]])


def fail(error: Exception) -> NoReturn:
    """Print an error, and exit."""
    typer.echo(f"bench: {error}", err=True)
    raise typer.Exit(1) from None


def main() -> None:
    """Run the command line."""
    application(prog_name="python -m bench")
