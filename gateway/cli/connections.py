"""`jobgate connections …`: the configured vendor accounts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.shared import Config, Failure, settings_of

if TYPE_CHECKING:
    from gateway.app import Gateway

connections = typer.Typer(help="The configured vendor accounts.", no_args_is_help=True)


@connections.command("test")
def prove(name: Annotated[str, typer.Argument(help="The connection's name.")], config: Config = None) -> None:
    """Prove that a connection works: log in at the vendor, and read a page of its jobs. No job is changed."""
    from gateway.app import Catalogue, Gateway
    from gateway.domain.errors import JobgateError
    from gateway.domain.suggestions import did_you_mean
    from gateway.ledger.memory import MemoryLedger

    settings = settings_of(config, with_ledger=False)
    if name not in settings.connections:
        raise Failure(f"there is no connection {name} in the settings; {did_you_mean(name, settings.connections)}")
    alone = settings.model_copy(update={"connections": {name: settings.connections[name]}})
    gateway = Gateway(alone, Catalogue.load(), ledger=MemoryLedger())
    try:
        found = asyncio.run(one_page(gateway, name))
    except JobgateError as error:
        said = getattr(error, "diagnosis", None) or error.detail
        raise Failure(f"{name} does not work: {error.title}. {said} ({error.code})") from None
    typer.echo(f"{name} works: {settings.connections[name].vendor} let us in and showed {found} of its jobs.")


async def one_page(gateway: Gateway, name: str) -> int:
    """Read a page of the jobs of a connection; gives how many there are on it. Raises JobgateError."""
    jobs = gateway.reconciler.jobs
    try:
        page = await jobs.page(gateway.directory.connection(name), 1, None, None, jobs.calls.context())
    finally:
        await gateway.close()
    return len(page.items)
