"""One action on many jobs: a batch is made, looked at, confirmed, and watched."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.exit_codes import ExitCode
from gateway.cli.operations import actions, operation
from gateway.cli.output import Format, as_text, at, say, show_list, show_one
from gateway.cli.remote.calls import call, items
from gateway.cli.remote.confirmation import Consent, ask, confirm
from gateway.cli.remote.progress import GOING_ON, PREPARING, Batch, until, watch
from gateway.cli.remote.selection import Selection
from gateway.cli.shared import Failure, counted

if TYPE_CHECKING:
    from gateway.client import Client

MOST_BYTES = 48_000
"""Most bytes of references to jobs in one request, well below the gateway's limit for a body."""
SHOWN = 10
"""The number of items that a preview shows."""
DIFFERS = "manifest-differs"
"""The problem of a confirmation that lacks the share, among others."""
UNDONE = frozenset({"not_allowed", "not_found", "held_by_other_batch", "unreadable"})
"""The verdicts of items that are not as the action would leave them."""
WAITING: Mapping[str, ExitCode] = {
    "awaiting_confirmation": ExitCode.REFUSED,
    "awaiting_approval": ExitCode.NEEDS_APPROVAL,
    "stopped": ExitCode.REFUSED,
}
"""The exit codes of the states in which a batch waits for somebody; else NOT_APPLIED."""
SUMMARY = (
    "id",
    "state",
    "outcome",
    "action",
    "reason",
    "labels",
    "manifest.verdicts",
    "progress.outcomes",
    "approval",
    "why.detail",
    "why.by",
)
"""The columns of a table of batches."""

ActionName = Annotated[
    str,
    typer.Argument(
        metavar="ACTION", help=f"The action: {', '.join(actions())}.", autocompletion=lambda: list(actions())
    ),
]
Reason = Annotated[
    str | None, typer.Option(help="Why. It is the note of each action, and needed for more than one job.")
]
Labels = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="NAME=VALUE", help="A word of your own, to find the records by. Can be repeated."),
]


def create(client: Client, new: Mapping[str, Any], selected: Selection) -> Batch:
    """Make a batch of the selected jobs, and wait until its manifest is there. Raises ClientError."""
    pages = list(_pages(selected.jobs))
    select: Mapping[str, Any] = {"pages": True} if len(pages) > 1 else {"jobs": list(selected.jobs)}
    if selected.filter:
        select = {"filter": selected.filter}
    batch = call(client, "createBatch", body={**new, "select": select}, idempotency_key=str(uuid.uuid4()))
    if len(pages) > 1:
        for number, page in enumerate(pages, 1):
            call(client, "addBatchItems", batch["id"], query={"page": number}, body=page)
        batch = call(client, "prepareBatch", batch["id"])
    return prepared(client, batch)


def prepared(client: Client, batch: Batch) -> Batch:
    """Wait until the manifest of a batch is there. Raises ClientError."""
    return until(client, batch, PREPARING, lambda _: None)


def _pages(jobs: Sequence[Mapping[str, str]]) -> Iterator[list[Mapping[str, str]]]:
    """The references in pages that fit into one request each, also into the one that creates a batch."""
    most = operation("createBatch").body["select"].members["jobs"].most
    page: list[Mapping[str, str]] = []
    size = 0
    for job in jobs:
        length = len(json.dumps(job)) + 1
        if page and (size + length > MOST_BYTES or len(page) == most):
            yield page
            page, size = [], 0
        page.append(job)
        size += length
    if page:
        yield page


def labels_of(written: Sequence[str] | None) -> dict[str, str]:
    """The labels by name. Raises Failure for one without a name or a value."""
    pairs = [each.partition("=") for each in written or ()]
    if not all(name and value for name, _, value in pairs):
        raise Failure("write a label as name=value", ExitCode.USAGE)
    return {name: value for name, _, value in pairs}


def preview(client: Client, batch: Batch) -> None:
    """Say what a batch would do: the number of jobs with each verdict, and the first of them. Raises ClientError."""
    say(f"\n{batch['action']}: {counted(count_of(batch), 'job')} will be acted on\n")
    for verdict, count in at(batch, "manifest.verdicts").items():
        say(f"  {count:>7}  {verdict.replace('_', ' ')}")
    if share := at(batch, "manifest.share"):
        say(f"\n  That is {share:.0%} of the jobs in these statuses.")
    say("")
    total = at(batch, "progress.items")
    for item in items(client, "listBatchItems", batch["id"], limit=SHOWN):
        seen = at(item, "statusSeen.vendorStatus")
        say(f"  {item['connection']}/{as_text(item['jobId'])}  {as_text(seen)}  {item['verdict'].replace('_', ' ')}")
    if total > SHOWN:
        say(f"  … and {total - SHOWN} more: jobgate batches items {batch['id']}")
    say("")


