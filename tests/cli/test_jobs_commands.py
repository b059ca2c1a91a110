"""`jobgate jobs …`, `actions …`, `connections …` and `vendors …` against a real gateway and its sandbox."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from typer.testing import Result

from gateway.cli.exit_codes import ExitCode
from gateway.client import Client
from gateway.sandbox.faults import Fault, FaultKind
from gateway.startup.serve import Running
from tests.cli.fixtures import STUB_KEY, ask, run
from tests.client.stub import Reply, Stub

AZURE, VONAGE = "azure-sandbox", "vonage-sandbox"
VENDORS = {AZURE: "azure-job-router", VONAGE: "vonage-contact-center"}
DOCUMENT = Path(__file__).parents[2] / "specs/gateway.yaml"


@pytest.fixture
def gateway(stack: Running, client: Client) -> Running:
    """The real gateway; the jobs of its sandbox are as at the start."""
    return stack


def new_job(gateway: Running, connection: str, status: str) -> str:
    """A new job at a simulated vendor, as CONNECTION/ID."""
    job_id = str(uuid.uuid4())
    gateway.sandbox.vendor(VENDORS[connection]).create_job(status, job_id)
    return f"{connection}/{job_id}"


def said(gateway: Running, *command: str, typed: str | None = None) -> Result:
    """Run a command against the gateway."""
    return run(gateway.url, gateway.api_key, *command, typed=typed)


def break_azure(gateway: Running, action: str | None, fault: Fault) -> None:
    """Have the next request of an action to Azure, or its next list of jobs, meet a fault."""
    specification = gateway.gateway.directory.vendors[VENDORS[AZURE]].specification
    assert specification.list_read is not None
    operation = specification.list_read.operation if action is None else specification.actions[action].operation
    gateway.sandbox.vendor(VENDORS[AZURE]).script(replace(fault, operation_id=operation.operation_id))


def actions() -> list[str]:
    """Every action in the document."""
    operations = [
        each for item in yaml.safe_load(DOCUMENT.read_text("utf-8"))["paths"].values() for each in item.values()
    ]
    return [name for each in operations if (name := each.get("x-action") or each.get("x-intent"))]


@pytest.mark.parametrize("action", actions())
def test_every_action_of_the_document_is_a_command(action: str) -> None:
    """Each action has its command, with the parameters that the document has for it."""
    shown = run("http://127.0.0.1:1", "k", "jobs", action, "--help").stdout
    assert "--reason" in shown
    assert ("--close-at" in shown) == (action == "close")
    assert ("--mode" in shown) == (action == "terminate")


@pytest.mark.parametrize(
    ("connection", "action", "before", "after"),
    [
        (AZURE, "cancel", "queued", "cancelled"),
        (AZURE, "terminate", "queued", "cancelled"),
        (VONAGE, "pause", "Running", "Paused"),
        (VONAGE, "restart", "Failed", "Scheduled"),
    ],
)
def test_one_job_is_acted_on_at_once(gateway: Running, connection: str, action: str, before: str, after: str) -> None:
    """A single job needs no confirmation; the record is printed, with the reason as its note and the label."""
    job = new_job(gateway, connection, before)
    done = said(gateway, "jobs", action, job, "--reason", "why", "--label", "incident=INC-43", "-o", "json")
    assert done.exit_code == ExitCode.DONE, done.stderr
    record = json.loads(done.stdout)
    assert (record["outcome"], record["job"]["vendorStatus"]) == ("applied", after)
    assert (record["parameters"]["note"], record["labels"]) == ("why", {"incident": "INC-43"})
    listed = said(gateway, "actions", "list", "--job-id", record["jobId"], "--connection", connection, "-o", "json")
    assert record["id"] in [each["id"] for each in json.loads(listed.stdout)]
    assert json.loads(said(gateway, "actions", "show", record["id"], "-o", "json").stdout)["id"] == record["id"]


def test_a_dry_run_shows_the_exact_request(gateway: Running) -> None:
    """`--dry-run` prints what would be sent, and the vendor gets nothing."""
    job = new_job(gateway, AZURE, "queued")
    shown = json.loads(said(gateway, "jobs", "cancel", job, "--dry-run", "-o", "json").stdout)
    assert shown["vendorRequest"]["url"].partition("?")[0].endswith(f"{job.partition('/')[2]}:cancel")
    assert json.loads(said(gateway, "jobs", "show", job, "-o", "json").stdout)["status"] == "queued"


def test_a_refusal_says_what_the_job_allows(gateway: Running) -> None:
    """An action that the job does not allow is exit code 2, with the reason, what it allows, and the record."""
    job = new_job(gateway, AZURE, "queued")
    refused = said(gateway, "jobs", "close", job)
    assert (refused.exit_code, refused.stdout) == (ExitCode.NOT_APPLIED, "")
    assert "the job is queued; it allows: cancel" in refused.stderr
    assert "jobgate actions show" in refused.stderr


def test_an_unknown_outcome_is_watched_until_it_is_known(gateway: Running) -> None:
    """A lost reply is exit code 5, and says how to go on; `actions watch` waits for the outcome."""
    job = new_job(gateway, AZURE, "queued")
    break_azure(gateway, "cancel", Fault(FaultKind.DROP_AFTER))
    lost = said(gateway, "jobs", "cancel", job, "--wait", "0", "-o", "json")
    assert lost.exit_code == ExitCode.UNKNOWN, lost.output
    record = json.loads(lost.stdout)
    assert f"jobgate actions watch {record['id']}" in lost.stderr
    watched = said(gateway, "actions", "watch", record["id"], "-o", "json")
    assert watched.exit_code == ExitCode.DONE, watched.output
    assert json.loads(watched.stdout)["outcome"] == "applied"


def test_a_lost_answer_of_the_gateway_is_unknown(stub: Stub) -> None:
    """If the gateway's own answer is lost, the action may have been carried out: exit code 5, and where to look."""
    stub.answers(Reply(dropped=True))
    lost = ask(stub, "jobs", "cancel", "c/a")
    assert lost.exit_code == ExitCode.UNKNOWN
    assert "jobgate actions list --connection c --job-id a" in lost.stderr


