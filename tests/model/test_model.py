"""The gateway's promises as a state machine: in any order of events, the ledger and the vendor agree."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, precondition, rule

from gateway.app import Gateway
from gateway.domain.errors import IdempotencyKeyReused
from gateway.domain.leases import Lease
from gateway.domain.model import HttpReply, HttpRequest, JobAction, Outcome, Page
from gateway.domain.ports import Ledger
from gateway.domain.record import (
    Concluded,
    HeldKey,
    Holder,
    JobActionRecord,
    JobActionStatus,
    Origin,
    Read,
    Selection,
    Sent,
    SettledBy,
    Tally,
)
from gateway.engine.action import ActionRequest, ActionResult
from gateway.engine.actions import Actions
from gateway.ledger import audit
from gateway.ledger.database import Database
from gateway.ledger.ledger import SqlLedger
from tests.model.vendors import ASSIGNMENT, Fault, Vendors
from tests.support import vendors
from tests.support.clock import FakeClock
from tests.support.documents import installed
from tests.support.sampling import amount

Result = TypeVar("Result")

CATALOGUE = installed()
CALLER = "somebody"
KEY_TIME = timedelta(hours=72)
KINDS = {"A": ("contoso-prod", ["queued", "completed"]), "V": ("vonage-emea", ["Running", "Paused", "Scheduled"])}
ACTIONS = {"A": ["cancel", "close"], "V": ["cancel", "pause", "restart"]}
MEMORY = next((folder for folder in ("/dev/shm",) if Path(folder).is_dir()), None)  # noqa: S108 - it is for that
"""Where there is a folder in memory, the databases are there: nobody pulls the plug here."""
STEPS = ["before claim", "after claim", "after sent", "after reply", "before concluding"]
HARMLESS = {Fault.UNREACHABLE, Fault.THROTTLED}
"""Faults after which the same request may be sent again, with the same key."""


class Crash(BaseException):
    """The process ends here."""


@dataclass
class Ending:
    """At which step the process is to end, None for never."""

    step: str | None = None

    def at(self, step: str) -> None:
        """End, if it is this step."""
        if self.step == step:
            self.step = None
            raise Crash(step)


@dataclass
class EndingLedger:
    """A ledger in a process that ends at a step."""

    inner: Ledger
    ending: Ending

    async def start(self) -> None:
        """Make ready."""
        await self.inner.start()

    async def close(self) -> None:
        """Let go."""
        await self.inner.close()

    async def claim(
        self,
        record: JobActionRecord,
        due: datetime,
        key: HeldKey | None,
        signature: HeldKey | None = None,
        lease: Lease | None = None,
    ) -> Holder | None:
        """Claim, if the process lives so long."""
        self.ending.at("before claim")
        holder = await self.inner.claim(record, due, key, signature, lease)
        self.ending.at("after claim")
        return holder

    async def sent(self, record: JobActionRecord, event: Sent, lease: Lease | None = None) -> JobActionRecord:
        """Add that it is sent, and perhaps end before it is."""
        longer = await self.inner.sent(record, event, lease)
        self.ending.at("after sent")
        return longer

    async def append(self, record: JobActionRecord, event: Read | Concluded, due: datetime | None) -> JobActionRecord:
        """Conclude, if the process lives so long."""
        self.ending.at("before concluding")
        return await self.inner.append(record, event, due)

    async def get(self, record_id: str, caller: str | None) -> JobActionRecord | None:
        """Look at a record."""
        return await self.inner.get(record_id, caller)

    async def page(self, selection: Selection, limit: int, before: str | None) -> Page[JobActionRecord]:
        """Look at records."""
        return await self.inner.page(selection, limit, before)

    async def take_due(
        self, now: datetime, until: datetime, limit: int, beyond: datetime | None = None
    ) -> tuple[JobActionRecord, ...]:
        """Take what is due."""
        return await self.inner.take_due(now, until, limit, beyond)

    async def wait_until_due(self) -> None:
        """Wait as long as it does."""
        await self.inner.wait_until_due()

    async def tally(self, caller: str | None) -> Tally:
        """Count what has not ended."""
        return await self.inner.tally(caller)

    async def tidy(self, now: datetime) -> None:
        """Tidy."""
        await self.inner.tidy(now)

    async def check(self) -> None:
        """See whether it works."""
        await self.inner.check()


@dataclass
class EndingTransport:
    """A transport in a process that ends when the reply to an action has come."""

    inner: Vendors
    ending: Ending

    async def send(self, request: HttpRequest, deadline: float) -> HttpReply:
        """Send; perhaps nobody lives to see the reply."""
        reply = await self.inner.send(request, deadline)
        if request.method == "POST" and request.url != vendors.TOKEN_URL:
            self.ending.at("after reply")
        return reply


@dataclass
class Held:
    """What the model knows of a key: what it was used for, by which request, and until when."""

    question: tuple[str, str, str | None]
    number: int
    expires_at: datetime


@dataclass(frozen=True)
class Asked:
    """A request: an action on a job, with a note and perhaps a key."""

    job_id: str
    action: str
    note: str | None
    key: str | None

    @property
    def what(self) -> tuple[str, str, str | None]:
        """What the key stands for."""
        return self.job_id, self.action, self.note


@dataclass
class Process:
    """A gateway's engine over the database."""

    gateway: Gateway
    actions: Actions


