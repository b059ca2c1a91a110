"""`jobgate demo`: try every action in every status of every vendor, and check each answer.

Each step puts a job of the sandbox into a status and applies an action through the unified API. The answer is compared
with the capability matrix, with the sandbox's own log, and with the job as the gateway reads it afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import groupby, product
from typing import Any

import requests
from rich.console import Console, OverflowMethod
from rich.progress import track
from rich.table import Column, Table
from rich.text import Text

from gateway.client import AssignmentOptions, Capability, Client, ClientError, JobAction, ProblemError
from gateway.sandbox.server import SandboxServer
from gateway.startup.serve import running

GONE = "gone"
STYLES = {"applied": "green", "rejected": "yellow", "not_sent": "cyan"}


@dataclass(frozen=True)
class Expectation:
    """The expected result of a step: HTTP status, problem, possible outcomes, and the job's vendor status.

    If the action `deletes_job`, nobody can read the job afterwards.
    """

    status: int
    code: str | None
    outcomes: tuple[str, ...]
    after: str
    deletes_job: bool = False


def applied(to: str, *, deletes_job: bool = False) -> Expectation:
    """The expectation of an action that the vendor carries out."""
    return Expectation(200, None, ("applied",), to, deletes_job)


@dataclass(frozen=True)
class Step:
    """An action on a job in the vendor status `before`. Without a `job_id`, a new job is made."""

    part: str
    vendor: str
    action: str
    before: str
    expected: Expectation
    job_id: str | None = None
    options: AssignmentOptions = field(default_factory=AssignmentOptions)


@dataclass(frozen=True)
class Answer:
    """The answer of the gateway. `after` is the job's vendor status, `vendor_status` the vendor's HTTP status."""

    status: int | None
    code: str | None
    outcome: str | None
    after: str | None = None
    vendor_status: int | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    is_settled_by_reading: bool = False


@dataclass(frozen=True)
class Call:
    """An action that the vendor received: the job's vendor status before and after it, and the reply's HTTP status."""

    action: str
    job_id: str
    parameters: Mapping[str, Any]
    before: str | None
    after: str | None
    status: int | None


@dataclass(frozen=True)
class Row:
    """A finished step: the gateway's answer, the calls that the vendor received, and the job read back."""

    step: Step
    job_id: str
    answer: Answer
    calls: tuple[Call, ...]
    read_back: str


SECONDS = 20
"""The longest wait for an outcome, since some vendors only accept an action, and a read shows its end."""
AZURE, VONAGE = "azure-job-router", "vonage-contact-center"
AZURE_JOB, VONAGE_JOB = "8780b28c-7079-4de1-9143-4d369289e958", "fe4b9c24-d305-492e-90e2-ddbdd7a36555"
CLOSE_OPTIONS = AssignmentOptions(
    assignment_id="1d5896f3-8b54-40be-82d3-910323f5e2af", disposition_code="JobCompleted.", note="Closing job"
)
SAMPLES = (
    Step("samples from its documentation", AZURE, "close", "completed", applied("closed"), AZURE_JOB, CLOSE_OPTIONS),
    # Cancel Job has two samples, with `{}` and without a body. Both are a cancel without parameters.
    Step("samples from its documentation", AZURE, "cancel", "queued", applied("cancelled"), AZURE_JOB),
    Step("samples from its documentation", AZURE, "cancel", "queued", applied("cancelled"), AZURE_JOB),
    Step("samples from its documentation", VONAGE, "restart", "Paused", applied("Scheduled"), VONAGE_JOB),
)


