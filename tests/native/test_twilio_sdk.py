"""Twilio's own SDK, unchanged: against the gateway, on any vendor's connection, and against the simulated vendor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client
from twilio.rest.taskrouter.v1.workspace import WorkspaceContext
from twilio.rest.taskrouter.v1.workspace.task import TaskContext, TaskInstance

from gateway.sandbox.vendor import VendorSandbox
from tests.native.servers import Servers, servers

DIALECT = "twilio-taskrouter"
TWILIO, AZURE, VONAGE = "twilio-sandbox", "azure-sandbox", "vonage-sandbox"
EVERYWHERE = [TWILIO, AZURE, VONAGE, None]
"""The connections of the gateway, and the simulated vendor itself."""
OWN = [TWILIO, None]
"""The connections to tasks of Twilio's."""

SERVICE = "https://taskrouter.twilio.com"
WORKSPACE = "WSaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
ANOTHER_WORKSPACE = "WSbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
UNTOLD = "WTffffffffffffffffffffffffffffffff"
"""The SID of a task that no vendor has."""

WORDS = {
    AZURE: {"pending": "queued", "assigned": "assigned", "wrapping": "completed", "canceled": "cancelled"},
    VONAGE: {"pending": "Scheduled", "assigned": "Running", "wrapping": "Completed", "canceled": "Cancelled"},
}
"""The status of another vendor's job for each status in which the SDK sees it."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A gateway and the simulated vendors."""
    with servers(tmp_path_factory.mktemp("twilio")) as started:
        yield started


@pytest.fixture(autouse=True)
def reset_vendors(running: Servers) -> None:
    """Every job is as at the start."""
    running.reset()


class Rerouted(HTTPAdapter):
    """The way to another place for requests to Twilio. The SDK has no setting for a base URL."""

    def __init__(self, endpoint: str) -> None:
        """Send what is for Twilio to `endpoint`."""
        super().__init__()
        self.endpoint = endpoint

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        """Send a request there."""
        request.url = str(request.url).replace(SERVICE, self.endpoint, 1)
        return super().send(request, *args, **kwargs)


class Clients:
    """Clients of the SDK for the connections of a gateway."""

    def __init__(self, running: Servers) -> None:
        """Make clients of these servers."""
        self.running = running
        self.sessions: list[Session] = []

    def workspace(self, connection: str | None, password: str = "", sid: str = WORKSPACE) -> WorkspaceContext:
        """A Workspace behind a connection, or at the simulated vendor itself."""
        user = self.running.client_id(DIALECT, connection)
        secret = self.running.access_key(DIALECT, connection)
        http = TwilioHttpClient()
        assert http.session is not None
        http.session.mount(SERVICE, Rerouted(self.running.endpoint(DIALECT, connection)))
        http.session.verify = self.running.certificate
        # Otherwise an authority in the environment would be trusted instead.
        http.session.trust_env = False
        self.sessions.append(http.session)
        return Client(user, password or secret, http_client=http).taskrouter.v1.workspaces(sid)


@pytest.fixture
def clients(running: Servers) -> Iterator[Clients]:
    """The SDK's clients, closed at the end."""
    made = Clients(running)
    yield made
    for each in made.sessions:
        each.close()


def said(task: TaskInstance) -> str:
    """The status of a task. It is a text, although the SDK's annotation names another type."""
    return str(task.assignment_status)


def version_of(task: TaskContext) -> str:
    """The version of a task. The SDK keeps the names of header fields as they come, and Jobgate's are in lower case."""
    return str(CaseInsensitiveDict(task.fetch_with_http_info().headers)["ETag"])


def vendor_of(running: Servers, connection: str | None) -> VendorSandbox:
    """The simulated vendor behind a connection."""
    return running.vendor(connection, DIALECT)


def job_in(running: Servers, connection: str | None, status: str) -> str:
    """A new job behind a connection, which the SDK sees in this status."""
    return vendor_of(running, connection).create_job(WORDS.get(str(connection), {}).get(status, status))


def status_of(running: Servers, connection: str | None, job_id: str) -> str:
    """The vendor's status of a job."""
    vendor = vendor_of(running, connection)
    place = vendor.specification.job.place_of("job.vendorStatus")
    assert place is not None
    return str(place.get({"body": vendor.job(job_id)}))


def actions_asked(running: Servers, connection: str | None) -> int:
    """How many actions the vendor was asked for."""
    return sum(entry.job_action is not None for entry in vendor_of(running, connection).log())


def refusal(ask: Callable[[], object]) -> int:
    """The status of the refusal that the SDK raises. That of a list is in the reply that the exception carries."""
    with pytest.raises(TwilioException) as raised:
        ask()
    error = raised.value
    return error.status if isinstance(error, TwilioRestException) else int(error.args[1].status_code)


