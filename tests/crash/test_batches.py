"""Batches on two nodes and databases in trouble: no job is acted on twice, and no item is lost.

The oracle is the vendor's own count of requests. `make chaos` does it for a long time.
"""

from __future__ import annotations

import asyncio
import os
import random
import resource
import signal
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

import pytest

from gateway.app import Gateway
from gateway.batches.batches import Batches
from gateway.domain.batches import Batch, BatchPlan, BatchState, ItemOutcome, JobReference
from gateway.domain.clock import SystemClock
from gateway.domain.errors import JobgateError, LedgerUnavailable, WrongBatchState
from gateway.ledger.audit import verify
from gateway.ledger.batches import ItemSelection
from gateway.ledger.database import Database
from tests.crash.batch_node import CONNECTION, FileVendor, gateway_at, serve, shorten_leases
from tests.crash.storm import SEED
from tests.support.databases import KINDS, PostgreSQL
from tests.support.patience import PATIENCE

CALLER = "default"
ROUNDS = int(os.environ.get("CHAOS_BATCH_ROUNDS", "60"))
"""Troubles over all kinds of databases: in `make chaos`, as many as it says."""
JOBS = 400
"""Jobs of each batch."""
JUMP = 3_600.0
"""Seconds by which a clock is set forward or back: many leases, and longer than anybody would wait."""
NODES = 2
UNLIMITED = resource.RLIM_INFINITY


@dataclass
class Storm:
    """Nodes that come to harm while they run batches."""

    address: str
    memory: Path
    context: ForkServerContext
    chance: random.Random
    postgresql: PostgreSQL | None
    nodes: list[ForkServerProcess] = field(default_factory=list)
    offsets: list[Any] = field(default_factory=list)
    troubles: Counter[str] = field(default_factory=Counter)
    seeds: Iterator[int] = field(default_factory=lambda: iter(range(1, 1_000_000)))

    def begin(self) -> None:
        """Start the nodes."""
        self.offsets = [self.context.Value("d", 0.0) for _ in range(NODES)]
        self.nodes = [self._started(at) for at in range(NODES)]

    def end(self) -> None:
        """Kill the nodes."""
        for node in self.nodes:
            node.kill()
            node.join()

    def calm(self) -> None:
        """Let the clocks be right again, and every node alive."""
        for offset in self.offsets:
            offset.value = 0.0
        self.nodes = [node if node.is_alive() else self._started(at) for at, node in enumerate(self.nodes)]

    async def trouble(self) -> None:
        """Let something happen to a node, or to the database."""
        at = self.chance.randrange(NODES)
        kinds = [self._kill, self._stand_still, self._clock_jumps, self._disk_is_full, self._database_is_away]
        weights = (4, 3, 2, 1, 1 if self.postgresql else 0)
        (chosen,) = self.chance.choices(kinds, weights)
        await chosen(at)
        self.troubles[chosen.__name__] += 1
        await asyncio.sleep(self.chance.uniform(0, 0.3))

    async def _kill(self, at: int) -> None:
        self.nodes[at].kill()
        self.nodes[at].join()
        await asyncio.sleep(self.chance.choice((0, 0.3)))
        self.nodes[at] = self._started(at)

    async def _stand_still(self, at: int) -> None:
        """For so long that another node takes over, or not."""
        pid = self.nodes[at].pid or 0
        os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(self.chance.choice((0.2, 1.6)))
        os.kill(pid, signal.SIGCONT)

    async def _clock_jumps(self, at: int) -> None:
        self.offsets[at].value = self.chance.choice((-JUMP, 0.0, 0.0, JUMP))

    async def _database_is_away(self, _: int) -> None:
        """PostgreSQL crashes and starts again, or lets nobody in."""
        assert self.postgresql is not None
        if self.chance.random() < 0.5:
            await asyncio.to_thread(self.postgresql.restart)
            return
        await asyncio.to_thread(self.postgresql.cut_off, self.address)
        await asyncio.sleep(self.chance.uniform(0.1, 0.6))
        await asyncio.to_thread(self.postgresql.let_in, self.address)

    async def _disk_is_full(self, at: int) -> None:
        """The disk of a node, or that of PostgreSQL: in turn with its write-ahead log, so that it ends, and without."""
        if self.postgresql is not None:
            log_too = bool(self.troubles[self._disk_is_full.__name__] % 2)
            await asyncio.to_thread(self.postgresql.fill_disk, log_too=log_too)
            await asyncio.sleep(self.chance.uniform(0.3, 1.0))
            await asyncio.to_thread(self.postgresql.free_disk)
            return
        pid = self.nodes[at].pid or 0
        with suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (4_096, UNLIMITED))
            await asyncio.sleep(self.chance.uniform(0.1, 0.6))
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (UNLIMITED, UNLIMITED))

    def _started(self, at: int) -> ForkServerProcess:
        arguments = (self.address, self.memory, self.offsets[at], next(self.seeds))
        node = self.context.Process(target=serve, args=arguments, daemon=True)
        node.start()
        return node


