"""Concurrent identical requests with one key: exactly one reaches the vendor, on any number of gateways."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from gateway.app import Catalogue, Gateway
from gateway.domain.clock import SystemClock
from gateway.domain.model import HttpReply, HttpRequest
from gateway.edge.exchange import Application
from gateway.ledger.database import Database
from gateway.ledger.ledger import SqlLedger
from gateway.sandbox.faults import Fault, FaultKind
from gateway.sandbox.server import SandboxServer
from gateway.startup.serve import sandbox_connection, simulators
from tests.support.asgi import call
from tests.support.served import url_of
from tests.support.transport import FakeTransport, reply
from tests.support.vendors import API_KEY, AZURE_JOB, settings

AT_ONCE = 64
ROUNDS = 5
"""For each of the four ways in which the requests come; processes have fewer."""
ROUNDS_OF_PROCESSES = 3
VENDOR = "azure-job-router"
VENDOR_SECONDS = 0.05
SECONDS = 60

NOTE = "the same each time"
JOB = f"/v1/connections/contoso-prod/jobs/{AZURE_JOB}"

CONFIGURATION = """
api_key = "{key}"
database_url = "{address}"

[connections.azure]
vendor = "azure-job-router"
endpoint = "{endpoint}"
plain_http = true
quota = "none"
authentication = {{ kind = "signature", scheme = "{scheme}", secret = "{secret}" }}
"""


@dataclass(frozen=True)
class Heard:
    """An answer, as far as it matters here: its status, whether it was a replay, and its body."""

    status: int
    is_replayed: bool
    body: Any

    @property
    def kind(self) -> str:
        """What sort of an answer it is."""
        if self.status == 200:
            return "replayed" if self.is_replayed else "carried out"
        return str(self.body.get("code", self.status))


def check(heard: Sequence[Heard]) -> str:
    """One was carried out, all others were replays of the same answer or told to wait; gives the record's id."""
    kinds = Counter(each.kind for each in heard)
    assert kinds["carried out"] == 1, kinds
    assert kinds.keys() <= {"carried out", "replayed", "idempotency-key-in-use"}, kinds
    (first,) = (each for each in heard if each.kind == "carried out")
    assert first.body["outcome"] == "applied"
    for each in heard:
        if each.kind == "replayed":
            assert each.body == first.body
        elif each is not first:
            assert (each.status, each.body["retryable"], each.body["outcome"]) == (409, True, "not_sent")
            assert each.body["jobAction"] == first.body["id"]
    return str(first.body["id"])


class SlowVendor(FakeTransport):
    """A vendor that takes a little time, and grants everything."""

    async def send(self, request: HttpRequest, deadline: float) -> HttpReply:
        """Wait, and grant it."""
        self.requests.append(request)
        await asyncio.sleep(VENDOR_SECONDS)
        return reply(200, {})


@asynccontextmanager
async def gateways(address: str, catalogue: Catalogue, vendor: SlowVendor, number: int) -> AsyncIterator[list[Gateway]]:
    """Gateways in this process that share a database, as several processes do."""
    made = []
    for _ in range(number):
        clock = SystemClock()
        ledger = SqlLedger(Database.at(address), clock)
        made.append(Gateway(settings(), catalogue, clock=clock, transport=vendor, ledger=ledger))
    try:
        yield made
    finally:
        for gateway in made:
            await gateway.close()


async def post(application: Application, key: str, after: float = 0.0, note: str = NOTE) -> Heard:
    """Ask for the action, after a while."""
    await asyncio.sleep(after)
    answer = await call(application, "POST", f"{JOB}/cancel", {"note": note}, [("idempotency-key", key)])
    return Heard(answer.status, "idempotent-replayed" in answer.headers, answer.json)


@pytest.mark.parametrize("number", [1, 2], ids=["one gateway", "two gateways"])
@pytest.mark.parametrize("spread", [0.0, 3 * VENDOR_SECONDS], ids=["at once", "over a while"])
async def test_one_key_is_one_call(number: int, spread: float, address: str, catalogue: Catalogue) -> None:
    """Of 64 identical requests with one key exactly one reaches the vendor, be it one gateway or two."""
    vendor = SlowVendor()
    async with gateways(address, catalogue, vendor, number) as made:
        for round_ in range(ROUNDS):
            before = len(vendor.requests)
            heard = await asyncio.gather(
                *(
                    post(made[each % number].application, f"key-{round_}", spread * each / AT_ONCE)
                    for each in range(AT_ONCE)
                )
            )
            record_id = check(heard)
            assert len(vendor.requests) == before + 1
            again = await post(made[-1].application, f"key-{round_}")
            assert (again.kind, again.body["id"]) == ("replayed", record_id)
        assert len(vendor.requests) == ROUNDS


