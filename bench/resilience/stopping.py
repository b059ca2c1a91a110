"""Stopping under load: the results of requests, and the time until the gateway has ended."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import suppress

from bench.resilience.clients import Tally, act, until_refused
from bench.resilience.results import Stop
from bench.resilience.serving import Place, Setting
from bench.resilience.vendor import Behaviour, Vendor

CLIENTS, ROUNDS = 40, 10
PAUSE, LOAD_SECONDS, MOST_SECONDS = 0.01, 1.0, 30.0
VENDOR = Behaviour(seconds=0.05)


async def measure(place: Place) -> tuple[Stop, ...]:
    """Measure all rounds, each with its own gateway."""
    return tuple([await one(place, number) for number in range(ROUNDS)])


async def one(place: Place, number: int) -> Stop:
    """Measure one round."""
    vendor, tally = Vendor(VENDOR), Tally()
    async with vendor.serving(), place.serving(f"stopping-{number}", {"well": vendor}, Setting()) as (served, _):
        coming = [asyncio.create_task(until_refused(served.port, act("well"), PAUSE, tally)) for _ in range(CLIENTS)]
        await asyncio.sleep(LOAD_SECONDS)
        process, told_at = served.program.process, time.monotonic()
        process.send_signal(signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout(MOST_SECONDS):
                while process.poll() is None:
                    await asyncio.sleep(0.02)
        seconds = time.monotonic() - told_at
        await asyncio.gather(*coming)
        return Stop(
            "50 ms",
            number,
            CLIENTS,
            seconds,
            -1 if process.returncode is None else process.returncode,
            served.program.last_words(),
            dict(tally.answers),
            tally.goodbyes,
            tally.refused,
            tally.unasked,
            len(tally.lost),
        )
