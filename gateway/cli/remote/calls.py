"""Calls of a gateway: with the chosen profile, and with failures in words and exit codes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.exit_codes import ExitCode, of_outcome
from gateway.cli.operations import operation
from gateway.cli.output import printable
from gateway.cli.remote import profiles
from gateway.cli.shared import Failure

if TYPE_CHECKING:
    from gateway.client import Client, ClientError, ProblemError


def _profile_names() -> list[str]:
    """The names of the profiles, for the completion of a shell."""
    return sorted(profiles.profiles())


ProfileName = Annotated[
    str | None,
    typer.Option(
        "--profile",
        help="The gateway that `jobgate login` noted under this name. Default: JOBGATE_URL and JOBGATE_KEY, else "
        "JOBGATE_PROFILE, else the profile `default`.",
        autocompletion=_profile_names,
        show_default=False,
    ),
]

LARGEST_PAGE = 200
"""Most items of a page."""
REFUSALS = {"approval-required": ExitCode.NEEDS_APPROVAL} | dict.fromkeys(
    ("window-closed", "manifest-differs", "batch-too-large"), ExitCode.REFUSED
)
"""Exit codes of problems that their HTTP status does not tell."""


@contextmanager
def gateway(profile: str | None) -> Iterator[Client]:
    """A client of the gateway of a profile. Raises Failure if a call in the block fails."""
    with connected(profiles.chosen(profile)) as client:
        yield client


@contextmanager
def connected(profile: profiles.Profile) -> Iterator[Client]:
    """A client of a gateway. Raises Failure if the profile cannot be used, or if a call in the block fails."""
    from gateway.client import Client, ClientError

    try:
        client = Client(profile.url, profile.key, verify=profile.certificate or None)
    except ValueError as error:
        raise Failure(str(error), ExitCode.USAGE) from None
    with client:
        try:
            yield client
        except ClientError as error:
            raise failure(error) from None


def call(client: Client, name: str, *values: str, **content: Any) -> dict[str, Any]:
    """Call an operation, with the values of its path. Raises ClientError, and Failure for ids that no path can have."""
    called = operation(name)
    with usable_ids():
        return client.call(called.method, called.segments(*values), **content)


def items(
    client: Client, name: str, *values: str, limit: int | None = None, query: Mapping[str, Any] | None = None
) -> Iterator[dict[str, Any]]:
    """The items of a list, page by page; at most `limit`. Raises as `call`."""
    found = (item for page in pages(client, name, *values, limit=limit, query=query) for item in page["items"])
    return islice(found, limit)


def pages(
    client: Client, name: str, *values: str, limit: int | None = None, query: Mapping[str, Any] | None = None
) -> Iterator[dict[str, Any]]:
    """The pages of a list, which are no larger than `limit`. Raises as `call`."""
    size = {} if limit is None else {"limit": min(limit, LARGEST_PAGE)}
    with usable_ids():
        yield from client.pages(operation(name).segments(*values), query={**(query or {}), **size})


@contextmanager
def usable_ids() -> Iterator[None]:
    """Raise Failure for an id that no path can have."""
    try:
        yield
    except ValueError as error:
        raise Failure(printable(str(error)), ExitCode.USAGE) from None


def failure(error: ClientError) -> Failure:
    """A failed call, as the command says it."""
    from gateway.client import ProblemError

    if isinstance(error, ProblemError):
        return Failure("\n  ".join(printable(line) for line in _told(error)), _code(error))
    return Failure(printable(str(error)), ExitCode.UNREACHABLE)


def _code(problem: ProblemError) -> ExitCode:
    if problem.code in REFUSALS:
        return REFUSALS[problem.code]
    if problem.job_action is not None or problem.outcome == "unknown":  # without a record, nothing was begun
        return of_outcome(problem.outcome)
    return ExitCode.USAGE if problem.status < 500 and not problem.retryable else ExitCode.NOT_APPLIED  # noqa: PLR2004 - HTTP


def _told(problem: ProblemError) -> Iterator[str]:
    """The lines about a problem: what it is, where, and what would be possible."""
    yield (
        f"{problem.title}: {problem.detail} ({problem.code})" if problem.detail else f"{problem.title} ({problem.code})"
    )
    for each in problem.errors:
        yield f"{each.pointer}: {each.detail}"
    if problem.vendor is not None and problem.vendor.message:
        yield f"{problem.vendor.name} said: {problem.vendor.message}"
    if problem.job is not None:
        allowed = ", ".join(problem.job.allowed_actions) or "nothing"
        yield f"the job is {problem.job.vendor_status}; it allows: {allowed}"
    if problem.supported:
        yield f"supported: {', '.join(problem.supported)}"
    if problem.candidates:
        yield f"possible: {', '.join(problem.candidates)}"
    if problem.job_action is not None:
        yield f"record: jobgate actions show {problem.job_action}"
    if problem.retry_after is not None:
        yield f"try again in {problem.retry_after} s"
    yield f"how to mend it: {problem.type}"
