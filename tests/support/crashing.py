"""Gateways in processes of their own, which can be killed at any moment or end themselves at a named one.

A fork server has everything loaded, so that it starts a gateway in a tenth of a second. One fork server is enough for
all tests of a run. The gateways of a `GatewayGroup` share a ledger and the sandbox of the process that started them.
The log of the sandbox tells what reached the vendors.
"""

from __future__ import annotations

import json
import os
import queue
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import IO, Any

from pydantic import SecretStr

from bench.processes import surroundings
from gateway.app import Catalogue, Gateway, database_of
from gateway.domain.clock import SystemClock
from gateway.domain.leases import Lease
from gateway.domain.model import HttpReply, HttpRequest
from gateway.domain.ports import Clock
from gateway.domain.record import Concluded, HeldKey, Holder, JobActionRecord, Read, Sent
from gateway.engine import reconciliation
from gateway.ledger.ledger import SqlLedger
from gateway.sandbox.server import SandboxServer
from gateway.serving.listening import HOST, ServerOptions, address, listen, server
from gateway.serving.logs import log_to_terminal
from gateway.settings.settings import Settings, load
from gateway.startup.serve import with_sandbox
from gateway.transport.http import HttpTransport
from tests.support.patience import PATIENCE

ROOT = Path(__file__).parents[2]
API_KEY = "jobgate_key-of-gateways-that-crash"
START_SECONDS = PATIENCE
FULL_DISK = 4_096
"""Bytes beyond which no file grows on a disk that is full: not one page more fits into a ledger in SQLite."""
_LEASE = "TESTS_LEASE_SECONDS"


class Point(StrEnum):
    """The steps of a job action at which a gateway can end itself."""

    BEFORE_CLAIM = "before-claim"
    AFTER_CLAIM = "after-claim"
    AFTER_SENT = "after-sent"
    AFTER_REPLY = "after-reply"
    BEFORE_SETTLE = "before-settle"
    AFTER_SETTLE = "after-settle"
    WHILE_SETTLING = "while-settling"


@dataclass(frozen=True)
class Crash:
    """The end of a gateway: at a point, on the way of the `on`th action that comes there.

    With a `job_id`, only actions on that job count. Unless it `reconciles`, it leaves alone what others have begun.
    """

    point: Point
    on: int = 1
    job_id: str = ""
    reconciles: bool = True


class Trap:
    """Kills this process, as `kill -9` does, at a given step."""

    def __init__(self, crash: Crash | None) -> None:
        """Wait for a crash; None: never."""
        self._crash = crash
        self._passed = 0
        self.reconciles = crash is None or crash.reconciles

    def at(self, point: Point, where: str) -> None:
        """Say that an action on a job comes to a point. `where` has the job's id in it."""
        crash = self._crash
        if crash is None or point is not crash.point or crash.job_id not in where:
            return
        self._passed += 1
        if self._passed == crash.on:
            os.kill(os.getpid(), signal.SIGKILL)


class CrashingLedger(SqlLedger):
    """The ledger, in which the process may end before and after each step."""

    def __init__(self, settings: Settings, clock: Clock, trap: Trap) -> None:
        """Keep records where the settings say."""
        super().__init__(database_of(settings), clock)
        self._trap = trap

    async def claim(
        self,
        record: JobActionRecord,
        due: datetime,
        key: HeldKey | None,
        signature: HeldKey | None = None,
        lease: Lease | None = None,
    ) -> Holder | None:
        """Keep a new record."""
        job_id = record.job_action.job_id
        self._trap.at(Point.BEFORE_CLAIM, job_id)
        holder = await super().claim(record, due, key, signature, lease)
        self._trap.at(Point.AFTER_CLAIM, job_id)
        return holder

    async def take_due(
        self, now: datetime, until: datetime, limit: int, beyond: datetime | None = None
    ) -> tuple[JobActionRecord, ...]:
        """Take the records that are due, if the gateway is to reconcile any."""
        return await super().take_due(now, until, limit, beyond) if self._trap.reconciles else ()

    async def sent(self, record: JobActionRecord, event: Sent, lease: Lease | None = None) -> JobActionRecord:
        """Add that it is now sent."""
        longer = await super().sent(record, event, lease)
        self._trap.at(Point.AFTER_SENT, record.job_action.job_id)
        return longer

    async def append(self, record: JobActionRecord, event: Read | Concluded, due: datetime | None) -> JobActionRecord:
        """Add what is known now."""
        job_id = record.job_action.job_id
        if isinstance(event, Read):
            self._trap.at(Point.WHILE_SETTLING, job_id)
            return await super().append(record, event, due)
        self._trap.at(Point.BEFORE_SETTLE, job_id)
        longer = await super().append(record, event, due)
        self._trap.at(Point.AFTER_SETTLE, job_id)
        return longer


