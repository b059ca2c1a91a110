"""`jobgate jobs …`: finding jobs, and acting on one or on many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.exit_codes import ExitCode
from gateway.cli.operations import Operation, actions, operation
from gateway.cli.options import described
from gateway.cli.output import Format, Output, show_list, show_one
from gateway.cli.remote import bulk, single
from gateway.cli.remote.calls import ProfileName, call, gateway, pages
from gateway.cli.remote.commands import PAGING, Limit, add_show
from gateway.cli.remote.confirmation import Consent, Expect, Share, Yes
from gateway.cli.remote.selection import Jobs, conditions, selection
from gateway.cli.shared import Failure, counted, warn

if TYPE_CHECKING:
    from gateway.client import Client

jobs = typer.Typer(name="jobs", help="Find jobs, and act on one or on many.", no_args_is_help=True)

COLUMNS = ("id", "connection", "status", "vendorStatus", "allowedActions")
NOTE, LABELS = "note", "labels"
"""The parameters of an action for which the command line has --reason and --label."""

Wait = Annotated[
    int, typer.Option(min=0, max=60, help="Seconds to wait if the outcome of a single action is not known at once.")
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Send nothing to the vendor: print the exact request, or what would become of many."
    ),
]
Detach = Annotated[bool, typer.Option("--detach", help="Do not wait until a batch has ended.")]


@jobs.command("list", help=operation("findJobs").help)
@described({name: each for name, each in operation("findJobs").query.items() if name not in PAGING})
def find(limit: Limit = None, output: Output = Format.TABLE, profile: ProfileName = None, **given: Any) -> None:
    """List the jobs of several connections. Connections that could not be read are named on standard error."""
    search = Search(given, limit)
    with gateway(profile) as client:
        show_list(islice(search.jobs(client), limit), COLUMNS, output)
    for connection, problem in search.unread.items():
        warn(f"{connection} could not be read: {problem}")
    if search.left_out:
        warn(f"left out: {counted(search.left_out, 'job')} whose status or age the vendor does not show")
    raise typer.Exit(ExitCode.NOT_APPLIED if search.unread else ExitCode.DONE)


@dataclass
class Search:
    """A search for jobs: the connections that could not be read, each with its problem, and how many jobs it left out.

    Those are jobs that may be wanted, but do not show their status or their age.
    """

    conditions: Mapping[str, Any]
    limit: int | None
    unread: dict[str, str] = field(default_factory=dict)
    left_out: int = 0

    def jobs(self, client: Client) -> Iterator[dict[str, Any]]:
        """The jobs that are found, page by page."""
        for page in pages(client, "findJobs", limit=self.limit, query=self.conditions):
            self.unread |= {each["connection"]: each["detail"] for each in page["incomplete"]}
            self.left_out += page["leftOut"]
            yield from page["items"]


add_show(jobs, "countJobs", "count")


@jobs.command("show")
@described({"connection": conditions()["connection"]} | operation("getJob").query)
def show(written: Jobs = None, output: Output = Format.TABLE, profile: ProfileName = None, **given: Any) -> None:
    """Show jobs: their statuses, the actions that they allow, and why they block the others."""
    query = {name: value for name, value in given.items() if name in operation("getJob").query}
    chosen = selection(written, {name: value for name, value in given.items() if name not in query})
    with gateway(profile) as client:
        found = (call(client, "getJob", each["connection"], each["jobId"], query=query) for each in chosen.jobs)
        if len(chosen.jobs) == 1:
            show_one(next(found), output)
        else:
            show_list(found, COLUMNS, output)


def add_action(name: str, called: Operation) -> None:
    """Add the command of an action, with the parameters that the document has for it."""
    parameters = {each: member for each, member in called.body.items() if each != NOTE}

    @described(conditions() | parameters)
    def run(
        written: Jobs = None,
        reason: bulk.Reason = None,
        label: bulk.Labels = None,
        dry_run: DryRun = False,
        yes: Yes = False,
        expect: Expect = None,
        share: Share = None,
        detach: Detach = False,
        wait: Wait = 20,
        output: Output = Format.TABLE,
        profile: ProfileName = None,
        **given: Any,
    ) -> None:
        action = {each: value for each, value in given.items() if each in parameters}
        chosen = selection(written, {each: value for each, value in given.items() if each not in parameters})
        with gateway(profile) as client:
            labels = bulk.labels_of(label)
            if len(chosen.jobs) == 1:
                _check_expected(expect)
                body = action | ({NOTE: reason} if reason else {}) | ({LABELS: labels} if labels else {})
                single.act(client, called, chosen.jobs[0], body, dry_run=dry_run, wait=wait, output=output)
                return
            if not reason:
                raise Failure("more than one job needs a --reason", ExitCode.USAGE)
            new = {"action": name, "parameters": action, "reason": reason, LABELS: labels}
            batch = bulk.create(client, new, chosen)
            if dry_run:
                bulk.preview(client, batch)
                bulk.show(bulk.abandoned(client, batch, "dry run"), output)
            else:
                bulk.finish(bulk.carry_out(client, batch, Consent(yes, expect, share), detach=detach), output)

    many = "Several jobs, or a filter, become a batch: it shows what it would do, and asks for the number of jobs."
    jobs.command(name, help=f"{called.help}\n\n{many}")(run)


for _name, _operation in actions().items():
    add_action(_name, _operation)


def _check_expected(expect: int | None) -> None:
    if expect not in {None, 1}:
        raise Failure(f"nothing was done: {expect} expected, and there would be 1", ExitCode.REFUSED)
