"""`jobgate windows …`: the times in which actions are allowed or not."""

from __future__ import annotations

import typer

from gateway.cli.remote.commands import add_list

windows = typer.Typer(
    name="windows", help="Look at the times in which actions are allowed or not.", no_args_is_help=True
)


@windows.callback()
def group() -> None:
    """Keep `list` a command of its own, although it is the only one."""


add_list(
    windows,
    "listWindows",
    ("name", "kind", "connections", "actions", "cron", "timeZone", "duration", "open", "changesAt"),
)
