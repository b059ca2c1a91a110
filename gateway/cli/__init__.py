"""The command line, `jobgate`: a module for each noun, and the common parts of those that call a gateway in `remote`.

A command imports what it needs when it runs, so that small commands start quickly.
"""

from __future__ import annotations

import gc
import sys
from typing import Annotated

import typer

from gateway.cli import (
    actions,
    approvals,
    audit,
    batches,
    callers,
    config,
    connections,
    docs,
    init,
    jobs,
    keys,
    ledger,
    login,
    schedules,
    serve,
    specs,
    vendor,
    vendors,
    windows,
)
from gateway.cli.remote.commands import add_show
from gateway.cli.shared import Commands, in_utf8

COLLECTED_AFTER = 200_000
"""New objects after which the garbage collector looks for those that nobody needs any more."""
OVER_HTTP, ON_THIS_MACHINE = "Commands that call a gateway", "Commands that run and administer one"

application = typer.Typer(
    name="jobgate",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
application.command(rich_help_panel=OVER_HTTP)(login.login)
add_show(application, "getOverview", "overview", panel=OVER_HTTP)
add_show(application, "getCaller", "whoami", panel=OVER_HTTP)
for group in (
    jobs.jobs,
    actions.actions,
    batches.batches,
    schedules.schedules,
    windows.windows,
    approvals.approvals,
    callers.callers,
    connections.connections,
    vendors.vendors,
):
    application.add_typer(group, rich_help_panel=OVER_HTTP)
application.command(rich_help_panel=ON_THIS_MACHINE)(init.init)
application.command(rich_help_panel=ON_THIS_MACHINE)(serve.serve)
application.command(rich_help_panel=ON_THIS_MACHINE)(serve.sandbox)
application.command(rich_help_panel=ON_THIS_MACHINE)(serve.demo)
application.command(hidden=True)(docs.docs)
for group in (config.config, keys.keys, audit.audit, ledger.ledger, specs.specs, vendor.vendor):
    application.add_typer(group, rich_help_panel=ON_THIS_MACHINE)


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
    """Run the command line. Its output is always UTF-8.

    What a command loads stays, so the garbage collector looks at it less often.
    """
    gc.set_threshold(COLLECTED_AFTER)
    in_utf8(sys.stdout)
    in_utf8(sys.stderr)
    application(prog_name="jobgate")