class CrashingTransport(HttpTransport):
    """The transport, after whose reply to an action the process may end."""

    def __init__(self, settings: Settings, clock: Clock, trap: Trap) -> None:
        """Send as the product does, to every address of the settings."""
        super().__init__(clock, [address for each in settings.connections.values() for address in each.addresses])
        self._trap = trap

    async def send(self, request: HttpRequest, deadline: float) -> HttpReply:
        """Send the request once, and read the whole reply."""
        reply = await super().send(request, deadline)
        if request.method == "POST" and not request.url.endswith("/token"):
            self._trap.at(Point.AFTER_REPLY, request.url)
        return reply


def main() -> None:
    """Load everything, and start a gateway for each line of the input; end with the input, and all of them with it."""
    import alembic.command  # noqa: F401, PLC0415 - it takes its time, and each gateway would load it

    catalogue = Catalogue.load()
    log_to_terminal()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system buries the dead by itself
    say(0, ready=True)
    while line := sys.stdin.readline():
        if os.fork() == 0:
            order = json.loads(line)
            try:
                with Path(order["log"]).open("ab") as log:
                    os.dup2(log.fileno(), sys.stderr.fileno())
                be_a_gateway(order, catalogue)
            finally:
                os._exit(0)
    os.killpg(0, signal.SIGKILL)


def be_a_gateway(order: Mapping[str, Any], catalogue: Catalogue) -> None:
    """Serve until told to stop, with the settings of the order's environment."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    say(order["number"], pid=os.getpid())
    os.environ.clear()
    os.environ.update(order["environment"])
    reconciliation.LEASE_SECONDS = float(os.environ.get(_LEASE, reconciliation.LEASE_SECONDS))
    settings, clock, crash = load(), SystemClock(), order["crash"]
    trap = Trap(Crash(**{**crash, "point": Point(crash["point"])}) if crash else None)
    gateway = Gateway(
        settings,
        catalogue,
        clock=clock,
        transport=CrashingTransport(settings, clock, trap),
        ledger=CrashingLedger(settings, clock, trap),
    )
    with listen(HOST, 0) as listening:
        greeting = json.dumps({"number": order["number"], "url": address(listening)})
        server(gateway.application, ServerOptions(limits=settings.limits, banner=greeting)).run(sockets=[listening])


def say(number: int, **members: Any) -> None:
    """Tell the process that gave the order of this number."""
    print(json.dumps({"number": number, **members}), flush=True)  # noqa: T201 - it is how the two talk


class GatewayEnded(Exception):
    """A gateway ended before it could be used."""


@dataclass(frozen=True)
class GatewayProcess:
    """A gateway that was started. `started_at`: when it could be used, on this process's monotonic clock."""

    pid: int
    url: str
    started_at: float

    @property
    def is_alive(self) -> bool:
        """Whether its process is there, stopped or not."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def kill(self) -> None:
        """Kill the process, as `kill -9` does."""
        self._signal(signal.SIGKILL)
        self.wait_until_gone()

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        self._signal(signal.SIGTERM)
        self.wait_until_gone()

    def pause(self) -> None:
        """Pause the process, as an overloaded machine does."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Resume the process."""
        self._signal(signal.SIGCONT)

    def limit_files(self, size: int | None) -> None:
        """Let no file that it writes grow beyond a size in bytes, as on a disk that is full; None: let them again."""
        with suppress(ProcessLookupError):
            _, most = resource.prlimit(self.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (most if size is None else size, most))

    def wait_until_gone(self, seconds: float = START_SECONDS) -> None:
        """Wait until its process has ended. Raises TimeoutError."""
        end = time.monotonic() + seconds
        while self.is_alive:
            if time.monotonic() > end:
                raise TimeoutError(f"the gateway {self.pid} is still there.")
            time.sleep(0.002)

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)


