"""`jobgate config …`: checking and showing the settings."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.shared import Config, chosen_file, counted, tell_used, warn

config = typer.Typer(help="Check and show the settings.", no_args_is_help=True)


@config.command("check")
def check(
    file: Config = None,
    offline: Annotated[bool, typer.Option("--offline", help="Do not check the ledger and its API keys.")] = False,
) -> None:
    """Report every mistake that would keep the gateway from starting, each with its remedy."""
    from gateway.app import Catalogue
    from gateway.startup.checks import checked, warnings_of

    chosen = chosen_file(file)
    settings = checked(chosen, {}, Catalogue.load(), is_offline=offline)
    tell_used(chosen, settings)
    for warning in warnings_of(settings):
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
