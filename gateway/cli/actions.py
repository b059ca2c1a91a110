"""`jobgate actions …`: the records of job actions."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.output import Format, Output
from gateway.cli.remote import single
from gateway.cli.remote.calls import ProfileName, gateway
from gateway.cli.remote.commands import add_list, add_show

actions = typer.Typer(name="actions", help="Look at the records of job actions.", no_args_is_help=True)

add_list(actions, "listJobActions", single.COLUMNS)
add_show(actions, "getJobAction")


@actions.command("watch")
def watch(
    action_id: Annotated[str, typer.Argument(metavar="ID", help="The id of a job action.")],
    output: Output = Format.TABLE,
    profile: ProfileName = None,
) -> None:
    """Wait until the outcome of a job action is certain. Ctrl-C ends the waiting alone."""
    with gateway(profile) as client:
        single.finish(single.settled(client, action_id), output)
