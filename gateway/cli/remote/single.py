"""One action on one job, and what became of it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from gateway.cli.exit_codes import ExitCode, of_outcome
from gateway.cli.operations import Operation
from gateway.cli.output import Format, say, show_list, show_one
from gateway.cli.remote.calls import call
from gateway.cli.remote.progress import detachable
from gateway.cli.shared import Failure

if TYPE_CHECKING:
    from gateway.client import Client

COLUMNS = ("id", "connection", "jobId", "action", "status", "outcome", "job.vendorStatus", "requestedAt")
"""The columns of job actions."""
OPEN = frozenset({"in_progress", "unsettled"})
"""The statuses of a job action that is not settled."""
LOOK_SECONDS = 20
"""Seconds for which the gateway holds the answer to one look at a job action that is not settled."""

Record = Mapping[str, Any]


def act(
    client: Client,
    called: Operation,
    job: Mapping[str, str],
    body: Mapping[str, Any],
    *,
    dry_run: bool,
    wait: int,
    output: Format,
) -> None:
    """Act on a job, and print the record; for a dry run, what would be sent.

    Raises ClientError, typer.Exit with the code of the outcome, and Failure if the answer is lost.
    """
    from gateway.client import GatewayUnreachable

    address = called.operation_id, job["connection"], job["jobId"]
    if dry_run:
        show_one(call(client, *address, query={"dryRun": "true"}, body=body), output)
        return
    try:
        record = call(client, *address, body=body, idempotency_key=str(uuid.uuid4()), wait=wait)
    except GatewayUnreachable as error:
        if error.outcome != "unknown":
            raise
        look = f"jobgate actions list --connection {job['connection']} --job-id {job['jobId']}"
        raise Failure(f"{error} It may have arrived. Look before you try again: {look}", ExitCode.UNKNOWN) from None
    finish(record, output)


def settled(client: Client, record_id: str) -> Record:
    """A job action once it is settled. Ctrl-C ends the waiting alone. Raises ClientError and typer.Exit."""
    with detachable(f"jobgate actions watch {record_id}"):
        record = call(client, "getJobAction", record_id)
        while record["status"] in OPEN:
            say(f"{record['status']}: {len(record['readings'])} readings of the job so far")
            record = call(client, "getJobAction", record_id, wait=LOOK_SECONDS)
    return record


def finish(record: Record, output: Format) -> None:
    """Print a job action, and end with the exit code of its outcome. Raises typer.Exit."""
    if output is Format.CSV:
        show_list([record], COLUMNS, output)
    else:
        show_one(record, output)
    if record["status"] in OPEN:
        say(f"The outcome is not known yet. Jobgate keeps reading the job: jobgate actions watch {record['id']}")
    raise typer.Exit(of_outcome(record.get("outcome")))
