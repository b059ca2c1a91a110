"""`jobgate connections …`: the configured vendor accounts."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli_keys import fail

if TYPE_CHECKING:
    from gateway.app import Gateway

connections = typer.Typer(help="The configured vendor accounts.", no_args_is_help=True)

Config = Annotated[Path | None, typer.Option(help="A TOML file with settings.", dir_okay=False)]


@connections.command("test")
def prove(name: Annotated[str, typer.Argument(help="The connection's name.")], config: Config = None) -> None:
    """Prove that a connection works: log in at the vendor, and read a page of its jobs. No job is changed."""
    from gateway.app import Catalogue, Gateway
    from gateway.config import ConfigurationError, load
    from gateway.domain.errors import JobgateError
    from gateway.ledger.memory import MemoryLedger

    try:
        settings = load(config)
        gateway = Gateway(settings, Catalogue.load(), ledger=MemoryLedger())
    except ConfigurationError as error:
        fail(str(error))
    if name not in settings.connections:
        fail(f"there is no connection {name}; the settings have {', '.join(settings.connections) or 'none'}")
    try:
        found = asyncio.run(one_page(gateway, name))
    except JobgateError as error:
        fail(f"{name} does not work: {error.title}. {error.detail} ({error.code})")
    typer.echo(f"{name} works: {settings.connections[name].vendor} let us in and showed {found} of its jobs.")


async def one_page(gateway: Gateway, name: str) -> int:
    """Read a page of the jobs of a connection; gives how many there are on it. Raises JobgateError."""
    jobs = gateway.settler.jobs
    try:
        page = await jobs.page(gateway.directory.connection(name), 1, None, None, jobs.calls.context())
    finally:
        await gateway.close()
    return len(page.items)