@pytest.mark.parametrize("connection", EVERYWHERE)
@pytest.mark.parametrize("status", ["pending", "assigned", "wrapping", "canceled"])
def test_it_reads_a_task(running: Servers, clients: Clients, connection: str | None, status: str) -> None:
    """The SDK reads a job of any vendor as a task, with its SID, a status of Twilio's and its Workspace."""
    job = job_in(running, connection, status)
    task = clients.workspace(connection).tasks(job).fetch()
    assert (task.sid, said(task), task.workspace_sid) == (job, status, WORKSPACE)


@pytest.mark.parametrize("connection", OWN)
def test_nothing_of_a_task_is_lost(running: Servers, clients: Clients, connection: str | None) -> None:
    """A task of Twilio's has its members, times and version, as the vendor sends them."""
    job = job_in(running, connection, "assigned")
    read = clients.workspace(connection).tasks(job).fetch_with_http_info()
    assert CaseInsensitiveDict(read.headers)["ETag"]
    assert read.data.attributes == '{"type": "support"}'
    assert read.data.date_created.isoformat() == "2026-01-05T09:30:00+00:00"
    assert read.data.task_queue_friendly_name == "Support"


@pytest.mark.parametrize("connection", EVERYWHERE)
def test_it_lists_tasks(running: Servers, clients: Clients, connection: str | None) -> None:
    """The SDK lists every job that has a word of Twilio's once, whatever the size of its pages."""
    vendor = vendor_of(running, connection)
    place = vendor.specification.job.place_of("job.id")
    assert place is not None
    expressible = [
        str(place.get({"body": job})) for job in vendor.jobs() if _is_expressible(running, vendor, dict(job))
    ]
    workspace = clients.workspace(connection)
    assert [each.sid for each in workspace.tasks.list(page_size=1000)] == expressible
    by_threes = list(pages(workspace, 3))
    assert [sid for page in by_threes for sid in page] == expressible
    assert len(by_threes) >= len(expressible) / 3
    assert max(map(len, by_threes)) == 3


def pages(workspace: WorkspaceContext, size: int) -> Iterator[list[str]]:
    """The SIDs on each page of a list, as the SDK follows the addresses of the next ones."""
    page: Any = workspace.tasks.page(page_size=size)
    while page is not None:
        yield [each.sid for each in page]
        page = page.next_page()


def _is_expressible(running: Servers, vendor: VendorSandbox, job: dict[str, Any]) -> bool:
    own = running.sandbox.vendor(DIALECT).specification
    place = vendor.specification.job.place_of("job.vendorStatus")
    assert place is not None
    return own.word_for(vendor.specification.status(str(place.get({"body": job}))).pair.status) is not None


@pytest.mark.parametrize("connection", EVERYWHERE)
def test_it_filters_by_several_statuses(running: Servers, clients: Clients, connection: str | None) -> None:
    """Tasks in one of several statuses, and no others."""
    listed = clients.workspace(connection).tasks.list(assignment_status=["assigned", "canceled"], page_size=2)
    assert {said(each) for each in listed} == {"assigned", "canceled"}
    everything = clients.workspace(connection).tasks.list()
    assert [each.sid for each in listed] == [each.sid for each in everything if said(each) in {"assigned", "canceled"}]


@pytest.mark.parametrize("connection", EVERYWHERE)
def test_it_cancels_a_task(running: Servers, clients: Clients, connection: str | None) -> None:
    """The SDK cancels a job of any vendor, and gets the task as it is then."""
    job = job_in(running, connection, "pending")
    task = clients.workspace(connection).tasks(job).update(assignment_status="canceled", reason="waiting too long")
    assert (task.sid, said(task)) == (job, "canceled")
    assert status_of(running, connection, job).lower() in {"canceled", "cancelled"}
    if connection in OWN:
        assert task.reason == "waiting too long"
    assert actions_asked(running, connection) == 1


@pytest.mark.parametrize("connection", OWN)
def test_it_wraps_up_and_completes_a_task(running: Servers, clients: Clients, connection: str | None) -> None:
    """A task goes from a worker's hands through the wrap-up to its end."""
    task = clients.workspace(connection).tasks(job_in(running, connection, "assigned"))
    assert said(task.update(assignment_status="wrapping")) == "wrapping"
    done = task.update(assignment_status="completed", reason="resolved")
    assert (said(done), done.reason) == ("completed", "resolved")
    assert actions_asked(running, connection) == 2


@pytest.mark.parametrize("connection", OWN)
def test_it_deletes_a_task(running: Servers, clients: Clients, connection: str | None) -> None:
    """A task is deleted whatever the worker does with it, and nobody finds it any more."""
    task = clients.workspace(connection).tasks(job_in(running, connection, "assigned"))
    assert task.delete() is True
    for ask in (task.fetch, task.delete):
        assert refusal(ask) == 404