@pytest.fixture
def storm(
    kind: str, address: str, tmp_path: Path, context: ForkServerContext, request: pytest.FixtureRequest
) -> Iterator[Storm]:
    """Two nodes over a database."""
    memory = tmp_path / "vendor.txt"
    memory.touch()
    server = request.getfixturevalue("postgresql") if kind == "postgresql" else None
    made = Storm(address, memory, context, random.Random(SEED), server)  # noqa: S311 - it must be repeatable
    made.begin()
    yield made
    made.end()


@asynccontextmanager
async def client(storm: Storm) -> AsyncIterator[Gateway]:
    """A gateway by which the test creates batches and looks at them."""
    with pytest.MonkeyPatch.context() as patch:
        shorten_leases(patch)
        gateway = gateway_at(storm.address, storm.memory, SystemClock())
        await gateway.ledger.start()
        yield gateway
        await gateway.ledger.close()


async def patiently(work: Any) -> Any:
    """What some work returns once the database is there."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return await work()
        except LedgerUnavailable:
            if time.monotonic() > end:
                raise
            await asyncio.sleep(0.1)


async def new_batch(batches: Batches) -> Batch:
    """A batch that needs no confirmation."""
    jobs = [JobReference(CONNECTION, str(uuid.uuid4())) for _ in range(JOBS)]
    plan = BatchPlan(action="cancel", reason="the storm", expected_count=JOBS)
    key = str(uuid.uuid4())
    batch, _ = await patiently(lambda: batches.create(plan, jobs, CALLER, key, b"1" * 32))
    return batch  # type: ignore[no-any-return]


async def outcome_of(gateway: Gateway, batch: Batch, storm: Storm, troubles: int) -> Batch:
    """The batch once it has ended, with at most so many troubles on its way.

    A person pauses it and lets it go on.
    """
    batches = gateway.batches
    assert batches is not None
    for _ in range(troubles):
        await storm.trouble()
        with suppress(WrongBatchState, LedgerUnavailable):
            if storm.chance.random() < 0.2:
                await batches.pause(batch.id, CALLER, None)
        with suppress(WrongBatchState, LedgerUnavailable):
            await batches.resume(batch.id, CALLER, None)
        if (await patiently(lambda: batches.get(batch.id, CALLER))).is_ended:
            break
    storm.calm()
    end = time.monotonic() + 3 * PATIENCE
    while True:
        now: Batch = await patiently(lambda: batches.get(batch.id, CALLER))
        if now.is_ended:
            return now
        assert time.monotonic() < end, f"{now.state} {now.why} {now.progress} after {storm.troubles}"
        with suppress(JobgateError):
            await batches.resume(batch.id, CALLER, None)
        await asyncio.sleep(0.1)


async def weather(storm: Storm, rounds: int) -> None:
    """So many troubles, a few of them on the way of each batch; the vendor's count tells what came of it."""
    async with client(storm) as gateway:
        while (left := rounds - storm.troubles.total()) > 0:
            asked_before = len(FileVendor(storm.memory).asked())
            batch = await new_batch(gateway.batches)  # type: ignore[arg-type]
            ended = await outcome_of(gateway, batch, storm, min(left, 6))
            await check(gateway, ended, FileVendor(storm.memory).asked()[asked_before:])


async def check(gateway: Gateway, batch: Batch, asked: list[str]) -> None:
    """Nothing was done twice, nothing is lost, and every outcome is what the vendor says."""
    assert gateway.batch_store is not None
    items = [item async for page in gateway.batch_store.pages(ItemSelection(batch.id)) for item in page]
    counted = Counter(asked)
    assert len(items) == JOBS, f"{JOBS - len(items)} items are lost"
    assert batch.state is BatchState.COMPLETED
    wrong = [
        (item, counted[item.job_id])
        for item in items
        if counted[item.job_id] != (1 if item.outcome is ItemOutcome.APPLIED else 0)
        or item.outcome in {ItemOutcome.PENDING, ItemOutcome.UNKNOWN}
    ]
    assert not wrong, wrong
    outcomes = Counter(item.outcome for item in items)
    assert dict(batch.progress.outcomes) == outcomes, "the counters are not those of the items"
    assert batch.report is not None
    assert batch.report.items == JOBS


@pytest.mark.timeout(7_200 if ROUNDS > 60 else 600)
def test_no_item_is_sent_twice_or_lost(storm: Storm) -> None:
    """Whatever happens to two nodes, the vendor is asked once for each item, and every item has its outcome."""
    with nullcontext() if storm.postgresql is None else storm.postgresql.enlarged(storm.address):
        asyncio.run(weather(storm, ROUNDS // len(KINDS)))
    database = Database.at(storm.address)
    try:
        assert verify(database).finding is None
    finally:
        database.dispose()
