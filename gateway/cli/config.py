"""`jobgate config …`: the settings, before anything is started with them."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.shared import Config, chosen_file, counted, settings_of, tell_used, warn

config = typer.Typer(help="The settings.", no_args_is_help=True)


@config.command("check")
def check(
    file: Config = None,
    offline: Annotated[bool, typer.Option("--offline", help="Leave out the ledger, and whether it has a key.")] = False,
) -> None:
    """Find every mistake for which a gateway would not start; each is named with how to mend it."""
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
    """Print the settings as they count: file, environment and defaults together, without any secret."""
    import tomli_w

    from gateway.settings.settings import shown

    typer.echo(tomli_w.dumps(shown(settings_of(file))).rstrip())


@config.command("schema")
def schema() -> None:
    """Print the JSON Schema of the settings, for editors."""
    from gateway.documentation.pages import settings_schema

    typer.echo(settings_schema(), nl=False)