@pytest.mark.parametrize("connection", OWN)
def test_it_acts_only_on_the_version_that_it_read(running: Servers, clients: Clients, connection: str | None) -> None:
    """A task that has changed since it was read is left alone: 412, as Twilio's page has it."""
    task = clients.workspace(connection).tasks(job_in(running, connection, "assigned"))
    version = version_of(task)
    assert said(task.update(assignment_status="wrapping", if_match=version)) == "wrapping"
    with pytest.raises(TwilioRestException) as changed:
        task.update(assignment_status="completed", if_match=version)
    assert (changed.value.status, changed.value.code) == (412, 20412)
    assert said(task.fetch()) == "wrapping"
    assert said(task.update(assignment_status="completed", if_match=version_of(task))) == "completed"


@pytest.mark.parametrize("connection", [AZURE, VONAGE])
def test_a_version_that_cannot_be_carried_is_refused(running: Servers, clients: Clients, connection: str) -> None:
    """The other vendors' actions have no precondition, so one with it is refused, and nothing is done."""
    job = job_in(running, connection, "pending")
    with pytest.raises(TwilioRestException) as refused:
        clients.workspace(connection).tasks(job).update(assignment_status="canceled", if_match='"1"')
    assert 400 <= refused.value.status < 500
    assert actions_asked(running, connection) == 0


@pytest.mark.parametrize("connection", EVERYWHERE)
def test_a_wrong_status_is_its_own_exception(running: Servers, clients: Clients, connection: str | None) -> None:
    """A task that has ended cannot be canceled, and nothing has changed.

    Twilio's own tasks get 400 with its code; for other vendors' jobs the status is 409, which the SDK takes for a code.
    """
    job = job_in(running, connection, "canceled")
    with pytest.raises(TwilioRestException) as refused:
        clients.workspace(connection).tasks(job).update(assignment_status="canceled", reason="again")
    assert (refused.value.status, refused.value.code) == ((400, 20001) if connection in OWN else (409, 409))
    assert said(clients.workspace(connection).tasks(job).fetch()) == "canceled"


@pytest.mark.parametrize("connection", EVERYWHERE)
def test_an_unknown_task_is_its_own_exception(running: Servers, clients: Clients, connection: str | None) -> None:
    """A task that nobody has: 404 with Twilio's code, for reads and actions."""
    task = clients.workspace(connection).tasks(UNTOLD if connection in OWN else "00000000-0000-4000-8000-000000000000")
    for ask in (task.fetch, lambda: task.update(assignment_status="canceled")):
        with pytest.raises(TwilioRestException) as missing:
            ask()
        assert (missing.value.status, missing.value.code) == (404, 20404)


@pytest.mark.parametrize("connection", OWN)
def test_another_workspace_is_unknown(running: Servers, clients: Clients, connection: str | None) -> None:
    """Tasks of another Workspace: the vendor's 404 for reads, lists and actions, and nothing is asked of the vendor."""
    other = clients.workspace(connection, sid=ANOTHER_WORKSPACE)
    job = job_in(running, connection, "pending")
    task = other.tasks(job)
    for ask in (task.fetch, other.tasks.list, lambda: task.update(assignment_status="canceled"), task.delete):
        assert refusal(ask) == 404
    assert status_of(running, connection, job) == "pending"
    if connection is not None:
        assert vendor_of(running, connection).log() == ()


@pytest.mark.parametrize("connection", EVERYWHERE)
def test_wrong_credentials_are_its_own_exception(running: Servers, clients: Clients, connection: str | None) -> None:
    """Credentials that nobody has: 401 with Twilio's code and word."""
    stranger = clients.workspace(connection, password="d3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmc=")
    with pytest.raises(TwilioRestException) as denied:
        stranger.tasks(job_in(running, connection, "pending")).update(assignment_status="canceled")
    assert (denied.value.status, denied.value.code) == (401, 20003)
    assert actions_asked(running, connection) == 0


@pytest.mark.parametrize("connection", [AZURE, VONAGE])
def test_what_the_vendor_cannot_do_is_refused(running: Servers, clients: Clients, connection: str) -> None:
    """No other vendor deletes a job: the SDK raises, and nothing is asked of the vendor."""
    job = job_in(running, connection, "assigned")
    with pytest.raises(TwilioRestException) as refused:
        clients.workspace(connection).tasks(job).delete()
    assert refused.value.status == 422
    assert "discard" in str(refused.value)
    assert actions_asked(running, connection) == 0


def test_changes_that_are_no_action_are_refused(running: Servers, clients: Clients) -> None:
    """A change of the priority beside an action would be lost, so the request is refused as a whole."""
    job = job_in(running, TWILIO, "pending")
    task = clients.workspace(TWILIO).tasks(job)
    assert refusal(lambda: task.update(assignment_status="canceled", priority=5)) == 400
    assert status_of(running, TWILIO, job) == "pending"
