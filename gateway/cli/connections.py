"""`jobgate connections …`: testing the configured vendor accounts."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.shared import Config, Failure, counted, settings_of

if TYPE_CHECKING:
    from gateway.app import Gateway

connections = typer.Typer(help="Test the connections to vendors.", no_args_is_help=True)


@connections.command("test")
def prove(name: Annotated[str, typer.Argument(help="The name of the connection.")], config: Config = None) -> None:
    """Test a connection: log in at the vendor and read one page of its jobs. No job is changed."""
    from gateway.app import Catalogue, Gateway
    from gateway.domain.errors import JobgateError
    from gateway.domain.suggestions import did_you_mean
    from gateway.ledger.memory import MemoryLedger

    logging.getLogger("gateway").addHandler(logging.NullHandler())  # the failure says what each attempt logs
    settings = settings_of(config, with_ledger=False)
    if name not in settings.connections:
        raise Failure(f"the settings have no connection {name}; {did_you_mean(name, settings.connections)}")
    alone = settings.model_copy(update={"connections": {name: settings.connections[name]}})
    gateway = Gateway(alone, Catalogue.load(), ledger=MemoryLedger())
    try:
        found = asyncio.run(one_page(gateway, name))
    except JobgateError as error:
        said = getattr(error, "diagnosis", None) or error.detail
        raise Failure(f"{name} does not work: {error.title}. {said} ({error.code})") from None
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
