"""Clients that want things done, the gateways that they ask, which come and go, and the vendors, which remember all."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway.app import Catalogue
from gateway.sandbox.server import SandboxServer
from gateway.startup.serve import simulators
from tests.crash.oracle import Answer, Call, Record, WantedAction, job_in
from tests.support.crashing import (
    API_KEY,
    START_SECONDS,
    Crash,
    ForkServer,
    GatewayEnded,
    GatewayGroup,
    GatewayProcess,
    ReconciliationTimes,
    environment_of,
    gateway_group,
)
from tests.support.patience import PATIENCE

AT_ONCE = 8
"""Default number of concurrent requests."""
ANSWER_SECONDS = PATIENCE
"""Seconds that a client waits for an answer."""
SETTLED_SECONDS = 30.0
"""Seconds after a restart within which everything has to be settled; a busy machine may take several times as long."""
NAMES = {"azure-job-router": "azure-sandbox", "vonage-contact-center": "vonage-sandbox"}
"""Names of the connections to the simulated vendors."""


@dataclass(frozen=True)
class JobActionKind:
    """An action of a vendor, and the vendor status that a job needs for it."""

    vendor: str
    action: str
    status: str


CANCEL = JobActionKind("azure-job-router", "cancel", "queued")
CLOSE = JobActionKind("azure-job-router", "close", "completed")
PAUSE = JobActionKind("vonage-contact-center", "pause", "Running")
MIXTURE: Sequence[JobActionKind] = (CANCEL, CANCEL, CANCEL, CLOSE, CLOSE, PAUSE)
"""Jobs of Vonage can only be found in its list of all, so there are not too many of them."""


@dataclass
class Deployment:
    """Simulated vendors, a ledger, and gateways that share both."""

    sandbox: SandboxServer
    gateway_group: GatewayGroup
    chance: random.Random
    fleet: list[GatewayProcess] = field(default_factory=list)
    wanted_actions: list[WantedAction] = field(default_factory=list)

    def start(self, size: int = 1) -> None:
        """Start so many gateways."""
        self.fleet = [self.gateway_group.start() for _ in range(size)]

    def restart(self, position: int = 0, crash: Crash | None = None) -> None:
        """Replace a gateway that has ended. If the new one ends while it starts, start others until one stays."""
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                self.fleet[position] = self.gateway_group.start(crash)
            except GatewayEnded:
                if time.monotonic() > end:
                    raise
                crash = None
                time.sleep(0.1)
            else:
                return

    def renew(self) -> None:
        """Replace every gateway by one that ends at no step."""
        for position, each in enumerate(self.fleet):
            each.kill()
            self.restart(position)

    def want(self, kind_of_action: JobActionKind, *, with_key: bool = True) -> WantedAction:
        """Make a job, and return an action that a client wants on it."""
        job_id = self.sandbox.vendor(kind_of_action.vendor).create_job(kind_of_action.status)
        made = WantedAction(
            NAMES[kind_of_action.vendor], kind_of_action.action, job_id, [str(uuid.uuid4())] if with_key else []
        )
        self.wanted_actions.append(made)
        return made

    def ask(self, wanted: WantedAction) -> Answer | None:
        """Ask for the action once, as soon as a gateway listens. Return None if there is no answer."""
        if wanted.is_not_carried_out:
            wanted.keys.append(str(uuid.uuid4()))
        path = f"/v1/connections/{wanted.connection}/jobs/{wanted.job_id}/{wanted.action}"
        headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": wanted.keys[-1]} if wanted.keys else {})
        try:
            status, replayed, body = self._when_there_is_one("POST", path, b"{}", headers)
        except (OSError, http.client.HTTPException):
            return None
        answer = Answer(
            status=status,
            code=body.get("code"),
            record=body.get("jobAction") if "code" in body else body["id"],
            outcome=body.get("outcome"),
            retryable=body.get("retryable", False),
            replayed=replayed,
        )
        wanted.answers.append(answer)
        return answer

    def records(self, **query: str) -> list[Record]:
        """The records that the gateway lists, oldest first."""
        found: list[Record] = []
        path = "/v1/job-actions?limit=100" + "".join(f"&{name}={value}" for name, value in query.items())
        cursor: str | None = ""
        while cursor is not None:
            status, _, body = self._exchange("GET", path + (f"&cursor={cursor}" if cursor else ""))
            assert status == 200, body
            found += [Record.of(item) for item in body["items"]]
            cursor = body["nextCursor"]
        return found[::-1]

    def calls(self) -> list[Call]:
        """The calls by which the vendors were asked for actions, as their own log has them, in the order of answers."""
        return [call for vendor in NAMES for call in self._calls_of(vendor)]

    def settle(self) -> float:
        """Wait until nothing is open any more, which must not take long; gives how long it took since the last start.

        A gateway that comes to its end meanwhile is replaced.
        """
        while still := self._unsettled():
            took = self.seconds_since_start()
            assert took < 4 * SETTLED_SECONDS, (
                f"not settled after {took:.1f} s: {still}\n{self.gateway_group.last_words()}"
            )
            time.sleep(0.1)
        return self.seconds_since_start()

    def _unsettled(self) -> Sequence[object]:
        """The records that are not settled, or the reason why they cannot be read."""
        if gone := self.revive():
            return gone
        try:
            return self.records(status="in_progress") or self.records(status="unsettled")
        except (OSError, http.client.HTTPException) as error:  # a gateway has come to its end just now
            return [error]

    def seconds_since_start(self) -> float:
        """Seconds since the last start of a gateway."""
        return time.monotonic() - max(each.started_at for each in self.fleet)

    def revive(self) -> Sequence[GatewayProcess]:
        """Restart the gateways that have ended, and return the ended ones."""
        gone = [(position, each) for position, each in enumerate(self.fleet) if not each.is_alive]
        for position, _ in gone:
            self.restart(position)
        return [each for _, each in gone]

    def ask_again(self) -> int:
        """Ask again for all actions that may be sent again, and return their number."""
        repeatable = [wanted for wanted in self.wanted_actions if wanted.may_be_asked_again]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(self.ask, repeatable))
        return len(repeatable)

    @contextmanager
    def clients(self, number: int) -> Iterator[None]:
        """While the block lasts, so many clients ask for one thing after another.

        Every other one asks again at once, several times, until it knows; the rest do so only at the end.
        """
        ending = threading.Event()
        failures: list[BaseException] = []

        def run(insists: bool) -> None:
            try:
                while not ending.is_set():
                    self._want_something(ending, insists=insists)
            except BaseException as error:  # noqa: BLE001 - it is raised where somebody sees it
                failures.append(error)

        threads = [threading.Thread(target=run, args=(bool(each % 2),)) for each in range(number)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            ending.set()
            for thread in threads:
                thread.join()
        if failures:
            raise failures[0]

    def _want_something(self, ending: threading.Event, *, insists: bool) -> None:
        wanted = self.want(self.chance.choice(MIXTURE), with_key=insists or self.chance.random() < 0.8)
        self.ask(wanted)
        patience = 8 if insists else 0
        while patience and wanted.may_be_asked_again and not ending.wait(0.1):
            self.ask(wanted)
            patience -= 1
        ending.wait(self.chance.uniform(0, 0.03))

    def _calls_of(self, vendor: str) -> Iterator[Call]:
        sandbox = self.sandbox.vendor(vendor)
        actions = {each.operation.operation_id for each in sandbox.specification.actions.values()}
        for entry in sandbox.log():
            if entry.operation_id in actions:
                yield Call(job_in(entry.path), entry.at, has_effect=entry.before != entry.after)

    def _when_there_is_one(
        self, method: str, path: str, content: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bool, dict[str, Any]]:
        """One request to a gateway that is there. Raises ConnectionRefusedError where none comes."""
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                return self._exchange(method, path, content, headers)
            except ConnectionRefusedError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)

    def _exchange(
        self, method: str, path: str, content: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bool, dict[str, Any]]:
        """One request to any of the gateways; gives status, whether it was answered before, and body."""
        place = urlsplit(self.chance.choice(self.fleet).url).netloc
        connection = http.client.HTTPConnection(place, timeout=ANSWER_SECONDS)
        try:
            connection.request(
                method, path, content, {"Authorization": f"Bearer {API_KEY}", "Connection": "close", **(headers or {})}
            )
            response = connection.getresponse()
            body: dict[str, Any] = json.loads(response.read())
            return response.status, response.headers["Idempotent-Replayed"] == "true", body
        finally:
            connection.close()


@contextmanager
def deployed(
    catalogue: Catalogue,
    fork_server: ForkServer,
    ledger: str,
    folder: Path,
    chance: random.Random,
    times: ReconciliationTimes,
) -> Iterator[Deployment]:
    """A deployment whose gateways have their ledger at an address. None of them is started yet."""
    with simulators(catalogue) as sandbox:
        environment = environment_of(ledger, catalogue, sandbox, times)
        with gateway_group(fork_server, environment, folder / "gateways.log") as made:
            yield Deployment(sandbox, made, chance)