@dataclass
class Runner:
    """Runs coroutines, one after the other, in an event loop of its own."""

    inner: asyncio.Runner = field(default_factory=asyncio.Runner)

    def __call__(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run one to its end."""
        return self.inner.run(work)


class GatewayMachine(RuleBasedStateMachine):
    """Requests, replays, faults, crashes, restarts, jumps of the clock: and the vendor's log as the oracle."""

    jobs = Bundle("jobs")
    requests = Bundle("requests")

    @initialize()
    def begin(self) -> None:
        """An empty database, and a gateway."""
        self.folder = Path(tempfile.mkdtemp(prefix="jobgate-model-", dir=MEMORY))
        shutil.copy(template(), self.folder / "ledger.db")
        self.run = Runner()
        self.clock = FakeClock()
        self.vendors = Vendors(CATALOGUE)
        self.ending = Ending()
        self.keys: dict[str, Held] = {}
        self.number = 0
        self.ended: set[int] = set()
        self.put_back = 0
        self.seen: dict[int, JobActionRecord] | None = None
        self.process = self.started()

    def started(self) -> Process:
        """A new process over the database."""
        ledger = EndingLedger(SqlLedger(Database.in_folder(self.folder), self.clock), self.ending)
        transport = EndingTransport(self.vendors, self.ending)
        gateway = Gateway(vendors.settings(), CATALOGUE, clock=self.clock, transport=transport, ledger=ledger)
        reconciler = gateway.reconciler
        actions = Actions(reconciler.jobs.calls, reconciler.jobs, ledger, self.clock, reconciler.schedule, KEY_TIME)
        return Process(gateway, actions)

    @rule(target=jobs, kind=st.sampled_from("AV"), choice=st.integers(0, 2))
    def create(self, kind: str, choice: int) -> str:
        """The vendor has a new job."""
        statuses = KINDS[kind][1]
        job_id = f"{kind}{len(self.vendors.jobs)}"
        self.vendors.jobs[job_id] = statuses[choice % len(statuses)]
        return job_id

    @rule(
        target=requests,
        job_id=jobs,
        choice=st.integers(0, 2),
        note=st.sampled_from([None, "why"]),
        is_keyed=st.booleans(),
        fault=st.one_of(st.none(), st.sampled_from(list(Fault))),
        step=st.one_of(st.none(), st.none(), st.sampled_from(STEPS)),
    )
    def ask(
        self, job_id: str, choice: int, note: str | None, is_keyed: bool, fault: Fault | None, step: str | None
    ) -> Any:
        """A caller asks for an action."""
        possible = ACTIONS[job_id[0]]
        key = f"key-{self.number}" if is_keyed else None
        asked = Asked(job_id, possible[choice % len(possible)], note, key)
        self.perform(asked, fault, step)
        return multiple() if key is None else asked

    @rule(asked=requests, fault=st.one_of(st.none(), st.sampled_from(list(Fault))))
    def ask_again(self, asked: Asked, fault: Fault | None) -> None:
        """The same request with the same key: one effect, one answer."""
        self.perform(asked, fault, None)

    @rule(asked=requests)
    def ask_for_another(self, asked: Asked) -> None:
        """The same key for something else."""
        self.perform(Asked(asked.job_id, asked.action, "something else", asked.key), None, None)

    @rule()
    def restart(self) -> None:
        """The gateway is stopped, and another one started."""
        self.run(self.process.gateway.ledger.close())
        self.process = self.started()

    @rule(seconds=st.sampled_from([0.3, 1, 4, 16, 70]))
    def settle(self, seconds: float) -> None:
        """Time passes, and somebody looks after what is due."""
        self.clock.advance(seconds)
        self.seen = None
        self.run(self.process.gateway.reconciler.reconcile_due())
        self.let_go()

    @rule(hours=st.sampled_from([-1, 1, 73]))
    def jump(self, hours: int) -> None:
        """The clock is put forward or back; after three days, keys have expired."""
        self.put_back += max(-hours, 0)
        self.clock.jump(timedelta(hours=hours))

    @rule()
    def tidy(self) -> None:
        """Expired keys are forgotten, also for a clock that is put back afterwards."""
        now = self.clock.now()
        self.run(self.process.gateway.ledger.tidy(now))
        self.keys = {name: held for name, held in self.keys.items() if held.expires_at > now}

    def perform(self, asked: Asked, fault: Fault | None, step: str | None) -> None:
        """Make a request, and compare what comes of it with what the model expects."""
        self.number, self.seen = self.number + 1, None
        self.vendors.number, self.vendors.fault, self.ending.step = self.number, fault, step
        held = self.keys.get(asked.key or "")
        if held is not None and held.expires_at <= self.clock.now():
            held = None
        try:
            answer = self.run(self.process.actions.perform(self.question(asked)))
        except Crash:
            self.ended.add(self.number)
            self.run(self.process.gateway.ledger.close())
            self.process = self.started()
            if asked.key and held is None and self.record(self.number) is not None:
                self.keys[asked.key] = Held(asked.what, self.number, self.clock.now() + KEY_TIME)
        except IdempotencyKeyReused:
            assert held is not None
            assert held.question != asked.what
        else:
            self.expect(asked, held, answer)
        self.ending.step = None
        self.let_go()

    def expect(self, asked: Asked, held: Held | None, answer: ActionResult) -> None:
        """The answer is that of the first request with the key, or a new one."""
        assert answer.is_replayed == (held is not None)
        if answer.is_early:
            assert held is not None
            assert held.number in self.ended, "only a request whose process ended can still be under way"
        made_by = int(answer.record.requested.origin.request_id or 0)
        assert made_by == (held.number if held else self.number)
        if held is not None:
            assert held.question == asked.what
            assert not self.vendors.calls(self.number), "a replay reached the vendor"
        elif asked.key is not None:
            self.keys[asked.key] = Held(asked.what, self.number, self.clock.now() + KEY_TIME)

    def let_go(self) -> None:
        """Keys whose request came to nothing are free again."""
        for key, held in list(self.keys.items()):
            record = self.record(held.number)
            assert record is not None
            nothing = record.problem is not None and record.problem.code in {
                "vendor-unreachable",
                "vendor-throttled",
                "interrupted",
            }
            if nothing and record.outcome in {Outcome.NOT_SENT, Outcome.REJECTED}:
                del self.keys[key]

    def question(self, asked: Asked) -> ActionRequest:
        """The request as the engine takes it."""
        parameters = {} if asked.note is None else {"note": asked.note}
        if asked.action == "close":
            parameters["assignmentId"] = ASSIGNMENT
        return ActionRequest(
            connection=self.process.gateway.directory.connection(KINDS[asked.job_id[0]][0]),
            job_action=JobAction(asked.action, asked.job_id, parameters),
            caller=CALLER,
            key=asked.key,
            origin=Origin(request_id=str(self.number)),
        )

    def records(self) -> dict[int, JobActionRecord]:
        """Every record, by the number of the request that made it; read once a step."""
        if self.seen is None:
            page = self.run(self.process.gateway.ledger.page(Selection(caller=CALLER), 1_000, None))
            assert page.next_cursor is None
            self.seen = {int(record.requested.origin.request_id or 0): record for record in page.items}
        return self.seen

    def record(self, number: int) -> JobActionRecord | None:
        """The record of a request."""
        return self.records().get(number)

    @invariant()
    @precondition(lambda self: hasattr(self, "process"))
    def the_ledger_explains_the_vendors_log(self) -> None:
        """Nothing reached the vendor that the ledger does not know, and nothing more often than it says."""
        records = self.records()
        for call in self.vendors.log:
            assert call.number in records, f"{call} is not in the ledger"
        for number, record in records.items():
            calls = self.vendors.calls(number)
            assert len(calls) <= len(record.sent) <= 1
            # Which of two actions on a job came first is known by the clock.
            if not (self.put_back and record.readings):
                judge(record, [call.applied for call in calls])
            assert record.conclusion is not None or number in self.ended

    def teardown(self) -> None:
        """In the end everything is settled, and the chain is whole."""
        if not hasattr(self, "process"):
            return
        try:
            # Where the clock was put back, what is due is due so much later.
            for seconds in (16, 16, 70, 3_600 + self.put_back * 3_600, 70, 3_600, 70):
                self.settle(seconds)
            left = [record for record in self.records().values() if not record.is_settled]
            assert not left, f"never settled: {left}"
            assert audit.verify(Database.in_folder(self.folder)).finding is None
        finally:
            self.run(self.process.gateway.ledger.close())
            self.run.inner.close()
            shutil.rmtree(self.folder)


def judge(record: JobActionRecord, applied: list[bool]) -> None:
    """What the record says of the outcome is what the vendor's log says, or less."""
    match record.outcome:
        case Outcome.APPLIED:
            assert applied == [True]
        case Outcome.REJECTED:
            assert True not in applied
        case Outcome.NOT_SENT:
            assert applied == []
        case Outcome.UNKNOWN | None:
            assert record.status in {JobActionStatus.UNSETTLED, JobActionStatus.IN_PROGRESS}
            assert record.conclusion is None or record.conclusion.settled_by in {None, SettledBy.GAVE_UP}


_templates: list[Path] = []


def template() -> Path:
    """An empty ledger, made once."""
    if not _templates:
        folder = Path(tempfile.mkdtemp(prefix="jobgate-model-"))
        database = Database.in_folder(folder)
        database.migrate()
        database.dispose()
        _templates.append(folder / "ledger.db")
    return _templates[0]


class TestGateway(GatewayMachine.TestCase):  # type: ignore[valid-type,misc]
    """No sequence of requests, faults, crashes and jumps of the clock makes ledger and vendor disagree."""

    settings = settings(
        max_examples=amount(whole=200, sample=50),
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