def count_of(batch: Batch) -> int:
    """The number of jobs that a batch acts on; 0 while it has no manifest."""
    count: int = at(batch, "manifest.count") or 0
    return count


def confirmed(client: Client, batch: Batch, consent: Consent) -> Batch:
    """Ask for the number of jobs, and confirm exactly the manifest that was shown. Raises Failure and ClientError.

    If that is a larger share of the jobs than the gateway allows without being told so, ask for the share too.
    """
    from gateway.client import ProblemError

    count, share = count_of(batch), at(batch, "manifest.share")
    confirm(f"{batch['action'].capitalize()} {counted(count, 'job')}", count, consent)
    shown = {"manifestDigest": at(batch, "manifest.digest"), "count": count}
    if consent.share is not None:
        shown |= {"share": consent.share}
    try:
        return call(client, "confirmBatch", batch["id"], body=shown)
    except ProblemError as problem:
        if problem.code != DIFFERS or share is None or (consent.share or 0) >= share:
            raise
        if consent.yes:
            raise Failure(f"{problem.detail} Add --share {share}.", ExitCode.REFUSED) from None
        say(str(problem.detail))
    ask(f"{batch['action'].capitalize()} {share:.0%} of the jobs in question", f"{share:.0%}")
    return call(client, "confirmBatch", batch["id"], body={**shown, "share": share})


def carry_out(client: Client, batch: Batch, consent: Consent, *, detach: bool) -> Batch:
    """Show, confirm and watch a new batch. One that is not confirmed is aborted, so that it holds no job.

    Raises Failure and ClientError.
    """
    from gateway.client import ClientError

    preview(client, batch)
    if batch["state"] != "awaiting_confirmation":
        return batch
    try:
        going = confirmed(client, batch, consent)
    except (Failure, ClientError, KeyboardInterrupt):
        abandoned(client, batch, "not confirmed")
        raise
    return followed(client, going, detach=detach)


def followed(client: Client, batch: Batch, *, detach: bool) -> Batch:
    """Watch a batch until it has ended or waits for somebody; with `detach`, only say how to. Raises ClientError."""
    if not detach:
        return watch(client, batch)
    say(f"It goes on: jobgate batches watch {batch['id']}")
    return batch


def abandoned(client: Client, batch: Batch, why: str) -> Batch:
    """Abort a batch that waits for its confirmation. One that had nothing to do has ended. Raises ClientError."""
    if batch["state"] != "awaiting_confirmation":
        return batch
    return call(client, "abortBatch", batch["id"], body={"reason": why})


def show(batch: Batch, output: Format) -> None:
    """Print a batch; as a table, its summary."""
    if output is Format.TABLE:
        batch = {name: value for name in SUMMARY if (value := at(batch, name)) not in (None, {})}
    if output is Format.CSV:
        show_list([batch], SUMMARY, output)
    else:
        show_one(batch, output)


def exit_code(batch: Batch) -> ExitCode:
    """The end of a batch, or the person for whom it waits. One that goes on by itself has begun well."""
    if batch["state"] in GOING_ON:
        return ExitCode.DONE
    if batch["state"] in WAITING:
        return WAITING[batch["state"]]
    if at(batch, "progress.outcomes").get("unknown"):
        return ExitCode.UNKNOWN
    undone = UNDONE & {name for name, count in (at(batch, "manifest.verdicts") or {}).items() if count}
    is_whole = batch["state"] == "completed" and batch.get("outcome") == "all_applied" and not undone
    return ExitCode.DONE if is_whole else ExitCode.NOT_APPLIED


def finish(batch: Batch, output: Format) -> None:
    """Print a batch, and end with its exit code. Raises typer.Exit."""
    show(batch, output)
    if batch["state"] == "awaiting_approval":
        say(f"A second person has to approve it: jobgate approvals show {batch.get('approval', '')}")
    if batch["state"] == "stopped":
        say(f"It can be resumed: jobgate batches resume {batch['id']}")
    raise typer.Exit(exit_code(batch))
