"""`jobgate audit …`: the record of every job action."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.shared import Config, counted, opened

if TYPE_CHECKING:
    from gateway.ledger.audit import Advance
    from gateway.ledger.database import Database

audit = typer.Typer(help="The record of every job action.", no_args_is_help=True)


@audit.command("verify")
def verify(config: Config = None) -> None:
    """Follow the chain of events from beginning to end; name the first link that is broken."""
    from gateway.ledger import audit as ledger_audit

    with audited(config) as (database, advance):
        verdict = ledger_audit.verify(database, advance)
    if verdict.broken is not None:
        typer.echo(f"broken: {verdict.broken}")
        raise typer.Exit(1)
    gone = f"; {counted(verdict.deleted, 'segment')} deleted by retention" if verdict.deleted else ""
    typer.echo(f"whole: {counted(verdict.events, 'event')} in {counted(verdict.segments, 'segment')}{gone}")


@audit.command("export")
def export(
    config: Config = None,
    output: Annotated[Path | None, typer.Option(help="A file to write; the terminal if none.", dir_okay=False)] = None,
) -> None:
    """Write every event as a line of JSON, the oldest first."""
    from gateway.ledger import audit as ledger_audit

    target = output.open("w", encoding="utf-8") if output else nullcontext(sys.stdout)
    with target as file, audited(config) as (database, advance):
        for line in ledger_audit.export(database, advance):
            file.write(f"{line}\n")


@contextmanager
def audited(config: Path | None) -> Iterator[tuple[Database, Advance]]:
    """The ledger's database, and a bar on the terminal that shows how far it was read."""
    from rich.console import Console
    from rich.progress import Progress

    from gateway.ledger.audit import count

    console = Console(stderr=True)
    with opened(config) as database, Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Reading", total=count(database))
        database.version()
        yield database, lambda events: bar.advance(task, events)
