"""`jobgate config …`: checking and showing the settings, and testing connections without a gateway."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.exit_codes import ExitCode
from gateway.cli.shared import Config, Failure, chosen_file, counted, settings_of, tell_used, warn

if TYPE_CHECKING:
    from gateway.app import Gateway

config = typer.Typer(
    name="config", help="Check and show the settings, and test the connections in them.", no_args_is_help=True
)


@config.command("check")
def check(
    file: Config = None,
    offline: Annotated[bool, typer.Option("--offline", help="Do not check the ledger and its API keys.")] = False,
) -> None:
    """Report every mistake that would keep the gateway from starting, each with its remedy."""
    from gateway.app import Catalogue
    from gateway.startup.checks import checked, ledger_warnings, warnings_of

    chosen = chosen_file(file)
    settings = checked(chosen, {}, Catalogue.load(), is_offline=offline)
    tell_used(chosen, settings)
    for warning in (*warnings_of(settings), *(() if offline else ledger_warnings(settings))):
        warn(f"warning: {warning}")
    connections, callers = counted(len(settings.connections), "connection"), counted(len(settings.callers), "caller")
    typer.echo(f"good: {connections}, {callers} in the settings")


@config.command("show")
def show(file: Config = None) -> None:
    """Print the settings in effect, from file, environment and defaults, without secrets."""
    import tomli_w

    from gateway.settings.settings import ConfigurationError, load, shown

    chosen = chosen_file(file)
    settings = load(chosen)
    try:
        tell_used(chosen, settings)
    except ConfigurationError as error:  # the ledger has no place, but is not needed here
        tell_used(chosen, settings, with_ledger=False)
        warn(f"warning: {error}")
    typer.echo(tomli_w.dumps(shown(settings)).rstrip())


@config.command("schema")
def schema() -> None:
    """Print the JSON Schema of the settings, for editors."""
    from gateway.documentation.pages import settings_schema

    typer.echo(settings_schema(), nl=False)


@config.command("test")
def test(name: Annotated[str, typer.Argument(help="The name of the connection.")], config: Config = None) -> None:
    """Test a connection: log in at the vendor and read one page of its jobs. No job is changed.

    `jobgate connections test` has a running gateway do it.
    """
    from gateway.app import Catalogue, Gateway
    from gateway.domain.errors import JobgateError
    from gateway.domain.suggestions import did_you_mean
    from gateway.ledger.memory import MemoryLedger

    logging.getLogger("gateway").addHandler(logging.NullHandler())  # the failure says what each attempt logs
    settings = settings_of(config, with_ledger=False)
    if name not in settings.connections:
        raise Failure(
            f"the settings have no connection {name}; {did_you_mean(name, settings.connections)}", ExitCode.USAGE
        )
    alone = settings.model_copy(update={"connections": {name: settings.connections[name]}})
    gateway = Gateway(alone, Catalogue.load(), ledger=MemoryLedger())
    try:
        found = asyncio.run(one_page(gateway, name))
    except JobgateError as error:
        said = getattr(error, "diagnosis", None) or error.detail
        raise Failure(f"{name} does not work: {error.title}. {said} ({error.code})", ExitCode.NOT_APPLIED) from None
    vendor = settings.connections[name].vendor
    typer.echo(f"{name} works: {vendor} accepted the credentials and returned {counted(found, 'job')}.")


async def one_page(gateway: Gateway, name: str) -> int:
    """Read a page of the jobs of a connection. Return their number. Raises JobgateError."""
    jobs = gateway.jobs
    try:
        page = await jobs.page(gateway.directory.connection(name), 1, None, None, gateway.calls.context())
    finally:
        await gateway.close()
    return len(page.items)
