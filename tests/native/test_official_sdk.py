"""Microsoft's own SDK, unchanged: against the gateway, on any vendor's connection, and against the simulated vendor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from azure.communication.jobrouter import JobRouterClient
from azure.communication.jobrouter.models import CancelJobOptions, CloseJobOptions, RouterJobStatusSelector
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)

from gateway.sandbox.faults import Fault, FaultKind
from tests.native.servers import Servers, servers
from tests.support.patience import wait_until
from tests.support.vendors import ASSIGNMENT, AZURE_JOB

AZURE, VONAGE = "azure-sandbox", "vonage-sandbox"
EVERYWHERE = [AZURE, VONAGE, None]
"""The connections of the gateway, and the simulated vendor itself."""
QUICK: dict[str, Any] = {"retry_backoff_factor": 0.01, "retry_total": 4}
"""So that tests need not wait long; what is sent again, and how often, is the SDK's own affair."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A gateway and the simulated vendors."""
    with servers(tmp_path_factory.mktemp("native")) as started:
        yield started


@pytest.fixture(autouse=True)
def reset_vendors(running: Servers) -> None:
    """Every job is as at the start, and no fault is to come."""
    running.reset()


def client(running: Servers, connection: str | None, access_key: str = "") -> JobRouterClient:
    """The SDK's client, made as Microsoft's documentation has it: from a connection string."""
    key = access_key or running.access_key("azure-job-router", connection)
    endpoint = running.endpoint("azure-job-router", connection)
    return JobRouterClient.from_connection_string(
        f"endpoint={endpoint}/;accesskey={key}", connection_verify=running.certificate, **QUICK
    )


def job_in(running: Servers, connection: str | None, status: str, job_id: str | None = None) -> str:
    """A new job behind a connection, in a status in its vendor's words."""
    words = {"queued": "Scheduled", "assigned": "Running", "cancelled": "Cancelled"}
    return running.vendor(connection).create_job(words[status] if connection == VONAGE else status, job_id)


def status_of(running: Servers, connection: str | None, job_id: str) -> str:
    """What a job's vendor says of it."""
    return str(running.vendor(connection).job(job_id)["status"])


def effects(running: Servers, connection: str | None) -> int:
    """How many actions the vendor has carried out."""
    return sum(
        entry.job_action is not None and entry.before != entry.after for entry in running.vendor(connection).log()
    )


def requests_for_actions(running: Servers, connection: str | None) -> int:
    """How many actions the vendor was asked for."""
    return sum(entry.job_action is not None for entry in running.vendor(connection).log())


@pytest.mark.parametrize("connection", EVERYWHERE)
def test_it_cancels_a_job(running: Servers, connection: str | None) -> None:
    """The SDK cancels a job at its vendor once, with options and without."""
    with client(running, connection) as azure:
        for options in (None, CancelJobOptions(note="Why", disposition_code="Done")):
            job = job_in(running, connection, "queued")
            assert azure.cancel_job(job, options) is None
            assert status_of(running, connection, job).lower() == "cancelled"
    assert effects(running, connection) == 2


@pytest.mark.parametrize("connection", [AZURE, None])
def test_it_closes_a_job(running: Servers, connection: str | None) -> None:
    """The SDK closes a job as in the sample of Microsoft's page, and the note is in the job."""
    with client(running, connection) as azure:
        options = CloseJobOptions(disposition_code="JobCompleted.", note="Closing job")
        assert azure.close_job(AZURE_JOB, ASSIGNMENT, options) is None
        job = azure.get_job(AZURE_JOB)
    assert (job.status, job.disposition_code) == ("closed", "JobCompleted.")
    assert [note.message for note in job.notes or []] == ["Closing job"]


