"""Faults by script: each does what it says, once for every time it was asked for, and nothing else."""

from __future__ import annotations

import http.client
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.domain.model import HttpRequest, JobAction
from gateway.domain.vocabulary import Meaning
from gateway.sandbox.faults import Fault, FaultKind
from tests.sandbox.fixtures import OAUTH, VendorClient, call, departures
from tests.support.patience import given_time, wait_until

BROKEN = (ConnectionError, http.client.RemoteDisconnected)


def prepared(client: VendorClient) -> tuple[str, HttpRequest, str]:
    """A job, an action on it that can be done once only, and the status that it leads to."""
    action, mapping = next(iter(client.specification.actions.items()))
    job_id = client.vendor.create_job(mapping.from_statuses[0])
    return job_id, client.action_request(JobAction(action, job_id)), mapping.to_status


def test_without_faults_nothing_fails(client: VendorClient) -> None:
    """Without a script, requests succeed, and none of the log's entries names a fault."""
    job_id, request, to = prepared(client)
    assert client.send(request).status // 100 == 2
    assert (client.status_of(job_id), client.vendor.log()[-1].fault) == (to, None)


def test_drop_before(client: VendorClient, caplog: pytest.LogCaptureFixture) -> None:
    """The connection is closed without an answer, nothing was applied, and the server thinks nothing of it."""
    job_id, request, _ = prepared(client)
    before = client.status_of(job_id)
    client.vendor.script(Fault(FaultKind.DROP_BEFORE))
    with pytest.raises(BROKEN):
        client.send(request)
    (entry,) = client.vendor.log()
    assert (client.status_of(job_id), entry.status, entry.fault, entry.after) == (before, None, "drop_before", None)
    assert client.send(request).status // 100 == 2
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


def test_drop_after(client: VendorClient) -> None:
    """The action is applied, and the connection is closed without an answer."""
    job_id, request, to = prepared(client)
    before = client.status_of(job_id)
    client.vendor.script(Fault(FaultKind.DROP_AFTER))
    with pytest.raises(BROKEN):
        client.send(request)
    (entry,) = client.vendor.log()
    assert (entry.status, entry.fault) == (None, "drop_after")
    assert (entry.before, entry.after, client.status_of(job_id)) == (before, to, to)


@given_time(0.6, 6.0, 60.0)
def test_delay(client: VendorClient, seconds: float) -> None:
    """The action is applied at once, and its usual answer comes after the seconds are over."""
    job_id, request, to = prepared(client)
    client.vendor.script(Fault(FaultKind.DELAY, seconds=seconds))
    began = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.send, request)
        wait_until(lambda: client.status_of(job_id) == to)
        assert not answer.done()
        assert answer.result().status // 100 == 2
    assert time.monotonic() - began >= seconds
    assert client.vendor.log()[-1].fault == "delay"


@given_time(1.0, 10.0, 60.0)
def test_a_delay_holds_up_nobody_else(client: VendorClient, seconds: float) -> None:
    """While many answers are held back, other requests are served at once."""
    client.vendor.script(Fault(FaultKind.DELAY, times=30, seconds=seconds))
    request = client.some_request()
    with ThreadPoolExecutor(30) as pool:
        held = [pool.submit(client.send, request) for _ in range(30)]
        wait_until(lambda: not client.vendor.scripted())
        assert client.send(request).status == 200
        assert not any(each.done() for each in held)
        assert {each.result().status for each in held} == {200}


@pytest.mark.parametrize("status", [400, 408, 418, 500, 502, 503, 504, 599])
def test_status(status: int, client: VendorClient) -> None:
    """Any error status can be had, in the vendor's own shape, and nothing was applied."""
    job_id, request, _ = prepared(client)
    before = client.status_of(job_id)
    operation = next(iter(client.specification.actions.values())).operation
    client.vendor.script(Fault(FaultKind.STATUS, status=status, retry_after="7"))
    answer = client.send(request)
    assert (answer.status, answer.headers["retry-after"]) == (status, "7")
    assert departures(operation, answer) == []
    assert (client.status_of(job_id), client.vendor.log()[-1].status) == (before, status)
    client.vendor.script(Fault(FaultKind.STATUS, status=status))
    assert "retry-after" not in client.send(request).headers


@pytest.mark.parametrize(
    ("given", "sent"),
    [(None, "1"), *[(text, text) for text in ("120", "-1", "soon", "Wed, 21 Oct 2026 07:28:00 GMT")]],
)
def test_throttle(given: str | None, sent: str, client: VendorClient) -> None:
    """A throttled request is turned away as the document says, with any Retry-After, and nothing was applied."""
    job_id, request, _ = prepared(client)
    before = client.status_of(job_id)
    client.vendor.script(Fault(FaultKind.THROTTLE, retry_after=given))
    answer = client.send(request)
    documented = client.specification.errors.meanings[Meaning.THROTTLED][0]
    assert (answer.status, answer.headers["retry-after"]) == (documented.status, sent)
    said = client.specification.errors.read({"header": answer.headers, "body": answer.json})
    assert (said["error.message"], said.get("error.code")) == (documented.message, documented.code)
    assert client.status_of(job_id) == before


