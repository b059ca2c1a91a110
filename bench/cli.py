"""The command line: `python -m bench`."""

from __future__ import annotations

import signal
import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench import report as reporting
from bench.contenders import CONTENDERS, node_is_missing
from bench.machine import described, prepare
from bench.measure import measure
from bench.plan import AFTER_50_MS, SECTIONS, Plan, chosen
from bench.processes import BenchError
from bench.results import Measurement, Results

DOCS = Path("docs")
NAMES = {each.name for each in CONTENDERS}
KNOWN = NAMES | {each.name for each in SECTIONS}

QUICK = {AFTER_50_MS.name: "a quick run"}
"""What a quick run leaves out."""

application = typer.Typer(
    help="Measure Jobgate beside other ways to do the same work.", pretty_exceptions_enable=False, add_completion=False
)


@application.callback(invoke_without_command=True)
def bench(
    context: typer.Context,
    seconds: Annotated[int, typer.Option(help="How long each measurement takes.", min=1)] = 4,
    rounds: Annotated[int, typer.Option(help="How often each is repeated.", min=1)] = 3,
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this contender; can be repeated.")
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Without this contender or section; can be repeated.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A first look, in three minutes.")] = False,
    output: Annotated[
        Path | None, typer.Option(help="Where to write the page.  [default: docs for a whole run, else nowhere]")
    ] = None,
) -> None:
    """Measure everything, print the page, and write it."""
    if context.invoked_subcommand is not None:
        return
    left_out = dict.fromkeys(without or (), "not wanted") | missing() | (QUICK if quick else {})
    check_names([*(only or ()), *(without or ())], KNOWN)
    sections = chosen(only or (), left_out)
    plan = Plan(sections, 1, 1, 1) if quick else Plan(sections, seconds, rounds, seconds)
    console = Console()
    try:
        measurements = run(console, plan)
    except BenchError as error:
        fail(error)
    results = Results(command(), plan.seconds, plan.rounds, described(), left_out, measurements)
    console.print(Markdown(reporting.page(results)))
    folder = output or (None if quick or only or without else DOCS)
    for path in reporting.publish(folder, results) if folder else ():
        typer.echo(f"wrote {path}")


@application.command()
def report(
    folder: Annotated[Path, typer.Argument(help="The folder of the page.", exists=True, file_okay=False)] = DOCS,
) -> None:
    """Make the page anew from the results beside it, without measuring."""
    for path in reporting.regenerate(folder):
        typer.echo(f"wrote {path}")


def run(console: Console, plan: Plan) -> tuple[Measurement, ...]:
    """Carry out a plan, with a bar that shows how far it is."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    cores = prepare()
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, refresh_per_second=2, transient=True) as progress:
        task = progress.add_task("starting", total=plan.length)
        made = []
        with closing(measure(plan, cores, lambda text: progress.update(task, description=text))) as measurements:
            for each in measurements:
                made.append(each)
                progress.advance(task)
    return tuple(made)


def missing() -> dict[str, str]:
    """The contenders that cannot take part, and why. Says so."""
    why = node_is_missing()
    if why is None:
        return {}
    names = [each.name for each in CONTENDERS if each.needs_node]
    typer.echo(f"Without {', '.join(names)}: {why}.")
    return dict.fromkeys(names, why)


def check_names(names: list[str], known: set[str]) -> None:
    """End where a name is none that is known."""
    for name in names:
        if name not in known:
            fail(BenchError(f"there is no {name}; known: {', '.join(sorted(known))}"))


def command() -> str:
    """How this run was started."""
    return " ".join(["python -m bench", *sys.argv[1:]])


def fail(error: Exception) -> NoReturn:
    """Say what is wrong, and end."""
    typer.echo(f"bench: {error}", err=True)
    raise typer.Exit(1) from None


def main() -> None:
    """Run the command line."""
    application(prog_name="python -m bench")