@pytest.mark.parametrize("connection", EVERYWHERE)
def test_it_reads_jobs(running: Servers, connection: str | None) -> None:
    """The SDK reads one job, and all jobs page by page, each once and in one of Azure's statuses."""
    job = job_in(running, connection, "assigned")
    with client(running, connection) as azure:
        read = azure.get_job(job)
        assert (read.id, read.status) == (job, "assigned")
        assert read.etag
        listed = [each.id for each in azure.list_jobs(results_per_page=5)]
        pages = [list(page) for page in azure.list_jobs(results_per_page=5).by_page()]
        assigned = [each.id for each in azure.list_jobs(status=RouterJobStatusSelector.ASSIGNED)]
    place = running.vendor(connection).specification.job.place_of("job.id")
    assert place is not None
    assert listed == [str(place.get({"body": each})) for each in running.vendor(connection).jobs()]
    assert sum(map(len, pages)) == len(listed)
    assert len(pages) == -(-len(listed) // 5)
    assert job in assigned
    assert len(assigned) < len(listed)


@pytest.mark.parametrize("connection", EVERYWHERE)
def test_errors_are_its_own_exceptions(running: Servers, connection: str | None) -> None:
    """Not found, conflict, not authenticated: each as the SDK tells them apart, with code and message."""
    unknown = "00000000-0000-4000-8000-000000000000"
    with client(running, connection) as azure:
        for ask in (azure.get_job, azure.cancel_job):
            with pytest.raises(ResourceNotFoundError) as missing:
                ask(unknown)
            assert missing.value.status_code == 404
        with pytest.raises(ResourceExistsError) as conflict:
            azure.cancel_job(job_in(running, connection, "cancelled"))
        assert conflict.value.status_code == 409
    with client(running, connection, "d3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmc=") as stranger:
        with pytest.raises(ClientAuthenticationError) as denied:
            stranger.get_job(AZURE_JOB)
        assert denied.value.error is not None
        assert denied.value.error.code == "Denied"
    assert effects(running, connection) == 0


def test_what_the_vendor_cannot_do_is_an_error_of_its_own(running: Servers) -> None:
    """Vonage has no close: the SDK raises, and its message says what there is."""
    with client(running, VONAGE) as azure, pytest.raises(HttpResponseError) as refused:
        azure.close_job(job_in(running, VONAGE, "assigned"), ASSIGNMENT)
    assert refused.value.status_code == 422
    assert "cancel, pause, restart" in refused.value.message
    assert requests_for_actions(running, VONAGE) == 0


@pytest.mark.parametrize("connection", [AZURE, None])
@pytest.mark.parametrize("job_id", ["a:b", "a b", "100%", "%41", "é", "日本語", "a:cancel", "a+b&c=d"])
def test_ids_survive_the_round_trip(running: Servers, connection: str | None, job_id: str) -> None:
    """Whatever Azure allows, the job that is named is the one that is read and cancelled."""
    job_in(running, connection, "queued", job_id)
    with client(running, connection) as azure:
        assert azure.get_job(job_id).id == job_id
        azure.cancel_job(job_id)
    assert status_of(running, connection, job_id) == "cancelled"


@pytest.mark.parametrize("connection", [AZURE, VONAGE])
@pytest.mark.parametrize("job_id", ["a/b:c d", "a\\b", "a\tb"])
def test_ids_that_cannot_be_are_refused(running: Servers, connection: str, job_id: str) -> None:
    """An impossible id is refused with 400 before anything is sent."""
    with client(running, connection) as azure, pytest.raises(HttpResponseError) as refused:
        azure.cancel_job(job_id)
    assert (refused.value.status_code, "path" in refused.value.message) == (400, True)
    assert running.vendor(connection).log() == ()


FAULTS = {
    "applied, no answer": Fault(FaultKind.DROP_AFTER),
    "applied, an answer that makes no sense": Fault(FaultKind.MALFORMED),
    "applied, answered too late": Fault(FaultKind.DELAY, seconds=2.0),
    "500, not applied": Fault(FaultKind.STATUS, status=500),
    "503, not applied": Fault(FaultKind.STATUS, status=503),
    "503 with Retry-After, not applied": Fault(FaultKind.STATUS, status=503, retry_after="0"),
    "504, not applied": Fault(FaultKind.STATUS, status=504),
    "no answer, not applied": Fault(FaultKind.DROP_BEFORE),
    "throttled twice": Fault(FaultKind.THROTTLE, times=2, retry_after="0"),
}


def outcome(azure: Any, job: str) -> int | None:
    """What the SDK says of a cancel: nothing where it is done, otherwise the status of its exception."""
    try:
        azure.cancel_job(job)
    except HttpResponseError as error:
        return error.status_code
    return None


@pytest.mark.sampled(0.4, kind=lambda connection: connection)
@pytest.mark.parametrize("connection", [AZURE, VONAGE])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_its_own_retries_never_double_an_action(running: Servers, connection: str, fault: Fault) -> None:
    """The SDK sends POSTs again on 500, 503 and 504: whatever the vendor does, the action takes effect once at most.

    And what the SDK says is true: no exception means that it is done, and done means that it was done once.
    """
    job, vendor = job_in(running, connection, "queued"), running.vendor(connection)
    action = next(iter(vendor.specification.actions.values())).operation.operation_id
    vendor.script(Fault(**{**fault.__dict__, "operation_id": action}))
    with client(running, connection) as azure:
        said = outcome(azure, job)
    said_done = said is None
    assert said in {None, 424, 502}
    if fault.kind is FaultKind.DELAY:
        # The simulated vendor writes its log when it answers.
        wait_until(lambda: any(entry.fault == "delay" for entry in vendor.log()))
    is_done = status_of(running, connection, job).lower() == "cancelled"
    assert effects(running, connection) == int(is_done)
    assert said_done <= is_done
    if fault.kind in {FaultKind.DROP_AFTER, FaultKind.MALFORMED, FaultKind.DELAY, FaultKind.THROTTLE}:
        assert said_done
