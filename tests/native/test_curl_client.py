"""A Vonage client written from the curl sample of Vonage's page, against gateway and simulated vendor."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.sandbox.faults import Fault, FaultKind
from tests.native.servers import ACCESS_KEY, Servers, servers

AZURE, VONAGE = "azure-sandbox", "vonage-sandbox"
EVERYWHERE = [AZURE, VONAGE, None]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A gateway and the simulated vendors."""
    with servers(tmp_path_factory.mktemp("native")) as started:
        yield started


@pytest.fixture(autouse=True)
def reset_vendors(running: Servers) -> None:
    """Every job is as at the start, and no fault is to come."""
    running.reset()


@dataclass(frozen=True)
class Answer:
    """What curl printed."""

    status: int
    body: Any


class VonageClient:
    """Vonage's page as a program: a token, and then a POST for each change."""

    def __init__(self, running: Servers, connection: str | None) -> None:
        """Call a connection of the gateway, or the simulated vendor itself."""
        self._running, self._connection = running, connection
        self._base = running.endpoint("vonage-contact-center", connection)
        credentials = running.sandbox.credentials("vonage-contact-center")
        if connection is None:
            self._token_url = f"{running.sandbox_url}{running.sandbox.vendor('vonage-contact-center').token_endpoint}"
            self._client = credentials.client_id, credentials.client_secret
        else:
            self._token_url = f"{running.gateway_url}/native/vonage-contact-center/Auth/connect/token"
            self._client = "default", ACCESS_KEY

    def token(self) -> str:
        """A token."""
        client_id, secret = self._client
        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
        form["scope"] = "interaction-content:read"
        parts = [part for name, value in form.items() for part in ("--data-urlencode", f"{name}={value}")]
        answer = self._curl("POST", self._token_url, *parts)
        assert answer.status == 200, answer
        return str(answer.body["access_token"])

    def change(self, job_id: str, action: str, *options: str) -> Answer:
        """Change the status of a job."""
        return self._curl("POST", f"{self._base}/interactions/jobs/{job_id}/{action}", *self._headers(), *options)

    def jobs(self, query: str = "") -> Answer:
        """A page of jobs."""
        return self._curl("GET", f"{self._base}/interactions/jobs{query}", *self._headers())

    def _headers(self) -> list[str]:
        return [
            *("--header", "Accept: application/vnd.newvoicemedia.v1+json"),
            *("--header", f"Authorization: Bearer {self.token()}"),
        ]

    def _curl(self, method: str, url: str, *options: str) -> Answer:
        trusting = ["--cacert", self._running.certificate]
        shown = ["--silent", "--show-error", "--max-time", "30", "--write-out", "\n%{http_code}"]
        command = [shutil.which("curl") or "curl", *shown, *trusting, "--request", method, *options, url]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        body, _, status = printed.rpartition("\n")
        body = body.rpartition("\n")[2] if "--retry" in options else body
        return Answer(int(status), json.loads(body) if body else None)


def status_of(running: Servers, connection: str | None, job_id: str) -> str:
    """What a job's vendor says of it."""
    return str(vendor(running, connection).job(job_id)["status"])


def vendor(running: Servers, connection: str | None) -> Any:
    """The simulated vendor behind a connection."""
    return running.vendor(connection or VONAGE)


def effects(running: Servers, connection: str | None) -> int:
    """How many actions the vendor has carried out."""
    log = vendor(running, connection).log()
    return sum(entry.job_action is not None and entry.before != entry.after for entry in log)


@pytest.mark.parametrize("connection", EVERYWHERE)
def test_it_cancels_a_job(running: Servers, connection: str | None) -> None:
    """204 without a body, whichever vendor the job lives at; the second time it is refused with a message."""
    client = VonageClient(running, connection)
    job = vendor(running, connection).create_job("queued" if connection == AZURE else "Running")
    assert client.change(job, "cancel") == Answer(204, None)
    assert status_of(running, connection, job).lower() == "cancelled"
    again = client.change(job, "cancel")
    assert again.status in {400, 409}
    assert list(again.body) == ["message"]
    assert effects(running, connection) == 1


@pytest.mark.parametrize("connection", [VONAGE, None])
@pytest.mark.parametrize(
    ("action", "before", "after"), [("pause", "Running", "Paused"), ("restart", "Failed", "Scheduled")]
)
def test_it_pauses_and_restarts(running: Servers, connection: str | None, action: str, before: str, after: str) -> None:
    """The client pauses and restarts jobs between the statuses that Vonage's page names."""
    job = vendor(running, connection).create_job(before)
    assert VonageClient(running, connection).change(job, action).status == 204
    assert status_of(running, connection, job) == after


@pytest.mark.parametrize("connection", EVERYWHERE)
def test_it_lists_jobs(running: Servers, connection: str | None) -> None:
    """The client reads all pages of the list, by the number of pages in the reply."""
    client, found, page, count = VonageClient(running, connection), [], 1, 1
    while page <= count:
        answer = client.jobs(f"?page={page}&limit=10")
        assert answer.status == 200
        found += [job["jobId"] for job in answer.body["jobs"]]
        count, page = answer.body["paging"]["count"], page + 1
    assert len(found) == len(set(found)) == len(vendor(running, connection).jobs())


@pytest.mark.parametrize("connection", EVERYWHERE)
def test_its_errors_are_messages(running: Servers, connection: str | None) -> None:
    """An unknown job, an invalid id and an unknown action get errors with messages."""
    client = VonageClient(running, connection)
    for job_id, action, status in (("0" * 8 + "-0000-4000-8000-" + "0" * 12, "cancel", 404), ("7", "cancel", 400)):
        answer = client.change(job_id, action)
        assert (answer.status, list(answer.body)) == (status, ["message"])
    assert effects(running, connection) == 0


def test_what_the_vendor_cannot_do_is_refused_in_a_message(running: Servers) -> None:
    """Azure has no pause: the message says what there is."""
    answer = VonageClient(running, AZURE).change(vendor(running, AZURE).create_job("queued"), "pause")
    assert (answer.status, "cancel, close" in answer.body["message"]) == (422, True)
    assert vendor(running, AZURE).log() == ()


@pytest.mark.sampled(0.5, kind=lambda kind: kind)
@pytest.mark.parametrize("connection", [AZURE, VONAGE])
@pytest.mark.parametrize("kind", [FaultKind.DROP_AFTER, FaultKind.DROP_BEFORE, FaultKind.MALFORMED, FaultKind.STATUS])
def test_its_retries_never_double_an_action(running: Servers, connection: str, kind: FaultKind) -> None:
    """`curl --retry` sends POSTs again on 408, 429 and most of 5xx, without a key: the action takes effect once."""
    job = vendor(running, connection).create_job("queued" if connection == AZURE else "Running")
    operation = next(iter(vendor(running, connection).specification.actions.values())).operation.operation_id
    vendor(running, connection).script(Fault(kind, operation_id=operation))
    answer = VonageClient(running, connection).change(job, "cancel", "--retry", "3", "--retry-delay", "0")
    is_done = status_of(running, connection, job).lower() == "cancelled"
    assert effects(running, connection) == int(is_done)
    assert (answer.status == 204) <= is_done
    if kind in {FaultKind.DROP_AFTER, FaultKind.MALFORMED}:
        assert answer.status == 204