def test_malformed(client: VendorClient) -> None:
    """The action is applied, and the answer is a page that is no JSON, with status 200."""
    job_id, request, to = prepared(client)
    client.vendor.script(Fault(FaultKind.MALFORMED))
    answer = client.send(request)
    assert (answer.status, answer.media_type, client.status_of(job_id)) == (200, "text/html", to)
    with pytest.raises(ValueError, match="Expecting value"):
        _ = answer.json


@pytest.mark.parametrize("name", OAUTH)
def test_expire_tokens(name: str, clients: dict[str, VendorClient]) -> None:
    """Every token issued so far is refused from then on, one issued later is not; the script stays empty."""
    client = clients[name]
    old = {"Authorization": f"Bearer {client.vendor.issue_token().value}"}
    assert client.send(client.some_request(), old).status == 200
    client.vendor.script(Fault(FaultKind.EXPIRE_TOKENS))
    assert client.send(client.some_request(), old).status == 401
    new = {"Authorization": f"Bearer {client.vendor.issue_token().value}"}
    assert client.send(client.some_request(), new).status == 200
    assert client.vendor.scripted() == ()


def test_faults_come_in_the_order_of_the_script(client: VendorClient) -> None:
    """Faults befall the requests in the order in which they were scripted, each for as many times as asked for."""
    client.vendor.script(Fault(FaultKind.STATUS, times=2, status=500))
    client.vendor.script(Fault(FaultKind.THROTTLE))
    client.vendor.script(Fault(FaultKind.STATUS, status=503))
    throttled = client.specification.errors.meanings[Meaning.THROTTLED][0].status
    assert [fault.times for fault in client.vendor.scripted()] == [2, 1, 1]
    statuses = [client.send(client.some_request()).status for _ in range(5)]
    assert statuses == [500, 500, throttled, 503, 200]
    assert client.vendor.scripted() == ()


def test_a_fault_may_be_for_one_operation(client: VendorClient) -> None:
    """A fault for one operation waits for it, and lets others pass."""
    job_id, request, _ = prepared(client)
    mapping = next(iter(client.specification.actions.values()))
    client.vendor.script(Fault(FaultKind.STATUS, operation_id=mapping.operation.operation_id))
    assert client.send(client.some_request()).status == 200
    assert client.send(request).status == 503
    assert client.send(request).status // 100 == 2
    assert client.status_of(job_id) == mapping.to_status


@pytest.mark.parametrize("name", OAUTH)
def test_faults_of_the_token_endpoint(name: str, clients: dict[str, VendorClient]) -> None:
    """A fault befalls the token endpoint where it says so, and not otherwise."""
    client = clients[name]
    url = str(client.server.token_url(name))
    client.vendor.script(Fault(FaultKind.STATUS))
    assert call(url, "POST").status == 400
    client.vendor.script(Fault(FaultKind.STATUS, operation_id="token", status=502))
    assert call(url, "POST").status == 502
    assert client.send(client.some_request()).status == 503
    assert [entry.operation_id for entry in client.vendor.log()][:2] == ["token", "token"]


def test_a_fault_waits_for_a_documented_request(client: VendorClient) -> None:
    """Requests for addresses that are not documented take no fault away."""
    client.vendor.script(Fault(FaultKind.STATUS))
    assert call(f"{client.endpoint}/nothing").status == 404
    assert client.send(client.some_request()).status == 503


def test_a_fault_for_an_operation_that_is_not_there(client: VendorClient) -> None:
    """A fault that would never come is refused, with the operations that there are."""
    known = next(iter(client.specification.api.operations))
    with pytest.raises(ValueError, match=known):
        client.vendor.script(Fault(FaultKind.STATUS, operation_id="misspelt"))


def test_the_script_can_be_cleared(client: VendorClient) -> None:
    """Faults that were cleared do not come."""
    client.vendor.script(Fault(FaultKind.STATUS, times=9))
    client.vendor.clear_faults()
    assert client.vendor.scripted() == ()
    assert client.send(client.some_request()).status == 200


def test_each_fault_befalls_one_request(client: VendorClient) -> None:
    """Of many requests at once, exactly as many are befallen as there are faults."""
    client.vendor.script(Fault(FaultKind.STATUS, times=5))
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: client.send(client.some_request()).status, range(20)))
    assert sorted(statuses) == [200] * 15 + [503] * 5
