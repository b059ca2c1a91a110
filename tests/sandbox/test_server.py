"""The sandbox as a server: start, stop, and the application in it."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import socket
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.model import JobAction
from gateway.domain.vocabulary import Meaning
from gateway.edge.exchange import Message
from gateway.sandbox.faults import Fault, FaultKind
from gateway.sandbox.server import Sandbox, SandboxServer
from gateway.sandbox.settings import SandboxSettings, VendorSettings
from gateway.specs.document import SpecificationError
from tests.sandbox.fixtures import OAUTH, TOY, VENDORS, Clock, VendorClient, call, changed
from tests.support.patience import FOR_EVER, PATIENCE, wait_until


def test_a_taken_port_is_named() -> None:
    """Where the port is taken, the start fails and says so."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=str(port)), SandboxServer(Sandbox({}), port):
            pass


def test_it_starts_and_stops_again_and_again() -> None:
    """A server stops at once, leaves its port free, and the same sandbox can be served again as it was."""
    sandbox, threads = Sandbox(VENDORS), threading.active_count()
    name = next(iter(VENDORS))
    job_id = sandbox.vendor(name).create_job(next(iter(VENDORS[name][1].statuses)))
    with SandboxServer(sandbox) as server:
        url = server.url
        assert call(f"{url}/control/{name}/jobs/{job_id}").status == 200
        began = time.monotonic()
    assert time.monotonic() - began < PATIENCE / 2
    with pytest.raises(ConnectionRefusedError):
        call(url)
    with SandboxServer(sandbox, int(url.rpartition(":")[2])) as server:
        assert call(f"{server.url}/control/{name}/jobs/{job_id}").status == 200
        client = VendorClient(server, VENDORS[name][0], server.vendor(name), clock=Clock())
        client.vendor.script(Fault(FaultKind.DELAY, seconds=0.3))
        began = time.monotonic()
        client.send(client.some_request(), {})
        assert time.monotonic() - began >= 0.3
    assert not [each for each in threading.enumerate()[threads:] if not each.name.startswith("WSGI")]


def test_answers_that_are_held_back_do_not_hold_up_the_stop() -> None:
    """When the server stops, answers that a fault holds back go out at once."""
    name = next(iter(VENDORS))
    server = SandboxServer(Sandbox(VENDORS))
    with server:
        client = VendorClient(server, VENDORS[name][0], server.vendor(name), clock=Clock())
        client.vendor.script(Fault(FaultKind.DELAY, seconds=FOR_EVER))
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(client.send, client.some_request(), {})
            wait_until(lambda: not client.vendor.scripted())
            began = time.monotonic()
            server.__exit__(None, None, None)
            assert answer.result().status == client.specification.errors.meanings[Meaning.UNAUTHENTICATED][0].status
    assert time.monotonic() - began < PATIENCE / 2


def test_nothing_is_known_before_the_start() -> None:
    """A server that has not been started says so when it is asked where it is."""
    server = SandboxServer(Sandbox(VENDORS))
    with pytest.raises(RuntimeError, match="not been started"):
        _ = server.url


def test_addresses(server: SandboxServer) -> None:
    """Every vendor is below its name, at the path that its document's server has."""
    assert VENDORS
    for name, (_, specification) in VENDORS.items():
        path = specification.api.document.content["servers"][0]["url"].partition("://")[2].partition("/")[2]
        assert server.endpoint(name) == f"{server.url}/{name}" + (f"/{path}" if path else "")
        assert (server.token_url(name) is not None) is (name in OAUTH)


def test_the_index_lists_the_vendors(server: SandboxServer) -> None:
    """The root is a short text with where everything is; other addresses outside the vendors are 404."""
    index = call(server.url)
    assert (index.status, index.media_type) == (200, "text/plain")
    assert [name for name in (*VENDORS, "/control/vendors") if name not in index.content.decode()] == []
    for path in ("/nobody/jobs", "/control-room", "/index.html"):
        assert call(server.url + path).status == 404


def test_requests_are_not_logged_as_access(
    server: SandboxServer, clients: dict[str, VendorClient], caplog: pytest.LogCaptureFixture
) -> None:
    """Serving writes no access log, and does not switch off that of another server in the process."""
    with caplog.at_level(logging.INFO):
        for client in clients.values():
            client.send(client.some_request())
    assert [record for record in caplog.records if record.name == "uvicorn.access"] == []
    assert logging.getLogger("uvicorn.access").propagate


