"""`jobgate batches …`: one action on many jobs."""

from __future__ import annotations

import hashlib
import sys
import uuid
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any

import typer

from gateway.cli.exit_codes import ExitCode
from gateway.cli.operations import operation
from gateway.cli.options import described
from gateway.cli.output import Format, Output, at, say
from gateway.cli.remote import bulk
from gateway.cli.remote.calls import ProfileName, call, gateway
from gateway.cli.remote.commands import add_call, add_list, add_show
from gateway.cli.remote.confirmation import Consent, Expect, Share, Yes, confirm
from gateway.cli.remote.progress import watch as watched
from gateway.cli.remote.selection import Jobs, conditions, selection
from gateway.cli.shared import Failure, counted

batches = typer.Typer(
    name="batches", help="Act on many jobs at once, and look at what became of them.", no_args_is_help=True
)

BatchId = Annotated[str, typer.Argument(metavar="BATCH", help="The id of a batch.")]
Detach = Annotated[bool, typer.Option("--detach", help="Do not wait until the batch has ended.")]

BODY = operation("createBatch").body
NEW = {name: BODY[name] for name in ("priority", "notBefore", "deadline")} | BODY["limits"].members
"""The members of a new batch beside its jobs, its action and its reason."""

add_list(batches, "listBatches", ("id", "state", "outcome", "action", "manifest.count", "reason", "createdAt"))
add_show(batches, "getBatch", show=bulk.show)
add_list(
    batches,
    "listBatchItems",
    ("position", "connection", "jobId", "statusSeen.vendorStatus", "verdict", "outcome", "problem", "jobAction"),
    "items",
)
add_call(batches, "pauseBatch", "pause", bulk.show)
add_call(batches, "abortBatch", "abort", bulk.show)


@batches.command("create")
@described(conditions() | NEW)
def create(
    action: bulk.ActionName,
    reason: Annotated[str, typer.Option(help="Why. It is the note of each action that has none.")],
    written: Jobs = None,
    label: bulk.Labels = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", metavar="NAME=VALUE", help="A parameter of the action. Can be repeated."),
    ] = None,
    output: Output = Format.TABLE,
    profile: ProfileName = None,
    **given: Any,
) -> None:
    """Make a batch, and show what it would do. It begins once it is confirmed: `jobgate batches confirm`."""
    new = {"action": action, "reason": reason, "labels": bulk.labels_of(label)}
    new |= {"parameters": bulk.labels_of(parameter)}
    new |= {name: value for name, value in given.items() if name in BODY}
    limits = {name: value for name, value in given.items() if name in BODY["limits"].members}
    chosen = selection(written, {name: value for name, value in given.items() if name not in NEW})
    with gateway(profile) as client:
        batch = bulk.create(client, new | ({"limits": limits} if limits else {}), chosen)
        bulk.preview(client, batch)
    bulk.show(batch, output)
    say(f"Confirm it: jobgate batches confirm {batch['id']}")


@batches.command("confirm")
def confirm_batch(
    batch_id: BatchId,
    yes: Yes = False,
    expect: Expect = None,
    share: Share = None,
    detach: Detach = False,
    output: Output = Format.TABLE,
    profile: ProfileName = None,
) -> None:
    """Show what a batch would do, ask for the number of jobs, and begin. Ctrl-C does not stop what has begun."""
    with gateway(profile) as client:
        batch = bulk.prepared(client, call(client, "getBatch", batch_id))
        bulk.preview(client, batch)
        going = bulk.confirmed(client, batch, Consent(yes, expect, share))
        bulk.finish(bulk.followed(client, going, detach=detach), output)


@batches.command("watch")
def watch(batch_id: BatchId, output: Output = Format.TABLE, profile: ProfileName = None) -> None:
    """Show the progress of a batch until it has ended, or waits for somebody. Ctrl-C ends the watching alone."""
    with gateway(profile) as client:
        bulk.finish(watched(client, call(client, "getBatch", batch_id)), output)


@batches.command("resume", help=operation("resumeBatch").help)
@described(operation("resumeBatch").body)
def resume(
    batch_id: BatchId, detach: Detach = False, output: Output = Format.TABLE, profile: ProfileName = None, **given: Any
) -> None:
    """Resume a batch, and watch it."""
    with gateway(profile) as client:
        going = call(client, "resumeBatch", batch_id, body=given)
        bulk.finish(bulk.followed(client, going, detach=detach), output)


@batches.command("redrive", help=operation("redriveBatch").help)
@described(operation("redriveBatch").body)
def redrive(
    batch_id: BatchId,
    yes: Yes = False,
    expect: Expect = None,
    share: Share = None,
    detach: Detach = False,
    output: Output = Format.TABLE,
    profile: ProfileName = None,
    **given: Any,
) -> None:
    """Make a new batch of what was not sent, and carry it out."""
    with gateway(profile) as client:
        new = call(client, "redriveBatch", batch_id, body=given, idempotency_key=str(uuid.uuid4()))
        going = bulk.carry_out(client, bulk.prepared(client, new), Consent(yes, expect, share), detach=detach)
        bulk.finish(going, output)


@batches.command("break-glass", help=operation("breakGlass").help)
@described({name: each for name, each in operation("breakGlass").body.items() if name in {"reason", "ticket"}})
def break_glass(
    batch_id: BatchId,
    yes: Yes = False,
    expect: Expect = None,
    detach: Detach = False,
    output: Output = Format.TABLE,
    profile: ProfileName = None,
    **given: Any,
) -> None:
    """Begin a batch in an emergency."""
    with gateway(profile) as client:
        batch = bulk.prepared(client, call(client, "getBatch", batch_id))
        bulk.preview(client, batch)
        count = bulk.count_of(batch)
        question = f"{batch['action'].capitalize()} {counted(count, 'job')} without approval"
        confirm(question, count, Consent(yes, expect))
        shown = {"manifestDigest": at(batch, "manifest.digest"), "count": count}
        going = call(client, "breakGlass", batch_id, body=shown | given)
        bulk.finish(bulk.followed(client, going, detach=detach), output)


class ReportFormat(StrEnum):
    """A form of a report."""

    NDJSON = "ndjson"
    CSV = "csv"


@batches.command("report")
def report(
    batch_id: BatchId,
    output: Annotated[
        ReportFormat, typer.Option("--output", "-o", help="Lines of JSON, or CSV (RFC 4180).")
    ] = ReportFormat.NDJSON,
    profile: ProfileName = None,
) -> None:
    """Print the report of a batch that has ended: a line for each job. Its SHA-256 is compared with the batch's."""
    with gateway(profile) as client:
        noted = at(call(client, "getBatch", batch_id), "report.sha256")
        pieces = client.download(operation("getBatchReport").segments(batch_id), query={"format": str(output)})
        digest = _written(pieces)
    if output is ReportFormat.NDJSON:
        _compare(digest, noted)


def _written(pieces: Iterable[bytes]) -> str:
    """Write pieces to standard output as they come, unchanged. Return their SHA-256."""
    digest = hashlib.sha256()
    sys.stdout.flush()
    for piece in pieces:
        digest.update(piece)
        sys.stdout.buffer.write(piece)
    sys.stdout.flush()
    return digest.hexdigest()


def _compare(digest: str, noted: str | None) -> None:
    """Raise Failure if a report is not the one that the batch has noted."""
    if noted != digest:
        raise Failure(f"the report has the SHA-256 {digest}, and the batch has noted {noted}", ExitCode.NOT_APPLIED)
    say(f"SHA-256 {digest}, as the batch has noted it")
