"""Recovery: the time until a recovered vendor is used again, and the number of probes until then."""

from __future__ import annotations

import asyncio
import time

from bench.resilience.clients import Answer, after, read, steadily
from bench.resilience.results import Recovery, each_second
from bench.resilience.serving import Place, Setting
from bench.resilience.vendor import FAILING, Behaviour, Vendor

RATE = 20
"""Requests per second during the whole measurement."""
WELL_SECONDS, SICK_SECONDS, MOST_SECONDS = 2.0, 3.0, 45.0
WELL = Behaviour(seconds=0.01)


async def measure(place: Place) -> tuple[Recovery, ...]:
    """Measure a vendor that works, fails until the breaker opens, and recovers soon after."""
    vendor = Vendor(WELL)
    async with vendor.serving(), place.serving("recovering", {"ill": vendor}, Setting()) as (_, those):
        answers: list[Answer] = []
        begin = time.monotonic()
        asking = asyncio.create_task(steadily(those, [read("ill")], RATE, after(MOST_SECONDS), answers))
        await asyncio.sleep(WELL_SECONDS)
        vendor.behaviour = FAILING
        failed = time.monotonic()
        await asyncio.sleep(SICK_SECONDS)
        vendor.behaviour = WELL
        healed = time.monotonic()
        await asking
    opened = min(each.ended for each in answers if each.code == "connection-suspended")
    through = min((each.ended for each in answers if each.is_good and each.begun > healed), default=float("inf"))
    return (
        Recovery(
            "500",
            failed - begin,
            opened - begin,
            healed - begin,
            through - begin,
            vendor.between(healed, through),
            vendor.between(opened, healed),
            each_second([each.begun for each in answers], begin, MOST_SECONDS),
            each_second(vendor.calls, begin, MOST_SECONDS),
        ),
    )
