"""Callers of one connection take turns: a flood of one caller takes nothing from the others."""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter
from itertools import count

import pytest

from gateway.app import Catalogue, Gateway
from gateway.domain.errors import ConnectionBusy
from gateway.domain.model import Effect, HttpReply, HttpRequest, Quota
from gateway.ledger.memory import MemoryLedger
from gateway.resilience.pipeline import NoCredentials, OutboundRequest, Pipeline
from gateway.resilience.policy import Policy
from gateway.resilience.slots import Slots
from gateway.security.references import Reference
from gateway.settings.settings import CallerSettings
from tests.resilience.fixtures import DONE
from tests.support.asgi import call
from tests.support.clock import FakeClock
from tests.support.transport import FakeTransport
from tests.support.vendors import obedient, settings

SERVICE_SECONDS = 0.1
GET = HttpRequest("GET", "https://vendor.test/jobs", {})


class Timeline(FakeClock):
    """A clock on which time passes only when everybody waits, and then to whoever wakes up first."""

    def __init__(self) -> None:
        """Nobody sleeps."""
        super().__init__()
        self._numbers = count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    async def sleep(self, seconds: float) -> None:
        """Wait for that time."""
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.monotonic() + seconds, next(self._numbers), future))
        await future

    async def run(self, *tasks: asyncio.Task[None]) -> None:
        """Let time pass until these tasks have ended."""
        while not all(task.done() for task in tasks):
            for _ in range(8):
                await asyncio.sleep(0)
            if self._sleepers and not all(task.done() for task in tasks):
                at, _, future = heapq.heappop(self._sleepers)
                self.advance(max(0.0, at - self.monotonic()))
                if not future.done():
                    future.set_result(None)


class SharedConnection:
    """A connection with little room, a vendor that takes a tenth of a second, and callers of it."""

    def __init__(self, quota: Quota | None = None, **policy: float) -> None:
        """Nobody calls."""
        self.clock = Timeline()
        self.pipeline = Pipeline(self.clock, self, Policy.model_validate({"attempts": 1, **policy}), quota)
        self.served: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.longest: Counter[str] = Counter()

    async def send(self, request: HttpRequest, deadline: float) -> HttpReply:
        """Answer after a while."""
        await self.clock.sleep(SERVICE_SECONDS)
        return DONE

    async def client(self, caller: str, requests: int) -> None:
        """Send requests one after the other; a refusal is followed by a short pause."""
        for _ in range(requests):
            begun = self.clock.monotonic()
            outbound = OutboundRequest(GET, Effect.READ, begun + 1_000, NoCredentials(), caller=caller)
            try:
                await self.pipeline.send(outbound)
                self.served[caller] += 1
            except ConnectionBusy:
                self.refused[caller] += 1
                await self.clock.sleep(0.1)
            took = int(1_000 * (self.clock.monotonic() - begun))
            self.longest[caller] = max(self.longest[caller], took)

    async def flooded(self) -> None:
        """A hundred clients of A never stop; one of B sends sixty requests."""
        flood = [asyncio.create_task(self.client("A", 1_000_000)) for _ in range(100)]
        await asyncio.sleep(0)
        await self.clock.run(asyncio.create_task(self.client("B", 60)))
        for task in flood:
            task.cancel()
        await asyncio.gather(*flood, return_exceptions=True)
        assert (self.pipeline.slots.in_use, self.pipeline.slots.waiting) == (0, 0)


@pytest.mark.parametrize(("at_once", "waiting"), [(4, 1), (4, 20), (4, 200)], ids=str)
async def test_a_flood_of_one_caller_does_not_keep_another_out(at_once: int, waiting: int) -> None:
    """During a flood of A, each request of B is served after at most one of A's."""
    shared = SharedConnection(at_once=at_once, waiting=waiting)
    await shared.flooded()
    assert (shared.served["B"], shared.refused["B"]) == (60, 0)
    assert shared.longest["B"] <= 2_000 * SERVICE_SECONDS + 1
    assert shared.served["A"] >= 60


@pytest.mark.parametrize("at_once", [4, 200])
async def test_nor_from_the_quota(at_once: int) -> None:
    """During a flood of A, B gets its share of the vendor's quota."""
    shared = SharedConnection(Quota(10, 1.0), at_once=at_once, waiting=50)
    await shared.flooded()
    assert (shared.served["B"], shared.refused["B"]) == (60, 0)
    assert shared.longest["B"] <= 1_000
    assert shared.served["A"] >= 60


async def test_a_slot_goes_to_who_has_the_fewest() -> None:
    """Three callers that flood a connection get a third each."""
    shared = SharedConnection(at_once=9, waiting=100)
    tasks = [asyncio.create_task(shared.client(name, 200)) for name in "AAAAAAAAAAAAAAAAAAAABBBBBBBBBBCCCCC"]
    stop = asyncio.create_task(shared.clock.sleep(10))
    await shared.clock.run(stop)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert max(shared.served.values()) - min(shared.served.values()) <= 9
    assert not shared.refused


async def test_in_a_full_queue_the_longest_makes_room() -> None:
    """In a full queue, the caller with the most requests loses its last place to one with fewer."""
    clock = FakeClock()
    slots, deadline = Slots(clock, 1, 3), clock.monotonic() + 60
    await slots.acquire("A", deadline)
    waiting = [asyncio.create_task(slots.acquire(name, deadline)) for name in ("A", "A", "A", "B")]
    for _ in range(5):
        await asyncio.sleep(0)
    assert isinstance(waiting[2].exception(), ConnectionBusy)
    other = asyncio.create_task(slots.acquire("C", deadline))
    await asyncio.sleep(0)
    with pytest.raises(ConnectionBusy):
        await slots.acquire("A", deadline)
    slots.release("A")
    await waiting[3]
    waiting[0].cancel()
    slots.release("B")
    await other
    slots.release("C")
    assert (slots.in_use, slots.waiting) == (0, 0)


async def test_every_surface_says_whose_turn_it_takes(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads, lists, actions and previews of every surface take their own caller's turn."""
    seen: list[str] = []
    acquire = Slots.acquire

    async def noted(self: Slots, caller: str, deadline: float) -> None:
        seen.append(caller)
        await acquire(self, caller, deadline)

    monkeypatch.setattr(Slots, "acquire", noted)
    desk = CallerSettings(key=Reference("key-of-the-desk"), scopes=("*",))
    wired = settings().model_copy(update={"callers": {"desk": desk}})
    transport = FakeTransport(otherwise=obedient)
    made = Gateway(wired, catalogue, clock=FakeClock(), transport=transport, ledger=MemoryLedger())
    job = "jobs/8780b28c-7079-4de1-9143-4d369289e958"
    asked = [
        ("GET", f"/v1/connections/contoso-prod/{job}"),
        ("GET", "/v1/connections/contoso-prod/jobs"),
        ("POST", f"/v1/connections/contoso-prod/{job}/cancel"),
        ("POST", f"/v1/connections/contoso-prod/{job}/close?dryRun=true"),
    ]
    for method, path in asked:
        before = len(seen)
        await call(made.application, method, path, key="key-of-the-desk")
        assert len(seen) > before, path
    assert {*seen} == {"desk"}
