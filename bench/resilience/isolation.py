"""Isolation: the effect of a hanging vendor on another connection."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

import msgspec

from bench.processes import BenchError
from bench.resilience.clients import Answer, Clients, Over, act, after, read, steadily, written
from bench.resilience.results import Isolation, Neighbours, Spread, told
from bench.resilience.serving import NO_BREAKER, Place, Setting
from bench.resilience.vendor import HUNG, Behaviour, Vendor

VENDOR_SECONDS = 2.0
"""Longest time of a hanging request, in seconds."""
HANGING_RATE = 100
"""Requests per second to the connection whose vendor hangs, half of them actions; twice as many hang together."""
RATE = 200
"""Requests per second to the other connection, half of them actions."""
WELL = Behaviour(seconds=0.02)
ALONE_SECONDS = 3.0
BESIDE_SECONDS = 3.0
LOOK_SECONDS = 0.1
"""Seconds between two requests for health."""
ROUNDS: Mapping[bool, int] = {False: 4, True: 3}
"""Number of rounds, without and with a breaker."""


@dataclass(frozen=True)
class SharedGateway:
    """A gateway whose clients use the connection `well` and, at the same time, one that hangs."""

    those: Clients
    vendor_of_others: Vendor

    async def round(self, hanging: str, *, with_breaker: bool) -> Neighbours:
        """Measure without the hanging connection, then with it. Each round has a new hanging connection."""
        mine = [read("well"), act("well")]
        alone = await steadily(self.those, mine, RATE, after(ALONE_SECONDS))
        # Without a breaker, the number of hanging requests first grows until they time out.
        before = 0.0 if with_breaker else VENDOR_SECONDS
        over = after(before + BESIDE_SECONDS)
        others = asyncio.create_task(steadily(self.those, [read(hanging), act(hanging)], HANGING_RATE, over))
        await asyncio.sleep(before)
        looking = asyncio.create_task(self._look(hanging, over))
        beside = await steadily(self.those, mine, RATE, over)
        health, ready, most = await looking
        return Neighbours(
            Spread.of(each.seconds for each in alone),
            Spread.of(each.seconds for each in beside),
            sum(not each.is_good for each in alone),
            sum(not each.is_good for each in beside),
            most,
            told(await others),
            Spread.of(each.seconds for each in health),
            Spread.of(each.seconds for each in ready),
        )

    async def _look(self, hanging: str, over: Over) -> tuple[list[Answer], list[Answer], int]:
        """Request health and readiness until it is over. Returns the largest number of hanging requests too."""
        health: list[Answer] = []
        ready: list[Answer] = []
        most = 0
        while not over():
            answer, content = await self.those.ask_for_content(written("GET", f"/v1/connections/{hanging}/health"))
            health.append(answer)
            most = max(most, msgspec.json.decode(content)["concurrency"]["inUse"] if answer.is_good else 0)
            ready.append(await self.those.ask(written("GET", "/readyz")))
            if not health[-1].is_good or not ready[-1].is_good:
                raise BenchError(f"the answer to health was {health[-1].what}, to /readyz {ready[-1].what}.")
            await asyncio.sleep(LOOK_SECONDS)
        return health, ready, most


async def measure(place: Place, *, with_breaker: bool) -> Isolation:
    """Measure all rounds, with the breaker or without."""
    hung = {f"hung-{number}": Vendor(HUNG) for number in range(ROUNDS[with_breaker])}
    vendors = {"well": Vendor(WELL), **hung}
    setting = Setting({} if with_breaker else NO_BREAKER.policy, VENDOR_SECONDS)
    async with AsyncExitStack() as stack:
        for vendor in vendors.values():
            await stack.enter_async_context(vendor.serving())
        name = f"neighbours-{'breaker' if with_breaker else 'no-breaker'}"
        _, those = await stack.enter_async_context(place.serving(name, vendors, setting))
        await steadily(those, [read("well"), act("well")], RATE, after(1.0))  # warm-up
        shared = SharedGateway(those, vendors["hung-0"])
        rounds = [await shared.round(each, with_breaker=with_breaker) for each in hung]
    return Isolation(with_breaker, tuple(rounds))
