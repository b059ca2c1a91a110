"""The command line, `jobgate`: a module for each group of commands, and their common parts in `shared`.

A command imports what it needs when it runs, so that small commands start quickly.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gateway.cli import audit, config, connections, docs, keys, ledger, serve, specs, vendor
from gateway.cli.shared import Commands, in_utf8

application = typer.Typer(
    name="jobgate",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
application.command()(serve.serve)
application.command()(serve.sandbox)
application.command()(serve.demo)
application.command(hidden=True)(docs.docs)
application.add_typer(specs.specs, name="specs")
application.add_typer(audit.audit, name="audit")
application.add_typer(ledger.ledger, name="ledger")
application.add_typer(keys.keys, name="keys")
application.add_typer(config.config, name="config")
application.add_typer(connections.connections, name="connections")
application.add_typer(vendor.vendor, name="vendor")


def show_version(wanted: bool) -> None:
    """Print the version and exit, if wanted."""
    if wanted:
        from importlib.metadata import version

        typer.echo(f"jobgate {version('jobgate')}")
        raise typer.Exit


@application.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=show_version)
    ] = False,
) -> None:
    """Jobgate: one API for the jobs of several contact-center vendors."""


def main() -> None:
    """Run the command line. Its output is always UTF-8."""
    in_utf8(sys.stdout)
    in_utf8(sys.stderr)
    application(prog_name="jobgate")