class ForkServer:
    """A process that starts gateways."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Use a process that runs `main`."""
        self._process = process
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._numbers = count(1)
        self._lock = threading.Lock()
        self._listening = threading.Thread(target=self._listen, args=(process.stdout,), daemon=True)
        self._listening.start()

    def wait_until_ready(self) -> None:
        """Wait until everything is loaded."""
        self._heard(0, "ready", START_SECONDS)

    def start(self, environment: Mapping[str, str], log: Path, crash: Crash | None) -> GatewayProcess:
        """Start a gateway, and wait until it can be used. Raises GatewayEnded where it ends before."""
        with self._lock:
            assert self._process.stdin is not None
            number = next(self._numbers)
            order = {
                "number": number,
                "environment": dict(environment),
                "log": str(log),
                "crash": crash and asdict(crash),
            }
            print(json.dumps(order), file=self._process.stdin, flush=True)
            born = GatewayProcess(self._heard(number, "pid", START_SECONDS), "", time.monotonic())
            end = time.monotonic() + START_SECONDS
            while time.monotonic() < end:
                alive = born.is_alive
                with suppress(queue.Empty):
                    return GatewayProcess(born.pid, self._heard(number, "url", 0.05), time.monotonic())
                if not alive:
                    raise GatewayEnded(f"the gateway {born.pid} ended while it started.")
        born.kill()
        raise TimeoutError(f"the gateway {born.pid} did not start.")

    def close(self) -> None:
        """End it, and every gateway with it."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._listening.join()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def _listen(self, lines: IO[str]) -> None:
        for line in lines:
            self._lines.put(line)
        self._lines.put("")

    def _heard(self, number: int, name: str, seconds: float) -> Any:
        """The next message about an order. Raises queue.Empty if that takes too long."""
        while True:
            line = self._lines.get(timeout=seconds)
            if not line:
                raise GatewayEnded("the fork server has ended.")
            # A gateway that was killed while it started may have been heard too late.
            if (told := json.loads(line))["number"] == number:
                return told[name]


@dataclass(frozen=True)
class GatewayGroup:
    """Gateways of one fork server that have the same settings, and write one log."""

    fork_server: ForkServer
    environment: Mapping[str, str]
    log: Path
    started: list[GatewayProcess] = field(default_factory=list)

    def start(self, crash: Crash | None = None) -> GatewayProcess:
        """Start a gateway, and wait until it can be used. Raises GatewayEnded where it ends before."""
        made = self.fork_server.start(self.environment, self.log, crash)
        self.started.append(made)
        return made

    def last_words(self) -> str:
        """The end of their common log."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-30:])


@contextmanager
def fork_server() -> Iterator[ForkServer]:
    """A fork server. It ends after the block, and every gateway with it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.crashing"],
        cwd=ROOT,
        env=surroundings(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    made = ForkServer(process)
    try:
        made.wait_until_ready()
        yield made
    finally:
        made.close()


@contextmanager
def gateway_group(fork_server: ForkServer, environment: Mapping[str, str], log: Path) -> Iterator[GatewayGroup]:
    """Gateways that have the settings of an environment; all of them are gone after the block."""
    made = GatewayGroup(fork_server, {**surroundings(), **environment}, log)
    try:
        yield made
    finally:
        for each in made.started:
            each.kill()


@dataclass(frozen=True)
class ReconciliationTimes:
    """How soon gateways find out what nobody told: `vendor_seconds` of the settings, the product's LEASE_SECONDS.

    The job is read for the last time half a second after the last moment at which a call can end.
    """

    vendor_seconds: float = 2.0
    lease_seconds: float = reconciliation.LEASE_SECONDS
    repeat_seconds: float = 2.0

    @property
    def environment(self) -> Mapping[str, str]:
        """It as settings."""
        confirm = [0.2, 0.5, 1.0, self.vendor_seconds + 0.5]
        return {
            "JOBGATE_VENDOR_SECONDS": str(self.vendor_seconds),
            "JOBGATE_LEDGER__CONFIRM_SECONDS": json.dumps(confirm),
            "JOBGATE_LEDGER__REPEAT_SECONDS": str(self.repeat_seconds),
            _LEASE: str(self.lease_seconds),
        }


def environment_of(
    ledger: str, catalogue: Catalogue, sandbox: SandboxServer, times: ReconciliationTimes | None = None
) -> dict[str, str]:
    """The environment of gateways with a ledger at an address and a connection to each vendor of a sandbox."""
    wired = with_sandbox(Settings.model_construct(connections={}), catalogue.vendors, sandbox)
    connections = {name: each.model_dump() for name, each in wired.connections.items()}
    return {
        "JOBGATE_API_KEY": API_KEY,
        "JOBGATE_DATABASE_URL": ledger,
        "JOBGATE_CONNECTIONS": json.dumps(connections, default=SecretStr.get_secret_value),
        "JOBGATE_SERVER__RESPONSE_VALIDATION": "refuse",
        **(times or ReconciliationTimes()).environment,
    }


if __name__ == "__main__":
    main()