async def test_it_lives_under_any_asgi_server() -> None:
    """The application tells a server that asks that it has started and stopped."""
    sent: list[str] = []
    events = iter(["lifespan.startup", "lifespan.shutdown"])

    async def receive() -> Message:
        return {"type": next(events)}

    async def send(message: Message) -> None:
        sent.append(message["type"])

    await Sandbox({})({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_a_drop_without_a_transport() -> None:
    """Under a server whose connection cannot be closed from inside, a scripted drop is an error of the connection."""
    name = next(iter(VENDORS))
    sandbox = Sandbox(VENDORS)
    sandbox.vendor(name).script(Fault(FaultKind.DROP_BEFORE))
    read = VENDORS[name][1].list_read
    assert read is not None
    path = f"{sandbox.vendor(name).endpoint}{read.operation.path}"
    method = read.operation.method
    scope: dict[str, Any] = {
        "type": "http",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
    }
    scope |= {"query_string": b"", "headers": [(b"host", b"sandbox")]}

    async def send(message: Message) -> None:
        pytest.fail(f"sent {message}")

    with pytest.raises(ConnectionAbortedError):
        await sandbox(scope, lambda: asyncio.sleep(0, {"type": "http.request"}), send)


def test_settings_at_the_start() -> None:
    """Settings are per vendor; one that the vendor's document does not have stops the start."""
    for name, (_, specification) in VENDORS.items():
        answer = specification.errors.meanings[Meaning.WRONG_STATE][-1]
        chosen = VendorSettings(wrong_state_status=answer.status, token_seconds=9)
        sandbox = Sandbox(VENDORS, SandboxSettings(vendors={name: chosen}))
        assert sandbox.vendor(name).settings == chosen
        others = [each for other, each in sandbox.vendors.items() if other != name]
        assert {each.settings for each in others} == {VendorSettings()}
        with pytest.raises(ValueError, match=str(answer.status)):
            Sandbox(VENDORS, SandboxSettings(vendors={name: VendorSettings(wrong_state_status=499)}))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"x-job-vendor job body.ticket.number": None}, "job.id"),
        ({"x-job-vendor job body.ticket.state": None}, "job.vendorStatus"),
        ({"components securitySchemes other": {"type": "http", "scheme": "digest"}}, "other"),
        ({"paths /tickets get x-job-read": {"kind": "list", "request": {}, "items": "body.tickets", "next": "body.n"}},
         "continuationToken"),
    ],
)  # fmt: skip
def test_a_document_that_cannot_be_simulated(change: Mapping[str, Any], says: str, tmp_path: Path) -> None:
    """Where a document or adapter lacks what the sandbox needs, the start fails with the file and what is missing."""
    vendor = changed(tmp_path, TOY, change)
    with pytest.raises(SpecificationError, match=says) as error:
        Sandbox({TOY: vendor})
    assert str(tmp_path) in str(error.value)


def test_a_vendor_cannot_be_called_control(tmp_path: Path) -> None:
    """The control API's address cannot be taken by a vendor."""
    with pytest.raises(ValueError, match="control"):
        Sandbox({TOY: changed(tmp_path, TOY, {"x-job-vendor name": "control"})})


def test_other_operations_of_a_document(tmp_path: Path) -> None:
    """An operation that is documented and has no extension is answered 501: it is known, and not simulated."""
    operation = {"operationId": "other", "responses": {"200": {"description": "Fine."}}}
    vendor = changed(tmp_path, TOY, {"paths /other": {"get": operation}})
    with SandboxServer(Sandbox({TOY: vendor})) as server:
        client = VendorClient(server, vendor[0], server.vendor(TOY), clock=Clock())
        answer = client.send(client.request(vendor[1].api.operations["other"]))
        assert (answer.status, "simulate" in answer.json["fault"]["text"]) == (501, True)


def test_answers_are_held_against_the_document(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An answer of the sandbox that departs from the document is not sent; the log alone says why."""
    secret = "not-to-be-seen"
    adapter, specification = changed(tmp_path, TOY, {})
    spoilt = dataclasses.replace(adapter, simulate=lambda *_: {"ticket": {"number": "T-1", "state": secret}})
    with SandboxServer(Sandbox({TOY: (spoilt, specification)})) as server:
        client = VendorClient(server, adapter, server.vendor(TOY), clock=Clock())
        client.perform("close", "T-1")
        read = specification.job_read
        assert read is not None
        answer = client.send(client.request(read.operation, path={"number": "T-1"}))
    assert (answer.status, secret.encode() in answer.content) == (500, False)
    assert secret in caplog.text


def test_a_fault_of_an_adapter_is_not_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An error in an adapter's own code is answered 500 in the vendor's shape, without details; the log has them."""
    adapter, specification = changed(tmp_path, TOY, {})

    def broken(*_: object) -> Mapping[str, Any]:
        raise ZeroDivisionError("the secret of the adapter")

    spoilt = dataclasses.replace(adapter, simulate=broken)
    with SandboxServer(Sandbox({TOY: (spoilt, specification)})) as server:
        client = VendorClient(server, adapter, server.vendor(TOY), clock=Clock())
        answer = client.send(client.action_request(JobAction("close", "T-1")))
    assert (answer.status, answer.json["fault"]["text"]) == (500, "Internal Server Error.")
    assert "the secret of the adapter" in caplog.text
