"""`jobgate schedules …`: batches that begin at a time."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

import typer

from gateway.cli.operations import operation
from gateway.cli.options import described
from gateway.cli.output import Format, Output, show_one
from gateway.cli.remote import bulk
from gateway.cli.remote.calls import ProfileName, call, gateway
from gateway.cli.remote.commands import add_call, add_list, add_show
from gateway.cli.remote.selection import Jobs, conditions, selection

schedules = typer.Typer(
    name="schedules", help="Begin batches at a time, once or again and again.", no_args_is_help=True
)

CREATE = operation("createSchedule")
OWN = {name: each for name, each in (CREATE.body | CREATE.query).items() if name != "name"}
"""The members of a schedule beside its name and its batch."""

add_list(
    schedules,
    "listSchedules",
    ("id", "name", "state", "cron", "timeZone", "runAt", "nextOccurrences", "skipped", "batch.action"),
)
add_show(schedules, "getSchedule")
add_call(schedules, "pauseSchedule", "pause")
add_call(schedules, "resumeSchedule", "resume")
add_call(schedules, "deleteSchedule", "delete")


@schedules.command("create", help=CREATE.help)
@described(conditions() | OWN)
def create(
    name: Annotated[str, typer.Argument(help="The name of the schedule.")],
    action: bulk.ActionName,
    reason: Annotated[str, typer.Option(help="Why. It is the note of each action that has none.")],
    written: Jobs = None,
    label: bulk.Labels = None,
    output: Output = Format.TABLE,
    profile: ProfileName = None,
    **given: Any,
) -> None:
    """Make a schedule."""
    own = {each: value for each, value in given.items() if each in CREATE.body}
    query = {each: "true" for each in given if each in CREATE.query}
    chosen = selection(written, {each: value for each, value in given.items() if each not in own | query})
    batch = {"action": action, "reason": reason, "labels": bulk.labels_of(label)}
    batch |= {"select": {"filter": chosen.filter} if chosen.filter else {"jobs": list(chosen.jobs)}}
    with gateway(profile) as client:
        made = call(
            client,
            "createSchedule",
            query=query,
            body={"name": name, **own, "batch": batch},
            idempotency_key=str(uuid.uuid4()),
        )
        show_one(made, output)