def test_jobs_of_several_connections_are_found(gateway: Running) -> None:
    """`jobs list` finds by connection, status and age; its lines are the input of `jobs show`."""
    jobs = {new_job(gateway, AZURE, "queued"), new_job(gateway, VONAGE, "Running")}
    options = ("--connection", AZURE, "--connection", VONAGE, "--status", "queued", "--status", "running")
    found = said(gateway, "jobs", "list", *options, "-o", "ndjson")
    assert found.exit_code == ExitCode.DONE, found.stderr
    listed = [json.loads(line) for line in found.stdout.splitlines()]
    assert jobs <= {f"{each['connection']}/{each['id']}" for each in listed}
    assert {each["status"] for each in listed} == {"queued", "running"}
    shown = said(gateway, "jobs", "show", "-", "-o", "ndjson", typed=found.stdout)
    assert [json.loads(line)["id"] for line in shown.stdout.splitlines()] == [each["id"] for each in listed]
    assert not said(gateway, "jobs", "list", *options, "--older-than", "36500d", "-o", "ndjson").stdout


def test_a_connection_that_cannot_be_read_is_named(gateway: Running) -> None:
    """The others are listed, the one is named on standard error, and the exit code is 2."""
    break_azure(gateway, None, Fault(FaultKind.STATUS, status=403))
    found = said(gateway, "jobs", "list", "--connection", AZURE, "--connection", VONAGE, "-o", "ndjson")
    assert (found.exit_code, f"{AZURE} could not be read" in found.stderr) == (ExitCode.NOT_APPLIED, True)
    assert {json.loads(line)["connection"] for line in found.stdout.splitlines()} == {VONAGE}


def test_all_connections_are_tested(gateway: Running) -> None:
    """`connections test --all` reads from each vendor once, and shows its health."""
    names = [each["name"] for each in json.loads(said(gateway, "connections", "list", "-o", "json").stdout)]
    tested = said(gateway, "connections", "test", "--all", "-o", "json")
    assert tested.exit_code == ExitCode.DONE, tested.output
    assert {each["connection"]: each["works"] for each in json.loads(tested.stdout)} == dict.fromkeys(names, True)


def test_a_connection_that_fails_is_told_apart(gateway: Running) -> None:
    """A connection that does not work is exit code 2, with the problem, and the others are tested all the same."""
    break_azure(gateway, None, Fault(FaultKind.STATUS, status=403))
    tested = said(gateway, "connections", "test", AZURE, VONAGE, "-o", "json")
    assert tested.exit_code == ExitCode.NOT_APPLIED
    broken, whole = json.loads(tested.stdout)
    assert (broken["works"], "Access denied by the vendor" in broken["problem"]) == (False, True)
    assert whole["works"] is True


def test_a_vendor_without_a_list_is_tested_by_a_job(stub: Stub) -> None:
    """Where a vendor has no list, a job that nobody has is read: that it is unknown shows that the connection works."""

    def problem(status: int, code: str) -> Reply:
        body = {"type": "t", "title": "T", "status": status, "code": code, "retryable": False, "requestId": "r"}
        return Reply(body, status, {"Content-Type": "application/problem+json"})

    health = {"connection": "c", "breaker": {"state": "closed"}}
    stub.answers(problem(422, "list-not-supported"), problem(404, "unknown-job"), health)
    assert ask(stub, "connections", "test", "c").exit_code == ExitCode.DONE
    stub.answers(problem(422, "list-not-supported"), problem(502, "vendor-denied"), health)
    assert ask(stub, "connections", "test", "c").exit_code == ExitCode.NOT_APPLIED


@pytest.mark.parametrize("command", ["connections test", "connections test a --all"])
def test_which_connections_are_to_be_tested_is_said(stub: Stub, command: str) -> None:
    """Either names, or `--all`."""
    assert ask(stub, *command.split()).exit_code == ExitCode.USAGE


def test_a_gateway_that_is_not_there(gateway: Running) -> None:
    """A gateway that does not answer is exit code 6; a wrong key or name is exit code 1."""
    assert run("http://127.0.0.1:9", STUB_KEY, "vendors", "list").exit_code == ExitCode.UNREACHABLE
    assert run(gateway.url, "wrong", "vendors", "list").exit_code == ExitCode.USAGE
    assert said(gateway, "vendors", "show", "nobody").exit_code == ExitCode.USAGE
    assert said(gateway, "jobs", "list", "--nonsense").exit_code == ExitCode.USAGE
    assert said(gateway, "jobs", "nonsense").exit_code == ExitCode.USAGE
