"""`jobgate connections …`: the vendor accounts of a gateway, and whether they work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.exit_codes import ExitCode
from gateway.cli.output import Format, Output, show_list
from gateway.cli.remote.calls import ProfileName, call, gateway, items
from gateway.cli.remote.commands import add_list, add_show
from gateway.cli.shared import Failure

if TYPE_CHECKING:
    from gateway.client import Client

connections = typer.Typer(
    name="connections", help="Look at the connections to vendors, and test them.", no_args_is_help=True
)

TESTED = ("connection", "works", "breaker.state", "contractDrift.count", "lastSuccessAt", "problem")
NOT_LISTED = "list-not-supported"
"""The problem of a vendor whose API has no list of jobs."""
NOBODYS_JOB = "jobgate-connection-test"
"""The id of a job that no vendor has, to be read where there is no list."""
NO_SUCH_JOB = "unknown-job"

add_list(connections, "listConnections", ("name", "vendor", "endpoint", "authentication", "contractDrift"))
add_show(connections, "getConnection")
add_show(connections, "getConnectionHealth", "health")


@connections.command("test")
def test(
    names: Annotated[list[str] | None, typer.Argument(metavar="CONNECTION", show_default=False)] = None,
    every: Annotated[bool, typer.Option("--all", help="Test every connection that the key may use.")] = False,
    output: Output = Format.TABLE,
    profile: ProfileName = None,
) -> None:
    """Have the gateway log in at the vendors and read a page of their jobs. No job is changed.

    `jobgate config test` does the same from a settings file, without a gateway.
    """
    if bool(names) == every:
        raise Failure("name the connections to test, or --all", ExitCode.USAGE)
    with gateway(profile) as client:
        chosen = [each["name"] for each in items(client, "listConnections")] if every else names or []
        tested = [_tested(client, each) for each in chosen]
        show_list(tested, TESTED, output)
    raise typer.Exit(ExitCode.DONE if all(each["works"] for each in tested) else ExitCode.NOT_APPLIED)


def _tested(client: Client, name: str) -> dict[str, Any]:
    """The health of a connection after one read, and the problem of that read, if it had one. Raises ClientError."""
    problem = _problem(client, name)
    found = {"works": problem is None, "problem": problem}
    return call(client, "getConnectionHealth", name) | {
        each: value for each, value in found.items() if value is not None
    }


def _problem(client: Client, name: str) -> str | None:
    """The problem of reading a page of jobs, or the one job that nobody has. Raises ClientError."""
    from gateway.client import ProblemError

    try:
        call(client, "listJobs", name, query={"limit": 1})
    except ProblemError as listing:
        if listing.code != NOT_LISTED:
            return _told(listing)
        try:
            call(client, "getJob", name, NOBODYS_JOB)
        except ProblemError as reading:
            return None if reading.code == NO_SUCH_JOB else _told(reading)
    return None


def _told(problem: Any) -> str:
    return f"{problem.title}. {problem.detail} ({problem.code})"