class Control:
    """The sandbox's control API. Raises requests.RequestException."""

    def __init__(self, sandbox: SandboxServer) -> None:
        """Call this sandbox. It makes the ids of jobs, in the form of each vendor's."""
        self._sandbox = sandbox
        self._session = requests.Session()
        self._session.trust_env = False
        self._seen: dict[str, int] = {}

    def close(self) -> None:
        """Close the HTTP session."""
        self._session.close()

    def prepare(self, step: Step) -> str:
        """Put a job into the status of a step. Return its id."""
        if step.job_id is not None:
            self._call("PUT", step.vendor, f"jobs/{step.job_id}", {"status": step.before})
            return step.job_id
        return self._sandbox.vendor(step.vendor).create_job(step.before)

    def new_calls(self, vendor: str) -> Iterator[Call]:
        """Yield the actions that the vendor received since the last call."""
        entries = self._call("GET", vendor, f"log?after={self._seen.get(vendor, 0)}")["items"]
        for entry in entries:
            self._seen[vendor] = entry["sequence"]
            if (asked := entry["jobAction"]) is not None:
                sent = asked["action"], asked["jobId"], asked["parameters"]
                yield Call(*sent, entry["before"], entry["after"], entry["status"])

    def _call(self, method: str, vendor: str, path: str, body: Mapping[str, str] | None = None) -> Any:
        url = f"{self._sandbox.url}/control/{vendor}/{path}"
        reply = self._session.request(method, url, json=body, timeout=10)
        reply.raise_for_status()
        return reply.json()


def run(console: Console) -> int:
    """Take every step and show the results. Return the exit code: 0 without differences, else 1."""
    with running() as stack, Client(stack.url, stack.api_key) as client, closing(Control(stack.sandbox)) as control:
        # Only the connections to the sandbox, not others in the settings.
        simulated = [each for each in client.connections() if each.endpoint == stack.sandbox.endpoint(each.vendor)]
        names = {each.vendor: each.name for each in simulated}
        rows = [take(step, names[step.vendor], client, control) for step in showing_progress(console, plan(client))]
    return report(console, rows)


def showing_progress(console: Console, steps: Iterable[Step]) -> Iterable[Step]:
    """The steps, with a progress bar on the terminal until they are done."""
    return track(tuple(steps), "Trying every action", console=console, disable=not console.is_terminal, transient=True)


def plan(client: Client) -> Iterator[Step]:
    """All steps: for each vendor its documented samples, then every action in every status."""
    for vendor in client.vendors():
        yield from (sample for sample in SAMPLES if sample.vendor == vendor.name)
        known = [status for status in vendor.statuses if status.status != "unknown"]  # only rows of lists are unknown
        for status, capability in product(known, vendor.actions):
            expected = expectation(capability, status.vendor_status)
            yield Step("every action in every status", vendor.name, capability.action, status.vendor_status, expected)


def expectation(capability: Capability, status: str) -> Expectation:
    """The expectation of an action in a vendor status, by the capability matrix."""
    if capability.to_status is None:
        return Expectation(422, "action-not-supported", ("not_sent",), status)
    if status not in {each.vendor_status for each in capability.from_statuses}:
        return Expectation(409, "wrong-state", ("rejected", "not_sent"), status)
    return applied(capability.to_status.vendor_status, deletes_job=capability.deletes_job)


def take(step: Step, connection: str, client: Client, control: Control) -> Row:
    """Take one step."""
    job_id = control.prepare(step)
    answer = act(step, connection, job_id, client)
    calls = tuple(control.new_calls(step.vendor))
    return Row(step, job_id, answer, calls, read_back(connection, job_id, client))


def act(step: Step, connection: str, job_id: str, client: Client) -> Answer:
    """Apply the action through the unified API."""
    try:
        options: AssignmentOptions = {**step.options, "wait": SECONDS}
        return accepted(client.act(step.action, connection, job_id, **options))
    except ProblemError as problem:
        return refused(problem)
    except ClientError as error:
        return Answer(None, str(error), error.outcome)


def accepted(done: JobAction) -> Answer:
    """The answer in a job action. Its HTTP status is 202 if the outcome is unknown, else 200."""
    after = done.job.vendor_status if done.job else None
    vendor_status = done.vendor_response.status if done.vendor_response else None
    status = 202 if done.outcome == "unknown" else 200
    code = done.problem.code if done.problem else None
    return Answer(status, code, done.outcome, after, vendor_status, done.parameters, done.settled_by == "reading")


def refused(problem: ProblemError) -> Answer:
    """The answer in a problem."""
    after = problem.job.vendor_status if problem.job else None
    vendor_status = problem.vendor.status if problem.vendor else None
    return Answer(problem.status, problem.code, problem.outcome, after, vendor_status)


def read_back(connection: str, job_id: str, client: Client) -> str:
    """The job's vendor status, read through the gateway; `gone` if there is no such job, or another error as text."""
    try:
        return client.job(connection, job_id).vendor_status
    except ClientError as error:
        return GONE if isinstance(error, ProblemError) and error.code == "unknown-job" else str(error)