async def test_keys_do_not_hinder_each_other(address: str, catalogue: Catalogue) -> None:
    """Requests with 64 keys, each sent by two gateways at the same time, are 64 calls at the vendor."""
    vendor = SlowVendor()
    async with gateways(address, catalogue, vendor, 2) as made:
        heard = await asyncio.gather(
            *(post(gateway.application, f"key-{each}") for each in range(AT_ONCE) for gateway in made)
        )
        for each in range(AT_ONCE):
            check(heard[2 * each : 2 * each + 2])
    assert len(vendor.requests) == AT_ONCE


async def test_another_request_with_the_key_never_reaches_the_vendor(address: str, catalogue: Catalogue) -> None:
    """Of two different requests with one key, sent many times at once, one is carried out and the other refused."""
    vendor = SlowVendor()
    notes = [NOTE, "another one"] * (AT_ONCE // 2)
    async with gateways(address, catalogue, vendor, 2) as made:
        for round_ in range(ROUNDS):
            heard = await asyncio.gather(
                *(
                    post(made[each // 2 % 2].application, f"key-{round_}", 2 * VENDOR_SECONDS * each / AT_ONCE, note)
                    for each, note in enumerate(notes)
                )
            )
            kinds = Counter(each.kind for each in heard)
            assert (kinds["carried out"], kinds["idempotency-key-reused"]) == (1, AT_ONCE // 2), kinds
            check([each for each in heard if each.kind != "idempotency-key-reused"])
            assert len(vendor.requests) == round_ + 1


@pytest.fixture
def sandbox(catalogue: Catalogue) -> Iterator[SandboxServer]:
    """The simulated vendors, on a free port."""
    with simulators(catalogue) as started:
        yield started


@contextmanager
def served(file: Path) -> Iterator[subprocess.Popen[str]]:
    """`jobgate serve` with a file of settings, on a free port."""
    command = [str(Path(sys.executable).with_name("jobgate")), "serve", "--port", "0", "--no-access-log"]
    process = subprocess.Popen(
        [*command, "--config", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("JOBGATE_")},
        start_new_session=True,
    )
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=SECONDS)
        assert "Traceback" not in said, said
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate(timeout=SECONDS)


def ask(url: str, job_id: str, key: str, start: threading.Barrier) -> Heard:
    """Ask a gateway for the action when all others are ready to, on a connection of its own."""
    headers = {"Authorization": f"Bearer {API_KEY}", "Idempotency-Key": key}
    path = f"{url}/v1/connections/azure/jobs/{job_id}/cancel"
    with requests.Session() as session:
        start.wait(SECONDS)
        answer = session.post(path, json={"note": NOTE}, headers=headers, timeout=SECONDS)
    return Heard(answer.status_code, "idempotent-replayed" in answer.headers, answer.json())


def test_two_processes_make_one_call(
    address: str, catalogue: Catalogue, sandbox: SandboxServer, tmp_path: Path
) -> None:
    """Of 64 identical requests to two gateway processes, the sandbox's own log has one; both know of it afterwards."""
    connection = sandbox_connection(catalogue.vendors[VENDOR], sandbox)
    credentials = sandbox.credentials(VENDOR)
    file = tmp_path / "jobgate.toml"
    text = CONFIGURATION.format(
        key=API_KEY,
        address=address,
        endpoint=connection.endpoint,
        scheme=connection.authentication.scheme,
        secret=credentials.access_key,
    )
    file.touch(0o600)
    file.write_text(text, encoding="utf-8")
    vendor = sandbox.vendor(VENDOR)
    with ExitStack() as stack:
        processes = [stack.enter_context(served(file)) for _ in range(2)]
        urls = [url_of(process) for process in processes]
        threads = stack.enter_context(ThreadPoolExecutor(AT_ONCE))
        for round_ in range(ROUNDS_OF_PROCESSES):
            job_id, key = vendor.create_job("queued"), f"key-{round_}"
            vendor.script(Fault(FaultKind.DELAY, seconds=VENDOR_SECONDS, operation_id=None))
            start = threading.Barrier(AT_ONCE)
            asked = [threads.submit(ask, urls[each % 2], job_id, key, start) for each in range(AT_ONCE)]
            record_id = check([future.result() for future in asked])
            actions = [entry for entry in vendor.log() if entry.job_action and entry.job_action.job_id == job_id]
            assert len(actions) == 1, actions
            for url in urls:
                again = ask(url, job_id, key, threading.Barrier(1))
                assert (again.kind, again.body["id"]) == ("replayed", record_id)
        assert len([entry for entry in vendor.log() if entry.job_action]) == ROUNDS_OF_PROCESSES
