"""Amplification: the number of calls to a failing vendor for each request of a client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack

from bench.resilience.clients import after, read, steadily
from bench.resilience.results import Amplification, each_second, told
from bench.resilience.serving import NO_BREAKER, Place, Setting
from bench.resilience.vendor import FAILING, RESETTING, UNAVAILABLE, Behaviour, Vendor
from gateway.resilience.policy import Policy

RATE = 50
"""Requests per second on each connection: in total, fewer than the failures that open the disabled breaker."""
SECONDS = 15.0
FAILURES: Mapping[str, Behaviour] = {"500": FAILING, "503": UNAVAILABLE, "reset": RESETTING}


async def measure(place: Place) -> tuple[Amplification, ...]:
    """Measure two gateways at the same time, one with its breaker disabled, with a connection for each failure."""
    made = await asyncio.gather(
        serve(place, "amplified", Setting(), with_breaker=True),
        serve(place, "amplified-no-breaker", NO_BREAKER, with_breaker=False),
    )
    return tuple(each for gateway in made for each in gateway)


async def serve(place: Place, name: str, setting: Setting, *, with_breaker: bool) -> list[Amplification]:
    """Measure one gateway, with a vendor for each failure."""
    vendors = {f"v{failure}": Vendor(behaviour) for failure, behaviour in FAILURES.items()}
    async with AsyncExitStack() as stack:
        for vendor in vendors.values():
            await stack.enter_async_context(vendor.serving())
        _, those = await stack.enter_async_context(place.serving(name, vendors, setting))

        async def one(failure: str) -> Amplification:
            vendor, begin = vendors[f"v{failure}"], time.monotonic()
            answers = await steadily(those, [read(f"v{failure}")], RATE, after(SECONDS))
            seconds = max(SECONDS, max(vendor.calls) - begin)
            return Amplification(
                failure,
                with_breaker,
                seconds,
                Policy().budget_saved,
                len(answers),
                len(vendor.calls),
                told(answers),
                each_second([each.begun for each in answers], begin, seconds),
                each_second(vendor.calls, begin, seconds),
            )

        return await asyncio.gather(*map(one, FAILURES))
