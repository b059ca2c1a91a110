"""Overload: results at ten times the load that a vendor can handle."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from bench.resilience.clients import Answer, Clients, act, after, in_turn, read, steadily
from bench.resilience.results import Overload, Spread, told
from bench.resilience.serving import Place, Served, Setting
from bench.resilience.vendor import Behaviour, Vendor

AT_ONCE, CLIENTS = 20, 24
VENDOR = Behaviour(seconds=0.1)
PEAK_SECONDS, OVER_SECONDS = 4.0, 6.0
TIMES = 10
ROUNDS = 3
WORK = {"actions": act("busy"), "reads": read("busy")}


async def measure(place: Place) -> tuple[Overload, ...]:
    """Measure all rounds: clients that just saturate the vendor, then ten times that load."""
    vendor = Vendor(VENDOR, at_once=AT_ONCE)
    setting = Setting({"at_once": AT_ONCE, "waiting": AT_ONCE})
    async with vendor.serving(), place.serving("overloaded", {"busy": vendor}, setting) as (served, those):
        for request in WORK.values():
            await in_turn(those, [request], CLIENTS, after(1.0))  # warm-up
        return tuple([await one(served, those, vendor, what, number) for number in range(ROUNDS) for what in WORK])


async def one(served: Served, those: Clients, vendor: Vendor, what: str, number: int) -> Overload:
    """Measure one round."""
    request = WORK[what]
    filled = await in_turn(those, [request], CLIENTS, after(PEAK_SECONDS))
    peak = sum(each.is_good for each in filled) / PEAK_SECONDS
    before, began, ours = served.memory(), time.monotonic(), time.process_time()
    theirs = served.busy_seconds()
    async with watched(served) as memory:
        answers = await steadily(those, [request], peak * TIMES, after(OVER_SECONDS))
    seconds = time.monotonic() - began
    refusals = [each for each in answers if is_refusal(each)]
    others = [each for each in answers if not each.is_good and not is_refusal(each)]
    return Overload(
        what,
        number,
        peak,
        peak * TIMES,
        len(answers),
        sum(each.is_good for each in answers) / OVER_SECONDS,
        len(refusals),
        told(others),
        Spread.of(each.seconds for each in refusals),
        Spread.of(each.late for each in answers),
        (served.busy_seconds() - theirs) / seconds,
        (time.process_time() - ours) / seconds,
        vendor.most_at_once,
        before,
        max(memory),
        served.memory(),
    )


def is_refusal(answer: Answer) -> bool:
    """True if a request was refused with `connection-busy` and Retry-After."""
    return answer.status == HTTPStatus.SERVICE_UNAVAILABLE and answer.code == "connection-busy" and answer.says_when


@asynccontextmanager
async def watched(served: Served) -> AsyncIterator[list[float]]:
    """Record a server's memory regularly within the block."""
    seen = [served.memory()]

    async def watch() -> None:
        while True:
            await asyncio.sleep(0.1)
            seen.append(served.memory())

    watching = asyncio.create_task(watch())
    try:
        yield seen
    finally:
        watching.cancel()
