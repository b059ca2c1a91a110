"""The command line: `jobgate …`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from gateway.cli_config import config as settings_commands
from gateway.cli_connections import connections
from gateway.cli_keys import keys

if TYPE_CHECKING:
    from gateway.ledger.audit import Advance
    from gateway.ledger.database import Database

application = typer.Typer(
    name="jobgate",
    help="One API to act on the jobs of many contact-center vendors.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
specs = typer.Typer(help="The OpenAPI documents.", no_args_is_help=True)
audit = typer.Typer(help="The record of every job action.", no_args_is_help=True)
application.add_typer(specs, name="specs")
application.add_typer(audit, name="audit")
application.add_typer(keys, name="keys")
application.add_typer(settings_commands, name="config")
application.add_typer(connections, name="connections")

Config = Annotated[Path | None, typer.Option(help="A TOML file with settings.", dir_okay=False)]
Host = Annotated[str | None, typer.Option(help="Address to listen on.  [default: 127.0.0.1]")]
Port = Annotated[
    int | None, typer.Option(help="Port to listen on; 0 takes a free one.  [default: 8080]", min=0, max=65_535)
]


@application.command()
def serve(
    config: Config = None,
    host: Host = None,
    port: Port = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes that share the port.  [default: 1]", min=1, max=64)
    ] = None,
    access_log: Annotated[
        bool | None, typer.Option("--access-log/--no-access-log", help="Log each request.  [default: yes]")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="A certificate in PEM form; the API is then https.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key.")] = None,
    tls_self_signed: Annotated[
        bool | None, typer.Option("--tls-self-signed", help="Be https with a certificate for development.")
    ] = None,
    sandbox: Annotated[bool, typer.Option("--sandbox", help="Start the vendors' simulators too.")] = False,
    sandbox_port: Annotated[
        int, typer.Option(help="Port of the simulators; 0 takes a free one.", min=0, max=65_535)
    ] = 0,
) -> None:
    """Serve the gateway."""
    from gateway import serving
    from gateway.config import ConfigurationError
    from gateway.specs.document import SpecificationError

    try:
        given: dict[str, object] = {"host": host, "port": port, "workers": workers, "access_log": access_log}
        given |= {"tls_cert": tls_cert, "tls_key": tls_key, "tls_self_signed": tls_self_signed}
        serving.serve(serving.Source(config, given), sandbox_port=sandbox_port if sandbox else None)
    except (ConfigurationError, SpecificationError, OSError) as error:
        fail(error)


@application.command("sandbox")
def run_sandbox(
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65_535)] = 8090,
) -> None:
    """Serve the vendors' simulators alone."""
    from gateway import serving
    from gateway.specs.document import SpecificationError

    try:
        serving.serve_sandbox(port)
    except (SpecificationError, OSError) as error:
        fail(error)


@application.command()
def demo() -> None:
    """Try every action in every status of every vendor, and check what was answered against what happened."""
    from rich.console import Console

    from gateway import demo as demonstration
    from gateway.config import ConfigurationError
    from gateway.specs.document import SpecificationError

    try:
        differences = demonstration.run(Console())
    except (ConfigurationError, SpecificationError, OSError) as error:
        fail(error)
    raise typer.Exit(differences)


@specs.command("check")
def check_specs(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Documents to check; all that are installed if none.")
    ] = None,
) -> None:
    """Check OpenAPI documents; each finding names file, place and mend."""
    from gateway.registry import installed_specifications
    from gateway.specs.lint import check_all

    paths = files or installed_specifications()
    findings = check_all(paths)
    for finding in findings:
        typer.echo(str(finding))
    typer.echo(f"{counted(len(paths), 'document')}, {counted(len(findings), 'finding')}")
    raise typer.Exit(1 if findings else 0)


@audit.command("verify")
def verify_audit(config: Config = None) -> None:
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
def export_audit(
    config: Config = None,
    output: Annotated[Path | None, typer.Option(help="A file to write; the terminal if none.", dir_okay=False)] = None,
) -> None:
    """Write every event as a line of JSON, the oldest first."""
    from gateway.ledger import audit as ledger_audit

    try:
        target = output.open("w", encoding="utf-8") if output else nullcontext(sys.stdout)
    except OSError as error:
        fail(error)
    with target as file, audited(config) as (database, advance):
        for line in ledger_audit.export(database, advance):
            file.write(f"{line}\n")


@contextmanager
def audited(config: Path | None) -> Iterator[tuple[Database, Advance]]:
    """The ledger's database, and a bar on the terminal that shows how far it was read."""
    from rich.console import Console
    from rich.progress import Progress

    from gateway.config import ConfigurationError, load
    from gateway.databases import database_of
    from gateway.domain.errors import LedgerUnavailable
    from gateway.ledger.audit import count
    from gateway.ledger.database import UnusableDatabase

    try:
        database = database_of(load(config))
    except ConfigurationError as error:
        fail(error)
    try:
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("Reading", total=count(database))
            database.version()
            yield database, lambda events: progress.advance(task, events)
    except LedgerUnavailable as error:
        typer.echo(f"jobgate: the ledger {database.name} cannot be read: {error.__cause__}", err=True)
        raise typer.Exit(2) from None
    except UnusableDatabase as error:
        fail(error)
    finally:
        database.dispose()


@application.command(hidden=True)
def docs(
    check: Annotated[bool, typer.Option("--check", help="Change nothing; fail where a page is stale.")] = False,
    folder: Annotated[Path, typer.Option(help="The folder of the pages.", exists=True, file_okay=False)] = Path("docs"),
) -> None:
    """Write the pages of docs/ that are made from the specs and the code."""
    from gateway import documentation
    from gateway.app import Catalogue

    catalogue = Catalogue.load()
    if check:
        stale = documentation.stale_pages(folder, catalogue)
        for path in stale:
            typer.echo(f"{path} is stale. Run `make docs`.")
        raise typer.Exit(1 if stale else 0)
    for path in documentation.write(folder, catalogue):
        typer.echo(f"wrote {path}")


def counted(number: int, noun: str) -> str:
    """A number with its noun: `1 document`, `2 documents`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def fail(error: Exception) -> NoReturn:
    """Say what is wrong, and end."""
    typer.echo(f"jobgate: {error}", err=True)
    raise typer.Exit(1) from None


def main() -> None:
    """Run the command line."""
    application(prog_name="jobgate")


if __name__ == "__main__":
    main()
