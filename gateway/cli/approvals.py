"""`jobgate approvals …`: the decisions of a second person."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gateway.cli.operations import operation
from gateway.cli.options import described
from gateway.cli.output import Format, Output, show_one
from gateway.cli.remote import bulk
from gateway.cli.remote.calls import ProfileName, call, gateway
from gateway.cli.remote.commands import add_list, add_show
from gateway.cli.remote.confirmation import Consent, Expect, Yes, confirm
from gateway.cli.shared import counted

approvals = typer.Typer(name="approvals", help="Decide about batches of others.", no_args_is_help=True)

DECISIONS = ("approve", "reject", "review")
"""The decisions. Each has the name of its operation, and of its command."""

add_list(
    approvals,
    "listApprovals",
    ("id", "state", "batch", "plan.action", "requestedByOwner", "plan.reason", "decideUntil"),
)
add_show(approvals, "getApproval")


def add_decision(name: str) -> None:
    """Add the command of a decision."""
    called = operation(name)

    @described({each: member for each, member in called.body.items() if each != "digest"})
    def run(
        approval_id: Annotated[str, typer.Argument(metavar="APPROVAL", help="The id of an approval.")],
        yes: Yes = False,
        expect: Expect = None,
        output: Output = Format.TABLE,
        profile: ProfileName = None,
        **given: Any,
    ) -> None:
        with gateway(profile) as client:
            approval = call(client, "getApproval", approval_id)
            batch = call(client, "getBatch", approval["batch"])
            bulk.preview(client, batch)
            count = bulk.count_of(batch)
            confirm(f"{name.capitalize()} {batch['action']} of {counted(count, 'job')}", count, Consent(yes, expect))
            show_one(call(client, name, approval_id, body={"digest": approval["digest"], **given}), output)

    text = "It shows the batch first, and decides about exactly that one."
    approvals.command(name, help=f"{called.help}\n\n{text}")(run)


for _name in DECISIONS:
    add_decision(_name)
