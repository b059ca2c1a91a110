"""`jobgate callers …`: the callers of a gateway, by their keys. `jobgate keys` changes keys, beside the ledger."""

from __future__ import annotations

import typer

from gateway.cli.remote.commands import add_list

callers = typer.Typer(name="callers", help="Look at who may call a gateway, and by which keys.", no_args_is_help=True)


@callers.callback()
def group() -> None:
    """Keep `list` a command of its own, although it is the only one."""


add_list(
    callers,
    "listKeys",
    ("id", "source", "caller", "owner", "scopes", "accessKey", "state", "createdAt", "expiresAt", "lastUsedAt"),
)
