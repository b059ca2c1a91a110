"""The engine of a gateway, wired as in the product except for the clock and the vendor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from gateway.app import Catalogue, Gateway
from gateway.domain.errors import JobgateError
from gateway.domain.model import HttpRequest, JobAction, Json
from gateway.domain.record import JobActionRecord, JobActionStatus, Selection, problem_of
from gateway.engine.action import ActionRequest
from gateway.engine.actions import Actions
from gateway.engine.connections import Connection
from gateway.engine.plans import Plan
from gateway.engine.support import supported
from gateway.ledger.memory import MemoryLedger
from gateway.settings.settings import Settings
from tests.support.clock import FakeClock
from tests.support.transport import FakeTransport, Line
from tests.support.vendors import TOKEN_URL, Target, settings

CALLER = "somebody"

Given = Mapping[str, Json]
NOTHING: Given = {}

MakeEngine = Callable[..., "ScriptedEngine"]
"""Makes an engine whose vendor follows the script in the arguments."""


@dataclass(frozen=True)
class Failure:
    """A failed job action: the problem that the caller gets, and the record."""

    problem: JobgateError
    record: JobActionRecord

    @property
    def summary(self) -> tuple[str, int, str | None, str]:
        """The kind of the problem, its HTTP status, the outcome, and the status of the record; the two must agree."""
        outcome = self.problem.explanation.outcome
        assert self.record.outcome == outcome
        assert self.record.problem is not None
        assert (self.record.problem.code, self.record.problem.detail) == (self.problem.code, self.problem.detail)
        assert self.problem.explanation.job_action == self.record.id
        assert (self.record.completed_at is None) == (outcome == "unknown")
        return self.problem.code, self.problem.status, outcome, self.record.status


class ScriptedEngine:
    """The engine of a gateway whose vendor follows a script."""

    def __init__(self, catalogue: Catalogue, script: Iterable[Line] = (), configured: Settings | None = None) -> None:
        """Wire it, by default with the connections of the tests."""
        self.clock = FakeClock()
        self.transport = FakeTransport(script)
        self.ledger = MemoryLedger()
        self.gateway = Gateway(
            configured or settings(), catalogue, clock=self.clock, transport=self.transport, ledger=self.ledger
        )
        self.reconciler = self.gateway.reconciler
        self.jobs = self.reconciler.jobs
        self.calls = self.jobs.calls
        self.actions = Actions(
            self.calls, self.jobs, self.ledger, self.clock, self.reconciler.schedule, timedelta(hours=72)
        )

    def connection(self, name: str) -> Connection:
        """A configured connection."""
        return self.gateway.directory.connection(name)

    def request(
        self, connection: str, action: str, job_id: str, parameters: Given = NOTHING, *, strict: bool = False
    ) -> ActionRequest:
        """A caller's request."""
        return ActionRequest(self.connection(connection), JobAction(action, job_id, parameters), CALLER, strict)

    async def perform(self, target: Target) -> JobActionRecord:
        """Perform an action of the documents, and return its record."""
        returned = (await self.actions.perform(self.ask(target))).record
        kept = await self.only_record()
        assert returned == kept
        assert kept.status is JobActionStatus.SUCCEEDED, kept.problem
        return kept

    async def failure(self, target: Target) -> Failure:
        """Perform an action of the documents, which fails."""
        return await self.failure_of(self.ask(target))

    async def failure_of(self, request: ActionRequest) -> Failure:
        """Perform an action, which fails; the vendor's script is used up, and the action sent once at most."""
        record = (await self.actions.perform(request)).record
        assert record.status in {JobActionStatus.FAILED, JobActionStatus.UNSETTLED}, f"it did not fail: {record}"
        assert not self.transport.script, "the vendor was asked less often than the test thinks"
        assert record == await self.only_record()
        return Failure(problem_of(record), record)

    def ask(self, target: Target) -> ActionRequest:
        """The request for an action of the documents."""
        return self.request(target.connection, target.action, target.job_id, target.parameters)

    def translation(self, target: Target) -> Plan:
        """The plan of an action of the documents."""
        return supported(self.ask(target))

    async def records(self) -> tuple[JobActionRecord, ...]:
        """The records in the ledger."""
        return (await self.ledger.page(Selection(caller=CALLER), 100, None)).items

    async def only_record(self) -> JobActionRecord:
        """The one record that the ledger holds."""
        (record,) = await self.records()
        return record

    @property
    def sent(self) -> list[HttpRequest]:
        """The requests to the vendor's API, without those for tokens."""
        return [request for request in self.transport.requests if request.url != TOKEN_URL]

    @property
    def actions_sent(self) -> list[HttpRequest]:
        """The actions that went to the vendor. Everything else is a GET."""
        return [request for request in self.sent if request.method == "POST"]
