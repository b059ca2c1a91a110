"""A batch under random orders of callers, processes that end, and time that passes: Hypothesis looks for a bad one."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from gateway.batches.batches import Batches
from gateway.domain.batches import TRANSITIONS, Batch, BatchPlan, BatchState, ItemOutcome, JobReference
from gateway.domain.errors import JobgateError
from gateway.ledger import audit
from gateway.ledger.batches import ItemSelection
from gateway.ledger.database import Database
from tests.batches.conftest import CONNECTION, House, Vendor, house_at
from tests.support.clock import FakeClock
from tests.support.databases import PostgreSQL, sqlite_address
from tests.support.documents import installed
from tests.support.sampling import amount

CALLER = "default"
JOBS = 45
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - a folder of its own is made there

Result = TypeVar("Result")


def followers(state: BatchState) -> set[BatchState]:
    """The states that can come after a state, at once or later, and the state itself."""
    found, left = {state}, [state]
    while left:
        new = set(TRANSITIONS[left.pop()]) - found
        found |= new
        left += new
    return found


@contextmanager
def database_in_memory() -> Iterator[str]:
    """The address of a new SQLite database."""
    with tempfile.TemporaryDirectory(prefix="jobgate-batch-", dir=MEMORY) as folder:
        yield sqlite_address(Path(folder))


@contextmanager
def database_of(server: PostgreSQL) -> Iterator[str]:
    """The address of the database of a server, emptied."""
    yield server.emptied()


class BatchMachine(RuleBasedStateMachine):
    """One batch, its caller, and processes that come and go; the vendor's count is the oracle."""

    def __init__(self, database: AbstractContextManager[str]) -> None:
        """Use a database, whose address it is."""
        super().__init__()
        self.resources = ExitStack()
        self.address = self.resources.enter_context(database)

    @initialize(is_expected=st.booleans())
    def begin(self, is_expected: bool) -> None:
        """A new batch; one whose count is expected is prepared, and needs no confirmation."""
        self.runner = asyncio.Runner()
        self.clock, self.vendor = FakeClock(), Vendor()
        self.vendor.jobs = {f"job-{each}": "queued" for each in range(JOBS)}
        self.gone: list[House] = []
        self.house = self.run(self.started())
        plan = BatchPlan(action="cancel", reason="the model", expected_count=JOBS if is_expected else None)
        jobs = [JobReference(CONNECTION, each) for each in self.vendor.jobs]
        batch, _ = self.run(self.batches.create(plan, jobs, CALLER))
        self.id, self.seen = batch.id, batch.state
        if is_expected:
            self.run(self.house.go_on())

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine to its end."""
        return self.runner.run(work)

    async def started(self) -> House:
        """A new process over the database."""
        house = house_at(installed(), Database.at(self.address), self.clock, self.vendor)
        await house.gateway.ledger.start()
        return house

    @property
    def batches(self) -> Batches:
        """What the caller can do."""
        assert self.house.gateway.batches is not None
        return self.house.gateway.batches

    @rule()
    def go_on(self) -> None:
        """The batch takes its next step."""
        self.run(self.house.go_on())

    @rule()
    def confirm(self) -> None:
        """The caller confirms what is shown."""

        async def confirm() -> None:
            batch = await self.batches.get(self.id, CALLER)
            shown = batch.manifest
            await self.batches.confirm(self.id, CALLER, shown.digest if shown else "", shown.count if shown else 0)

        with suppress(JobgateError):
            self.run(confirm())

    @rule(verb=st.sampled_from(["pause", "resume", "resume", "abort"]))
    def command(self, verb: str) -> None:
        """The caller wants something, which the state may refuse."""
        with suppress(JobgateError):
            self.run(getattr(self.batches, verb)(self.id, CALLER, None))

    @rule(at=st.none() | st.integers(0, 40), verb=st.sampled_from(["pause", "abort", None]), acts_first=st.booleans())
    def end_in_the_middle(self, at: int | None, verb: str | None, acts_first: bool) -> None:
        """The process ends while it runs the batch, perhaps just after the caller wanted something.

        It ends at any moment, or when it has asked the vendor for something (`at` is None).
        """
        self.vendor.acts_first = acts_first
        self.run(self._end(at, verb))
        self.gone.append(self.house)
        self.house = self.run(self.started())

    async def _end(self, at: int | None, verb: str | None) -> None:
        self.vendor.may_answer.clear()
        self.vendor.is_asked.clear()
        going = asyncio.create_task(self.house.go_on())
        if at is None:
            asked = asyncio.create_task(self.vendor.is_asked.wait())
            await asyncio.wait({going, asked}, return_when=asyncio.FIRST_COMPLETED)
            asked.cancel()
        for _ in range(at or 0):
            await asyncio.sleep(0.001)
        if verb is not None:
            with suppress(JobgateError):
                await getattr(self.batches, verb)(self.id, CALLER, None)
        runner = self.house.gateway.batch_runner
        assert runner is not None
        for task in (going, *runner.under_way):
            task.cancel()
        await asyncio.gather(going, *runner.under_way, return_exceptions=True)
        self.vendor.may_answer.set()

    @rule(seconds=st.sampled_from([0.5, 5.0, 40.0]))
    def wait(self, seconds: float) -> None:
        """Time passes, and reconciliation does its work."""
        self.clock.advance(seconds)
        self.run(self.house.gateway.reconciler.reconcile_due())

    @invariant()
    def nothing_is_done_twice(self) -> None:
        """The vendor was asked once at most for each job."""
        if hasattr(self, "vendor"):
            assert all(count == 1 for count in self.vendor.asked.values()), self.vendor.asked

    @invariant()
    def states_follow_the_table(self) -> None:
        """The state is one that can come after the one that was seen before, and the counters count every item."""
        if hasattr(self, "id"):
            batch = self.run(self.batches.get(self.id, CALLER))
            assert batch.state in followers(self.seen), f"{batch.state} after {self.seen}"
            assert batch.progress.items == JOBS
            self.seen = batch.state

    def teardown(self) -> None:
        """However it went, the batch can be brought to its end, and every outcome is what the vendor says.

        Each item's job action has the key that is promised, and the audit finds nothing.
        """
        with self.resources:
            if hasattr(self, "id"):
                self.run(self._finish())
                self.runner.close()

    async def _finish(self) -> None:
        batch = await self.batches.get(self.id, CALLER)
        for _ in range(80):
            batch = await self.batches.get(self.id, CALLER)
            if batch.is_ended:
                break
            await self._help(batch)
            await self.house.go_on()
            self.clock.advance(5)
            await self.house.gateway.reconciler.reconcile_due()
        assert batch.is_ended, f"it stays {batch.state}"
        store = self.house.gateway.batch_store
        assert store is not None
        items = [
            item
            async for page in store.pages(ItemSelection(self.id, prepared=batch.manifest is not None))
            for item in page
        ]
        for item in items:
            assert item.outcome is not ItemOutcome.PENDING
            assert self.vendor.asked[item.job_id] == (item.outcome is ItemOutcome.APPLIED), item
            if item.job_action is not None:
                record = await self.house.gateway.ledger.get(item.job_action, CALLER)
                assert record is not None
                assert record.requested.idempotency_key == f"batch:{self.id}:{item.position}"
        database = Database.at(self.address)
        finding = audit.verify(database).finding
        database.dispose()
        assert finding is None, finding
        for each in (*self.gone, self.house):
            await each.gateway.close()

    async def _help(self, batch: Batch) -> None:
        with suppress(JobgateError):
            await self.batches.resume(self.id, CALLER, None)
        shown = batch.manifest
        with suppress(JobgateError):
            await self.batches.confirm(self.id, CALLER, shown.digest if shown else "", shown.count if shown else 0)


def live(database: Callable[[], AbstractContextManager[str]], examples: int) -> None:
    """Let so many batches live, each in a database of its own."""
    chosen = settings(
        max_examples=examples, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
    )
    # A function will do, by its documentation.
    run_state_machine_as_test(lambda: BatchMachine(database()), settings=chosen)  # type: ignore[arg-type]


def test_a_batch_lives_on_sqlite() -> None:
    """Whatever order things happen in."""
    examples = amount(whole=40, sample=10)
    live(database_in_memory, examples)


def test_a_batch_lives_on_postgresql(postgresql: PostgreSQL) -> None:
    """The same, in fewer examples, since each statement takes longer."""
    examples = amount(whole=10, sample=3)
    live(lambda: database_of(postgresql), examples)
