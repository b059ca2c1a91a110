"""`jobgate audit …`: verifying and exporting the ledger."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from gateway.cli.exit_codes import ExitCode
from gateway.cli.shared import Config, Failure, counted, in_utf8, ledger_faults_named, ledger_settings_of

if TYPE_CHECKING:
    from gateway.domain.ports import Clock
    from gateway.ledger.audit import Advance, Proof
    from gateway.ledger.checkpointing import CheckpointLocation
    from gateway.ledger.database import Database
    from gateway.settings.settings import Settings

audit = typer.Typer(
    name="audit", help="Verify and export the ledger, the record of all job actions.", no_args_is_help=True
)

File = Annotated[
    Path | None, typer.Option("--file", help="The file to write. Default: standard output.", dir_okay=False)
]
Force = Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")]


@audit.command("verify")
def verify(
    config: Config = None,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(
            help="A file of checkpoints to compare with, such as a copy from another machine. Default: the gateway's "
            "own. Can be repeated.",
            dir_okay=False,
        ),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(
            help="A key that verifies checkpoints, as printed by `jobgate audit key`. Default: the gateway's own. Can "
            "be repeated."
        ),
    ] = None,
) -> None:
    """Verify the chain of events, compare it with the checkpoints, and report the first error."""
    from gateway.ledger import audit as ledger_audit

    settings = ledger_settings_of(config)
    proof = proof_of(settings, checkpoint or [], key or [])
    with audited(settings) as (database, advance):
        result = ledger_audit.verify(database, advance, proof)
    if result.finding is not None:
        typer.echo(f"broken: {result.finding}")
        raise typer.Exit(ExitCode.NOT_APPLIED)
    gone = f"; {counted(result.deleted, 'segment')} deleted by retention" if result.deleted else ""
    typer.echo(f"whole: {counted(result.events, 'event')} in {counted(result.segments, 'segment')}{gone}")
    for line in compared(proof):
        typer.echo(line, err=not proof.history.checkpoints)


def compared(proof: Proof) -> Iterator[str]:
    """Say which checkpoints an intact ledger was compared with."""
    history = proof.history
    if not history.checkpoints:
        yield "no checkpoint to compare with: changes by somebody with access to the database cannot be ruled out"
        return
    newest = max(each.at for each in history.checkpoints)
    yield f"matches {counted(len(history.checkpoints), 'checkpoint')}, the newest of {newest:%Y-%m-%d %H:%M:%S} UTC"
    if history.accepted:
        yield f"a restored ledger was accepted: {counted(history.accepted, 'earlier checkpoint')} not compared"
    if history.unsigned:
        yield f"ignored: {counted(history.unsigned, 'checkpoint')} signed by other keys"


def proof_of(settings: Settings, files: list[Path], keys: list[str]) -> Proof:
    """The keys and checkpoints to compare with. Raises Failure if they cannot be read or prove nothing."""
    from gateway.domain.clock import SystemClock
    from gateway.ledger.audit import Proof
    from gateway.ledger.checkpointing import UnusableCheckpoints
    from gateway.ledger.checkpoints import History
    from gateway.ledger.notes import UnusableKey, Verifier

    place = place_of(settings, SystemClock())
    try:
        known = [Verifier.parse(key) for key in keys]
        if not known and place is not None and place.has_key:
            known = [place.signer().verifier]
        if not files and place is not None and place.path.exists():
            files = [place.path]
        histories = [History.read(file.read_text("utf-8", "replace"), known) for file in files]
    except (UnusableKey, UnusableCheckpoints) as error:
        raise Failure(str(error)) from None
    except OSError as error:
        raise Failure(f"{error.filename}: cannot be read: {error.strerror}.") from None
    for file, history in zip(files, histories, strict=True):
        if not history.checkpoints:
            raise Failure(f"{file}: contains no checkpoint signed by a known key. Give the key with --key.")
    return Proof(tuple(known), sum(histories, History()))


def place_of(settings: Settings, clock: Clock) -> CheckpointLocation | None:
    """The location of the checkpoints, by the settings. Raises ConfigurationError."""
    from gateway.app.databases import checkpoints_of, database_of

    made = checkpoints_of(settings, database_of(settings), clock)
    return None if made is None else made.place


@audit.command("checkpoint")
def checkpoint(config: Config = None) -> None:
    """Append a checkpoint of the current ledger to the checkpoint file, and print it."""
    from gateway.app.databases import checkpoints_of
    from gateway.domain.clock import SystemClock

    settings = ledger_settings_of(config, is_signing=True)
    with audited(settings) as (database, _):
        made = checkpoints_of(settings, database, SystemClock())
        if made is None:
            raise Failure("checkpoints are switched off: checkpoints.enabled is false")
        try:
            made.begin()
            note = next(iter(made.take_written()), None) or made.write(is_forced=True)
        except OSError as error:
            raise Failure(f"{made.place.path} cannot be written: {error.strerror or error}.") from None
        if note is None:
            raise Failure(
                f"the ledger does not match its newest checkpoint: {made.outdated}. No new checkpoint was written."
            )
    typer.echo(note, nl=False)
    typer.echo(f"added to {made.place.path}", err=True)


@audit.command("key")
def show_key(config: Config = None) -> None:
    """Print the public key that verifies checkpoints. Keep it apart from the database."""
    from gateway.domain.clock import SystemClock
    from gateway.ledger.checkpointing import UnusableCheckpoints

    place = place_of(ledger_settings_of(config, is_signing=True), SystemClock())
    if place is None:
        raise Failure("checkpoints are switched off: checkpoints.enabled is false")
    try:
        typer.echo(str(place.open().signer.verifier))
    except UnusableCheckpoints as error:
        raise Failure(str(error)) from None


@audit.command("export")
def export(config: Config = None, file: File = None, force: Force = False) -> None:
    """Export every event as a line of JSON, the oldest first, in UTF-8."""
    from gateway.ledger import audit as ledger_audit

    settings = ledger_settings_of(config)
    with audited(settings) as (database, advance), written(file, force=force) as output:
        for line in ledger_audit.export(database, advance):
            output.write(f"{line}\n")


@contextmanager
def written(output: Path | None, *, force: bool) -> Iterator[TextIO]:
    """The output of a command, in UTF-8: a file, or standard output.

    Raises Failure if the file exists and `force` is not set, or if it cannot be written.
    """
    if output is None:
        in_utf8(sys.stdout)
        yield sys.stdout
        return
    try:
        with output.open("w" if force else "x", encoding="utf-8") as file:
            yield file
    except FileExistsError:
        raise Failure(f"{output} already exists. Choose another file, or replace it with --force.") from None
    except OSError as error:
        raise Failure(f"{output} cannot be written: {error.strerror}.") from None


@contextmanager
def audited(settings: Settings) -> Iterator[tuple[Database, Advance]]:
    """The ledger's database, and a progress bar on the terminal. Raises Failure."""
    from rich.console import Console
    from rich.progress import Progress

    from gateway.app.databases import database_of
    from gateway.ledger.audit import count

    database, console = database_of(settings), Console(stderr=True)
    with ledger_faults_named(database):
        database.require()
        with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("Reading", total=count(database))
            yield database, lambda events: bar.advance(task, events)
