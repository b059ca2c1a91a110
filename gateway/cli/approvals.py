"""`jobgate approvals …`: the agreement of a second person to a batch, and the reviews of emergencies."""

from __future__ import annotations

import typer

from gateway.cli.remote.commands import add_call, add_list, add_show

approvals = typer.Typer(name="approvals", help="Approve what others have asked for.", no_args_is_help=True)
COLUMNS = ("id", "state", "batch", "requestedByOwner", "plan.action", "plan.reason", "decideUntil")

add_list(approvals, "listApprovals", COLUMNS)
add_show(approvals, "getApproval")
for decision in ("approve", "reject", "review"):
    add_call(approvals, decision, decision)