def differences(row: Row) -> Iterator[str]:
    """Yield each difference between a step's result and its expectation."""
    where = f"{row.step.vendor}, {row.step.action} on the {row.step.before} job {row.job_id}"
    for what, expected, found in comparisons(row):
        if found != expected:
            yield f"{where}: {what}: expected {shown(expected)}, found {shown(found)}"


def comparisons(row: Row) -> Iterator[tuple[str, object, object]]:
    """Yield each comparison: its name, the expected value, and the found value."""
    expected, answer = row.step.expected, row.answer
    likely = answer.outcome if answer.outcome in expected.outcomes else " or ".join(expected.outcomes)
    yield "HTTP status", expected.status, answer.status
    yield "problem", expected.code, answer.code
    yield "outcome", likely, answer.outcome
    # If the vendor does not have the action, the job is not read.
    yield "job in the answer", None if expected.code == "action-not-supported" else expected.after, answer.after
    yield "the sandbox's log", calls_answered_for(row), row.calls
    yield "job read back", GONE if expected.deletes_job else expected.after, row.read_back


def calls_answered_for(row: Row) -> tuple[Call, ...]:
    """The calls that the sandbox's log must contain if the gateway's answer is true."""
    answer = row.answer
    if answer.outcome == "not_sent":
        return ()
    job = row.job_id, answer.parameters, row.step.before, answer.after
    # If a read has settled the outcome, the answer does not have the vendor's reply.
    replied = (call.status for call in row.calls) if answer.is_settled_by_reading else iter((answer.vendor_status,))
    return (Call(row.step.action, *job, next(replied, None)),)


def shown(value: object) -> str:
    """A value as text in a difference."""
    if isinstance(value, tuple):
        return " and ".join(map(shown, value)) or "no call"
    if isinstance(value, Call):
        asked = f"{value.action} of {value.job_id} with {dict(value.parameters) or 'no parameters'}"
        return f"{asked} ({value.before} to {value.after}, HTTP {value.status})"
    return "nothing" if value is None else str(value)


def report(console: Console, rows: Sequence[Row]) -> int:
    """Print tables, differences and summary. Return the exit code."""
    ascii_only = console.options.ascii_only
    for table in tables(rows, "->" if ascii_only else "→", "crop" if ascii_only else "ellipsis"):
        console.print(table, "")
    found = [difference for row in rows for difference in differences(row)]
    for difference in found:
        console.print(Text(difference), soft_wrap=True)
    console.print(Text(f"{len(rows)} actions, {len(found)} differences", style="bold red" if found else "bold green"))
    return 1 if found else 0


def tables(rows: Sequence[Row], arrow: str, overflow: OverflowMethod) -> Iterator[Table]:
    """A table for each part of each vendor, all with the same column widths."""
    width = max(len(change(row, arrow)) for row in rows)
    longest = max(len(row.step.action) for row in rows)
    for (vendor, part), group in groupby(rows, key=lambda row: (row.step.vendor, row.step.part)):
        table = Table(
            # If the terminal is too narrow, only ids are cut.
            Column("Job", overflow=overflow, min_width=9),
            Column("Action", no_wrap=True, min_width=longest),
            Column("Before and after", no_wrap=True, min_width=width),
            Column("HTTP", no_wrap=True),
            Column("Outcome", no_wrap=True, min_width=8),
            title=f"{vendor}: {part}",
            title_justify="left",
            box=None,
            padding=(0, 2, 0, 0),
        )
        for row in group:
            texts = row.job_id, row.step.action, change(row, arrow), str(row.answer.status)
            table.add_row(*map(Text, texts), outcome(row))
        yield table


def change(row: Row, arrow: str) -> str:
    """The job's vendor status before the step, and as read back after it."""
    return f"{row.step.before} {arrow} {'unchanged' if row.read_back == row.step.before else row.read_back}"


def outcome(row: Row) -> Text:
    """The outcome as a cell of the table."""
    mark = " (differs)" if any(differences(row)) else ""
    return Text(f"{row.answer.outcome}{mark}", style="red" if mark else STYLES.get(str(row.answer.outcome), ""))
