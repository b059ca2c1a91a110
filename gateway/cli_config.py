"""`jobgate config …`: the settings, before anything is started with them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli_keys import fail

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.config import Settings

config = typer.Typer(help="The settings.", no_args_is_help=True)

Config = Annotated[Path | None, typer.Option("--config", help="A TOML file with settings.", dir_okay=False)]


@config.command("check")
def check(file: Config = None) -> None:
    """Find every mistake in the settings; each is named with how to mend it."""
    settings = loaded(file)
    mistakes = list(mistakes_in(settings))
    if mistakes:
        fail("\n  ".join(["the settings cannot be used:", *mistakes]))
    typer.echo(f"good: {len(settings.connections)} connections, {len(settings.callers)} callers in the settings")


@config.command("show")
def show(file: Config = None) -> None:
    """Print the settings as they count: file, environment and defaults together, without any secret."""
    import tomli_w

    from gateway.config import shown

    typer.echo(tomli_w.dumps(shown(loaded(file))), nl=False)


@config.command("schema")
def schema() -> None:
    """Print the JSON Schema of the settings, for editors."""
    from gateway.documentation import settings_schema

    typer.echo(settings_schema(), nl=False)


def loaded(file: Path | None) -> Settings:
    """The settings. Ends the program where they cannot be read."""
    from gateway.config import ConfigurationError, load

    try:
        return load(file)
    except ConfigurationError as error:
        fail(str(error))


def mistakes_in(settings: Settings) -> Iterator[str]:
    """What only the vendors' documents and the files show to be wrong."""
    from gateway.app import Catalogue, Gateway
    from gateway.config import ConfigurationError
    from gateway.ledger.memory import MemoryLedger
    from gateway.serving import certificate, refuse_to_be_open

    catalogue = Catalogue.load()
    for name, each in settings.connections.items():
        try:
            Gateway(settings.model_copy(update={"connections": {name: each}}), catalogue, ledger=MemoryLedger())
        except ConfigurationError as error:
            yield str(error)
    try:
        refuse_to_be_open(settings)
    except ConfigurationError as error:
        yield str(error)
    try:
        with certificate(settings):
            pass
    except ConfigurationError as error:
        yield str(error)
