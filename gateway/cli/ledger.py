"""`jobgate ledger …`: size, backup, restore and compacting of the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.audit import compared, proof_of
from gateway.cli.exit_codes import ExitCode
from gateway.cli.output import Format, Output, show_one
from gateway.cli.shared import (
    Config,
    Failure,
    counted,
    ledger_faults_named,
    ledger_settings_of,
    opened,
    warn,
)

if TYPE_CHECKING:
    from gateway.ledger.audit import AuditResult, Proof
    from gateway.ledger.backup import Shown
    from gateway.ledger.database import Database
    from gateway.settings.settings import Settings

ledger = typer.Typer(
    name="ledger", help="Show the size of the ledger, back it up, restore and compact it.", no_args_is_help=True
)

Force = Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")]


@ledger.command("stats")
def stats(output: Output = Format.TABLE, config: Config = None) -> None:
    """Show how many job actions, events, segments and bytes the ledger has."""
    from gateway.ledger.statistics import statistics

    with opened(config) as database:
        database.require()
        found = asdict(statistics(database))
    show_one({name: value for name, value in found.items() if value is not None}, output)


@ledger.command("backup")
def backup(
    file: Annotated[Path, typer.Argument(help="The file to write.", dir_okay=False)],
    force: Force = False,
    config: Config = None,
) -> None:
    """Copy the ledger into a file while the gateway runs, and verify the copy. For SQLite."""
    from gateway.ledger.backup import BrokenBackup, back_up

    settings = ledger_settings_of(config)
    with sqlite_of(settings) as (database, source):
        database.require()
        if file.exists() and not force:
            raise Failure(f"{file} already exists. Choose another file, or replace it with --force.")
        if file.exists() and file.samefile(source):
            raise Failure(f"{file} is the ledger itself. Choose another file.")
        # Read before the copy is made, so that the copy is not older than a checkpoint.
        proof = known_proof(settings)
        try:
            with progress() as shown:
                result = back_up(source, file, shown, proof, is_replacing=force)
        except BrokenBackup as error:
            raise Failure(f"the ledger is broken: {error}. No backup was written.") from None
        except OSError as error:
            raise Failure(f"{file} cannot be written: {error.strerror or error}.") from None
    typer.echo(f"backed up {extent(result)} to {file}")
    for line in compared(proof):
        typer.echo(line, err=not proof.history.checkpoints)


@ledger.command("restore")
def restore(
    file: Annotated[Path, typer.Argument(help="A backup.", dir_okay=False, exists=True)],
    force: Annotated[
        bool, typer.Option("--force", help="Replace a ledger that has events. It is kept beside the new one.")
    ] = False,
    config: Config = None,
) -> None:
    """Verify a backup, and put a copy of it in the place of the ledger. Stop the gateway before. For SQLite."""
    from gateway.ledger.audit import Proof
    from gateway.ledger.backup import BrokenBackup
    from gateway.ledger.backup import restore as put_back

    settings = ledger_settings_of(config)
    proof = known_proof(settings)
    with sqlite_of(settings) as (database, target):
        if target.exists() and file.samefile(target):
            raise Failure(f"{file} is the ledger itself. Name a backup.")
        if has_events(database) and not force:
            raise Failure(f"{target} has events. Keep it, or replace it with --force.")
        database.dispose()
        aside = target.with_name(f"{target.name}.replaced-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")
        is_replaced = target.exists()
        try:
            with progress() as shown:
                # The checkpoints can be newer than the backup, so they prove nothing about it.
                result = put_back(file, target, aside, shown, Proof(proof.keys))
        except BrokenBackup as error:
            raise Failure(f"{file} is broken: {error}. Nothing was restored.") from None
        except OSError as error:
            raise Failure(f"{target} cannot be written: {error.strerror or error}.") from None
        typer.echo(f"restored {extent(result)} to {target}")
        if is_replaced:
            typer.echo(f"the ledger that was there is kept as {aside}", err=True)
        tell_lost(database, proof)


def tell_lost(database: Database, proof: Proof) -> None:
    """Say what a restored ledger lacks by its newest checkpoint, and what to do about it."""
    from gateway.ledger.checkpoints import difference

    if not proof.history.checkpoints:
        warn("there is no checkpoint to compare the restored ledger with")
        return
    newest = proof.history.checkpoints[-1]
    with database.snapshot() as connection:
        lost = difference(connection, newest)
    if lost is None:
        typer.echo(f"matches the newest checkpoint, of {newest.at:%Y-%m-%d %H:%M:%S} UTC")
        return
    warn(
        f"the restored ledger is older than its newest checkpoint, of {newest.at:%Y-%m-%d %H:%M:%S} UTC: {lost}. Job "
        "actions and idempotency keys are lost, so a gateway will refuse actions. If there is a newer backup, restore "
        "that. Otherwise follow docs/ledger.md, Back up and restore, and then start the gateway once with "
        "`jobgate serve --accept-restored-ledger`."
    )


@ledger.command("compact")
def compact(
    full: Annotated[
        bool, typer.Option("--full", help="Write the whole file anew, which takes longer. Stop the gateway before.")
    ] = False,
    config: Config = None,
) -> None:
    """Give back the space of what was deleted, while the gateway runs."""
    from gateway.ledger.compacting import give_back, gives_back, vacuum, write_anew

    with opened(config) as database:
        database.require()
        file = database.file
        if file is None:
            vacuum(database)
            typer.echo("PostgreSQL uses the space of deleted rows again. `VACUUM FULL` in psql would give it back.")
            return
        before = file.stat().st_size
        if full:
            write_anew(database, file)
        elif gives_back(database):
            with progress() as shown:
                give_back(database, file, shown.read)
        else:
            raise Failure(
                f"{file} was made by an earlier version, and cannot give back space while it is used. Stop the "
                "gateway, and convert it once by `jobgate ledger compact --full`."
            )
    typer.echo(f"{file}: {before:,} bytes before, {file.stat().st_size:,} now")


@contextmanager
def sqlite_of(settings: Settings) -> Iterator[tuple[Database, Path]]:
    """The ledger's database and file. Raises Failure if it is not in SQLite, or if it cannot be used."""
    from gateway.app.databases import database_of

    database = database_of(settings)
    with ledger_faults_named(database):
        if database.file is None:
            raise Failure(
                "this is for SQLite. Back PostgreSQL up by `pg_dump --format=custom --file=FILE DATABASE`, and restore "
                "it by `pg_restore --dbname=DATABASE FILE`; then check it by `jobgate audit verify`.",
                ExitCode.UNREACHABLE,
            )
        yield database, database.file


def has_events(database: Database) -> bool:
    """True if there is a ledger that is not empty. Raises UnusableDatabase and LedgerUnavailable."""
    from gateway.ledger.audit import count

    return database.exists and database.version() is not None and count(database) > 0


def known_proof(settings: Settings) -> Proof:
    """The gateway's own checkpoints and key, or nothing, with a warning, if they cannot be used."""
    from gateway.ledger.audit import NOTHING

    try:
        return proof_of(settings, [], [])
    except Failure as error:
        warn(f"warning: not compared with checkpoints: {error}")
        return NOTHING


@contextmanager
def progress() -> Iterator[Shown]:
    """Progress bars on the terminal, for copying and for reading."""
    from rich.console import Console
    from rich.progress import Progress

    from gateway.ledger.backup import Shown

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        copying, reading = bar.add_task("Copying", total=None), bar.add_task("Reading", total=None)
        yield Shown(
            lambda done, number: bar.update(copying, completed=done, total=number),
            lambda number: bar.advance(reading, number),
        )


def extent(result: AuditResult) -> str:
    """The extent of a verified ledger."""
    return f"{counted(result.events, 'event')} in {counted(result.segments, 'segment')}"
